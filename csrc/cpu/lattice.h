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
#include "blur_plan.h"
#include "kernels.h"
#include "memory.h"
#include "point_order.h"
#include "team.h"

namespace densecrf::cpu {

struct TermLattice {
    int dims;
    int first_corner;                 // column of its vertex 0 among a point's corners
    std::vector<uint32_t> first_row;  // [partitions + 1]
    std::vector<BlurPhase> phases;    // in the order in which they are run
};

class TermBuilder;
struct CornerStore;

class Lattice {
  public:
    // Potts terms of zero weight are left out. `grid`, and the channels the terms point at, must stay until build
    // is done. Throws std::domain_error if features are too large for their sigma.
    Lattice(const PointOrder& order, const Grid& grid, const std::vector<Term>& terms);
    ~Lattice();

    // Called by every thread of the team.
    void build(Team& team, int thread);

    int64_t rows() const { return rows_; }
    int corners() const { return corners_; }  // per point, over all terms
    const std::vector<TermLattice>& terms() const { return lattices_; }

    // What is left of a term's compatibility for the values to be multiplied with: kPotts means nothing, because a
    // positive weight is in the corner weights.
    const Compatibility& mixing(size_t term) const { return mixing_[term]; }

    // The corners of the points from `start` of the order on. Their weights hold the barycentric weights, the
    // normalisation, a positive Potts weight and log2(e): messages come out in units of log2.
    Corners splat_corners(int64_t start) const { return corners_from(splat_weight_, start); }
    Corners slice_corners(int64_t start) const {
        return corners_from(slice_weight_.size() ? slice_weight_ : splat_weight_, start);
    }

    // The rows of a term that no earlier run of the partition touches: `first` up to `end`.
    struct RowRange {
        uint32_t first, end;
    };
    RowRange fresh_rows(size_t term, int partition, const Run& run) const {
        const uint32_t* at = &fresh_[(order_.index_of(run) + partition) * lattices_.size() + term];
        return {at[0], at[lattices_.size()]};
    }

  private:
    Corners corners_from(const Array<float>& weight, int64_t start) const {
        return {corners_, row_.data() + start * corners_, weight.data() + start * corners_};
    }
    void allocate_corners();
    CornerStore corner_store(size_t term);
    void number_rows();
    void splat_ones(int partition);
    void weigh_corners(int partition);

    const PointOrder& order_;
    std::vector<Term> terms_;
    std::vector<std::unique_ptr<TermBuilder>> builders_;
    std::vector<TermLattice> lattices_;
    std::vector<Compatibility> mixing_;  // [terms]
    int corners_ = 0;
    int64_t rows_ = 0;
    Array<uint32_t> row_;        // [N, corners]
    Array<float> splat_weight_;  // [N, corners]
    Array<float> slice_weight_;  // [N, corners]; empty where it would equal splat_weight_
    Array<uint32_t> fresh_;      // [runs + partitions][terms]: first fresh row of a run, last row of a partition
    Array<float> ones_;          // [rows]; the response to ones, while building
};

// What makes the blur of values [rows]: collect from shared rows, blur every axis, spread to them.
// Called by every thread of the team; counted towards `stage`.
void blur(const Lattice& lattice, Rows values, Stage stage, Team& team, int thread);

}  // namespace densecrf::cpu
