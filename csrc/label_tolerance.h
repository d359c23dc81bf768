// What leaving labels out of the lattice is bounded by. The only copy, for host and device.
#pragma once

#include <algorithm>

namespace densecrf {

// A label left out loses a message of up to the weights times the tolerance: published weights add up to 10 or so,
// and where they are larger the tolerance is smaller.
constexpr float kUsualWeights = 10.0f;

// Labels left out must not add up: with hundreds of them, all below the tolerance, together they could be all
// there is. So many may be left out if all are as large as the tolerance; more if they are smaller.
constexpr float kMostLeftOut = 20.0f;

// Labels hardly ever lose their last chance in a later iteration than this: no need to look on.
constexpr int kLastLook = 3;

inline float effective_tolerance(float tolerance, float weights) {
    return tolerance * std::min(1.0f, kUsualWeights / weights);
}

}  // namespace densecrf
