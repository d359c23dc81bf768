// Values of points or lattice vertices: one row each, L labels cut into label blocks of 16, then 8 or 4. Block b
// is an array [rows][width] of its own, so a 16-wide row is exactly one cache line.
#pragma once

#include <vector>

#include "kernels.h"
#include "memory.h"

namespace densecrf::cpu {

// From row to row at points being worked on.
inline int padded(int labels) {
    return (labels + 7) / 8 * 8;
}

inline std::vector<int> label_blocks(int labels) {
    std::vector<int> width(labels / 16, 16);
    const int left = labels % 16;
    if (left > 8)
        width.push_back(16);
    else if (left > 0)
        width.push_back(left > 4 ? 8 : 4);
    return width;
}

// Floats in a row of all blocks.
inline int width_of(int labels) {
    int width = 0;
    for (const int block : label_blocks(labels)) width += block;
    return width;
}

// All label blocks of a number of rows, in one allocation.
class BlockedValues {
  public:
    // Room for these blocks, in the memory there is if that will do. What was there is lost.
    void shape(const std::vector<int>& width, int64_t rows) {
        size_t size = 0;
        for (const int w : width) size += rows * w;
        if (memory_.size() < size) {
            memory_ = Array<float>();  // gone before the next is asked for
            memory_ = Array<float>(size);
        }
        width_ = width;
        blocks_.clear();
        float* at = memory_.data();
        for (const int w : width) {
            blocks_.push_back(at);
            at += rows * w;
        }
    }
    int blocks() const { return static_cast<int>(width_.size()); }
    int width(int block) const { return width_[block]; }
    float* row(int block, int64_t row) const { return blocks_[block] + row * width_[block]; }
    Rows rows() const { return {blocks(), width_.data(), blocks_.data()}; }

  private:
    std::vector<int> width_;
    Array<float> memory_;
    std::vector<float*> blocks_;
};

}  // namespace densecrf::cpu
