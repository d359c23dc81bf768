// Builds the lattice of one term: embed the points, number the vertices, find their neighbours.
#pragma once

#include <memory>

#include "lattice.h"

namespace densecrf::cpu {

// The corners of all points, as the builder of one term sees them.
struct CornerStore {
    uint32_t* row;  // [N, per_point]
    float* weight;  // [N, per_point]
    int per_point;
    uint32_t* fresh;  // [runs + partitions][terms], see Lattice::fresh_rows; this term's
    size_t terms;
};

class TermBuilder {
  public:
    virtual ~TermBuilder() = default;

    // Per partition: fill in this term's corners with rows numbered from 0 within the partition, and
    // barycentric weights.
    virtual void embed(int partition, const CornerStore& corners, Profile* profile) = 0;

    virtual uint32_t partition_rows(int partition) const = 0;

    // Once lattice.first_row is known.
    virtual void join_partitions() = 0;

    // Per phase of the blur: rows to pieces. Then per piece: its chains. Then per phase again: chains end to end.
    virtual void sort(int phase) = 0;
    virtual void link(int phase, int64_t piece) = 0;
    virtual void close_gaps(int phase) = 0;
};

// `lattice` must outlive the builder, as must all the rest.
std::unique_ptr<TermBuilder> make_term_builder(const PointOrder& order, const Grid& grid, const Term& term,
                                               TermLattice& lattice);

}  // namespace densecrf::cpu
