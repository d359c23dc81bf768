// The lattice of one term, built: what does not depend on the term's weight, nor on where its rows will lie.
#pragma once

#include <cstdint>
#include <vector>

#include "blur_plan.h"
#include "memory.h"

namespace densecrf::cpu {

// Rows are numbered from 0. Each partition of the points has rows of its own, in the order in which it first
// touches them.
struct TermLattice {
    int dims = 0;
    std::vector<uint32_t> first_row;  // [partitions + 1]
    std::vector<BlurPhase> phases;    // in the order in which they are run
    Array<uint32_t> fresh;            // [runs + partitions]: first fresh row of a run; last row of a partition

    Array<uint32_t> row;  // [N, dims + 1]

    // Only until the terms are weighed, unless the lattice is kept for another picture.
    Array<float> barycentric;  // [N, dims + 1]
    Array<float> norm;         // [N], the filter's response to ones

    int64_t rows() const { return first_row.back(); }
};

}  // namespace densecrf::cpu
