// Values of points or lattice vertices: one row each, L labels padded to a multiple of 8, cut into label blocks of
// 16 (then 8). Block b is an array [rows][width] of its own, so a 16-wide row is exactly one cache line.
#pragma once

#include <vector>

#include "kernels.h"
#include "memory.h"

namespace densecrf::cpu {

inline int padded(int labels) {
    return (labels + 7) / 8 * 8;
}

inline std::vector<BlockKernels> label_blocks(int labels) {
    std::vector<BlockKernels> blocks(padded(labels) / 16, kernels().sixteen);
    if (padded(labels) % 16) blocks.push_back(kernels().eight);
    return blocks;
}

// All label blocks of a number of rows, in one allocation.
class BlockedValues {
  public:
    BlockedValues() = default;
    BlockedValues(const std::vector<BlockKernels>& blocks, int64_t rows) {
        int64_t size = 0;
        std::vector<int64_t> offsets;
        for (const BlockKernels& block : blocks) {
            offsets.push_back(size);
            size += rows * block.width;
        }
        memory_ = Array<float>(static_cast<size_t>(size));
        for (int64_t offset : offsets) blocks_.push_back(memory_.data() + offset);
    }
    float* const* blocks() const { return blocks_.data(); }
    float* operator[](size_t block) const { return blocks_[block]; }

  private:
    Array<float> memory_;
    std::vector<float*> blocks_;
};

}  // namespace densecrf::cpu
