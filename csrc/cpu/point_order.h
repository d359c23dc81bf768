// The order in which points are visited: 64 x 64 tiles of the picture, so that a tile's lattice vertices stay
// in the cache, cut into partitions that threads work on independently.
//
// The order and the partitions depend on the grid alone, never on the number of threads. That is what makes
// results bit-identical for every number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../problem.h"
#include "kernels.h"

namespace densecrf::cpu {

// Consecutive points of the picture, and consecutive in the order: points first .. first + count - 1 are the
// order's start .. start + count - 1.
struct Run {
    int64_t first;
    int64_t start;
    int count;  // 1 .. kRunLength
};

class PointOrder {
  public:
    explicit PointOrder(const Grid& grid);

    int64_t points() const { return points_; }
    int partitions() const { return static_cast<int>(first_run_.size()) - 1; }
    const Run* begin(int partition) const { return runs_.data() + first_run_[partition]; }
    const Run* end(int partition) const { return runs_.data() + first_run_[partition + 1]; }
    int64_t first_point(int partition) const;  // in the order; partitions() gives N
    int64_t points_of(int partition) const { return first_point(partition + 1) - first_point(partition); }
    size_t runs() const { return runs_.size(); }
    size_t index_of(const Run& run) const { return &run - runs_.data(); }

  private:
    void add_tiles(int64_t first, int64_t height, int64_t width);
    void add_run(int64_t first, int count);
    void cut_into_partitions();

    int64_t points_ = 0;
    std::vector<Run> runs_;
    std::vector<size_t> first_run_;  // [partitions + 1]
};

}  // namespace densecrf::cpu
