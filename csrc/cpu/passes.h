// What a thread does with a run of points, between rows of labels at points and rows of the lattice.
#pragma once

#include "label_blocks.h"
#include "lattice.h"
#include "runs.h"
#include "subtotals.h"

namespace densecrf::cpu {

// Room for one run of points: exponents x, marginals q and those kept from before [kRunLength, padded labels], and
// columns to transpose. Labels that no block holds are absent from x and zero in `kept`, and stay so.
struct Scratch {
    explicit Scratch(int stride);
    Array<float> x, q, kept, columns;
};

// Rows of the lattice, while a thread adds the points of a partition to its own.
struct Sums {
    const BlockedValues& rows;
    Subtotals subtotals;
};

// The passes for so many labels: all of the caller's, or those that still matter.
class Passes {
  public:
    Passes(const PointOrder& order, const Lattice& lattice, int labels);

    const PointOrder& order() const { return order_; }
    const Lattice& lattice() const { return lattice_; }
    int labels() const { return labels_; }
    int stride() const { return stride_; }  // labels, padded: from row to row in a scratch

    // Room for the labels at all points, or in all rows of the lattice.
    void shape_points(BlockedValues& values) const { values.shape(blocks_, order_.points()); }
    void shape_rows(BlockedValues& values) const { values.shape(blocks_, lattice_.rows()); }

    // rows [count][stride] of a scratch <-> rows of points. Labels beyond L stay what they are in the scratch.
    void keep(const Run& run, const float* rows, const BlockedValues& points) const;
    void recall(const Run& run, const BlockedValues& points, float* rows) const;

    // Begins a partition: zero, for its own rows.
    void clear(int64_t partition, Sums& sums, Team& team) const;

    // Fetches into the cache what the next run is the first of the partition to look at.
    void expect_next(int64_t partition, const Run& run, const BlockedValues& values) const;

    // x = base + what the lattice says; base may be null. Sums are whole after all runs of a partition.
    void slice(const Run& run, const BlockedValues& values, const BlockedValues* base, float* x) const;
    void splat(const Run& run, const float* q, Sums& sums) const;

    // Blurs, and multiplies with compatibilities that the corner weights do not hold. Called by every thread.
    void filter(const BlockedValues& values, Team& team, int thread) const;

  private:
    void mix(size_t term, const BlockedValues& values, Team& team, int thread) const;

    const PointOrder& order_;
    const Lattice& lattice_;
    const int labels_, stride_;
    const std::vector<int> blocks_;       // their widths
    std::vector<Array<float>> matrices_;  // [terms][stride][stride], transposed; empty where nothing is to mix
};

}  // namespace densecrf::cpu
