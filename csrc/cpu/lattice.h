// The permutohedral lattices of all pairwise terms, stacked: once built, a sparse matrix from points to rows
// and the chains of neighbouring rows to blur along.
//
// Rows of all terms share one numbering, so filtering a value through every term is one splat, one set of
// blurs and one slice. Each partition of the points has rows of its own, numbered in the order it first touches
// them: threads never write the same row, and a tile's rows lie close together. A vertex that several
// partitions touch has a row in each; the first is canonical, takes part in the blur, and the others send their
// sums to it before and receive its result after.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "../problem.h"
#include "blur.h"
#include "kernels.h"
#include "memory.h"
#include "point_order.h"
#include "team.h"
#include "term_builder.h"

namespace densecrf::cpu {

class Lattice {
  public:
    // Potts terms of zero weight are left out. `grid`, and the channels the terms point at, must stay until build
    // is done. Throws std::domain_error if features are too large for their sigma.
    Lattice(const PointOrder& order, const Grid& grid, const std::vector<Term>& terms);

    // Called by every thread of the team.
    void build(Team& team, int thread);

    int64_t rows() const { return rows_; }
    const std::vector<PlacedLattice>& terms() const { return placed_; }

    // What is left of a term's compatibility for the values to be multiplied with, if anything is: a positive
    // number is in the corner weights.
    const Compatibility& mixing(size_t term) const { return mixing_[term]; }
    bool mixes(size_t term) const { return !mixing_[term].values.empty(); }

    // Whether every kernel is normalised, so that a message is no larger than what it is made of times the
    // weights; and the sum of these.
    bool normalised() const;
    float weights() const;

    // The corners of all points. Their weights hold the barycentric weights, the normalisation, a positive Potts
    // weight and log2(e): messages come out in units of log2.
    CornerList splat_corners() const { return {static_cast<int>(splat_.size()), splat_.data()}; }
    CornerList slice_corners() const { return {static_cast<int>(slice_.size()), slice_.data()}; }

    // Of a term: `first` up to `end`.
    struct RowRange {
        int64_t first, end;
    };
    RowRange partition_rows(size_t term, int64_t partition) const;
    // Those that no earlier run of the partition touches.
    RowRange fresh_rows(size_t term, int64_t partition, const Run& run) const;

  private:
    void build_terms(Team& team, int thread);
    void place_terms();
    void weigh_corners(int partition);
    void finish();

    const PointOrder& order_;
    const Grid& grid_;  // while building
    std::vector<Term> terms_;
    std::vector<std::shared_ptr<const TermLattice>> lattices_;
    std::vector<PlacedLattice> placed_;  // of lattices_
    std::vector<Compatibility> mixing_;  // [terms]
    int64_t rows_ = 0;

    // Per term [N, corners].
    struct Weights {
        Array<float> splat;
        Array<float> slice;  // empty where it would equal splat
    };
    std::vector<Weights> weights_;
    std::vector<Corners> splat_, slice_;  // with these weights

    // While building: those that are not at hand already.
    struct Fresh {
        size_t term;
        std::shared_ptr<TermLattice> lattice;
        std::unique_ptr<TermBuilder> builder;
    };
    std::vector<Fresh> building_;
};

}  // namespace densecrf::cpu
