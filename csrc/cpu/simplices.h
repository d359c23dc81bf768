// What goes into and comes out of the search for simplices, eight points side by side, in plain arrays.
#pragma once

#include <cstdint>

#include "../simplex.h"

namespace densecrf::cpu {

constexpr int kLanes = 8;

using FeatureLanes = float[kMaxDims][kLanes];

// simplex.h's Simplex for each lane.
struct SimplexLanes {
    int32_t remainder0[kMaxDims + 1][kLanes];
    int32_t axis_at[kMaxDims + 1][kLanes];
    float barycentric[kMaxDims + 1][kLanes];
};

}  // namespace densecrf::cpu
