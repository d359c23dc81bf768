#include "blur.h"

#include <algorithm>

namespace densecrf::cpu {
namespace {

// Shared row -> canonical row, or back, for one piece and one label block.
void collect(const std::vector<SharedRow>& shared, int width, float* values) {
    for (const SharedRow& s : shared) {
        const float* from = values + int64_t{s.row} * width;
        float* to = values + int64_t{s.canonical} * width;
        for (int i = 0; i < width; ++i) to[i] += from[i];
    }
}

void spread(const std::vector<SharedRow>& shared, int width, float* values) {
    for (const SharedRow& s : shared)
        std::copy_n(values + int64_t{s.canonical} * width, width, values + int64_t{s.row} * width);
}

void blur_piece(const TermLattice& term, size_t at, int64_t piece, int width, float* values) {
    const BlurPhase& phase = term.phases[at];
    if (at == 0) collect(phase.shared[piece], width, values);
    const uint32_t* chain = phase.chain.data() + phase.first[piece];
    for (int axis = 0; axis < phase.axes; ++axis) {
        const uint32_t length = phase.length[piece * phase.axes + axis];
        kernels().blur(length, chain, width, values);
        chain += length;
    }
    if (at + 1 == term.phases.size()) spread(phase.shared[piece], width, values);
}

}  // namespace

size_t most_phases(const std::vector<PlacedLattice>& terms) {
    size_t most = 0;
    for (const PlacedLattice& term : terms) most = std::max(most, term.lattice->phases.size());
    return most;
}

// One label block through all phases before the next: a block may fit the cache where all of them do not.
void blur(const std::vector<PlacedLattice>& terms, Rows values, Stage stage, Team& team, int thread) {
    const size_t phases = most_phases(terms);
    for (int b = 0; b < values.blocks; ++b) {
        const int width = values.width[b];
        for (size_t at = 0; at < phases; ++at)
            each_piece(terms, at, team, thread, [&](size_t t, int64_t piece) {
                const Lap lap(team.profile(), stage);
                blur_piece(*terms[t].lattice, at, piece, width, values.values[b] + terms[t].first_row * width);
            });
    }
}

}  // namespace densecrf::cpu
