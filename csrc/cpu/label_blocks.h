// Values of points or lattice vertices: one row each, L labels cut into label blocks of 16, then 8 or 4. Block b is an
// array [rows][width] of its own, so a 16-wide row is exactly one cache line.
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
    BlockedValues() = default;
    BlockedValues(const std::vector<int>& width, int64_t rows) : width_(width) {
        int64_t size = 0;
        std::vector<int64_t> offsets;
        for (int w : width_) {
            offsets.push_back(size);
            size += rows * w;
        }
        memory_ = Array<float>(static_cast<size_t>(size));
        for (int64_t offset : offsets) blocks_.push_back(memory_.data() + offset);
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
