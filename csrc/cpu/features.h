// Features of a term, made where they are needed: a few points at a time, never a whole [D, N] array.
#pragma once

#include "../problem.h"
#include "simplices.h"

namespace densecrf::cpu {

// Features of one term: position / sigma, then channel / sigma (Krähenbühl & Koltun 2011, section 2).
class Features {
  public:
    Features(const Grid& grid, const Term& term) : grid_(grid), channels_(term.channels), term_(term) {}

    int dims() const { return term_.dims(); }

    // max_abs [dims]: the largest |feature| over all points.
    void max_abs(double* max_abs) const;

    // Features of points first .. first + count - 1, count <= kLanes; the lanes left over repeat the last point.
    void load(int64_t first, int count, FeatureLanes& out) const;

  private:
    float channel(int64_t point, int c) const;

    const Grid& grid_;
    const Channels channels_;
    const Term& term_;
};

}  // namespace densecrf::cpu
