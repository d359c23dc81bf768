// The way the blur takes through the rows of one term.
//
// A step along axis j adds 1 to every coordinate but j, so it leaves the differences of the other coordinates
// as they are. Vertices that agree in the differences of all coordinates outside a set of axes are therefore
// closed under the blur along these axes. The axes are taken in two such sets, called phases: within a phase, a
// few hundred to a few thousand rows at a time are blurred along all its axes while they are in the cache, instead
// of all rows along one axis after the other.
#pragma once

#include <cstdint>
#include <vector>

#include "memory.h"

namespace densecrf::cpu {

// A row that stands for the same vertex as the canonical row of an earlier partition.
struct SharedRow {
    uint32_t row;
    uint32_t canonical;
};

// Pieces are sets of rows that no chain of the phase leads out of; threads share them out. Along each axis a
// piece has chains of neighbours, end to end (BlockKernels::blur); rows without neighbours are left out.
struct BlurPhase {
    int first_axis, axes;
    Array<uint32_t> chain;         // piece by piece, axis by axis, without gaps; then kFetchAhead more
    std::vector<size_t> first;     // [pieces]: where a piece begins in `chain`
    std::vector<uint32_t> length;  // [pieces][axes]: entries along an axis
    std::vector<std::vector<SharedRow>> shared;  // [pieces]

    int64_t pieces() const { return static_cast<int64_t>(first.size()); }
};

// The phases of a lattice of so many dimensions, without their rows. One or two dimensions are cut axis by axis: a
// single coordinate outside has no differences to go by.
inline std::vector<BlurPhase> blur_phases(int dims) {
    std::vector<BlurPhase> phases;
    const int most = dims < 3 ? 1 : (dims + 2) / 2;
    for (int axis = 0; axis <= dims; axis += most) {
        BlurPhase phase{};
        phase.first_axis = axis;
        phase.axes = axis + most <= dims + 1 ? most : dims + 1 - axis;
        phases.push_back(std::move(phase));
    }
    return phases;
}

}  // namespace densecrf::cpu
