// The blur of a stack of lattices: collect from shared rows, walk the chains of every axis, spread to shared rows.
#pragma once

#include "kernels.h"
#include "team.h"
#include "term_lattice.h"

namespace densecrf::cpu {

// A term's lattice and where its rows begin.
struct PlacedLattice {
    const TermLattice* lattice;
    int64_t first_row;
};

size_t most_phases(const std::vector<PlacedLattice>& terms);

// Called by every thread of the team; counted towards `stage`.
void blur(const std::vector<PlacedLattice>& terms, Rows values, Stage stage, Team& team, int thread);

// Calls body(term, piece) for all pieces of phase number `at` of every term, and waits for all.
template <class Body>
void each_piece(const std::vector<PlacedLattice>& terms, size_t at, Team& team, int thread, const Body& body) {
    const auto pieces = [&](size_t t) {
        const std::vector<BlurPhase>& phases = terms[t].lattice->phases;
        return at < phases.size() ? phases[at].pieces() : 0;
    };
    int64_t count = 0;
    for (size_t t = 0; t < terms.size(); ++t) count += pieces(t);
    team.each(thread, count, [&](int64_t piece) {
        size_t t = 0;
        for (; piece >= pieces(t); ++t) piece -= pieces(t);
        body(t, piece);
    });
}

}  // namespace densecrf::cpu
