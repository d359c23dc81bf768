// Builds the lattice of one term: embed the points, number the vertices, find their neighbours.
#pragma once

#include <memory>

#include "../problem.h"
#include "point_order.h"
#include "team.h"
#include "term_lattice.h"

namespace densecrf::cpu {

// Called in this order, from all threads of a team; the parts of a step may run side by side.
class TermBuilder {
  public:
    virtual ~TermBuilder() = default;

    // Per partition: corners, with rows numbered from 0 within the partition, and barycentric weights.
    virtual void embed(int partition, Team& team) = 0;

    // Once: every partition's place among the rows. Returns how many bytes the steps that follow take.
    virtual size_t number_rows(Team& team) = 0;

    // Per phase of the blur: rows to pieces. Then per piece: its chains. Then per phase again: chains end to end.
    virtual void sort(int phase, Team& team) = 0;
    virtual void link(int phase, int64_t piece) = 0;
    virtual void close_gaps(int phase, Team& team) = 0;

    // Per partition: corners to rows of the whole term, and ones into the lattice. Then, when `ones` is blurred:
    // the response to them.
    virtual void splat_ones(int partition, Team& team) = 0;
    virtual float* ones() = 0;  // [rows]
    virtual void slice_ones(int partition, Team& team) = 0;
};

// The grid, the channels of the term and `lattice` must outlive the builder. Throws std::domain_error if features
// are too large for their sigma.
std::unique_ptr<TermBuilder> make_term_builder(const PointOrder& order, const Grid& grid, const Term& term,
                                               TermLattice& lattice);

}  // namespace densecrf::cpu
