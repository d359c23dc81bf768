// What normalising a kernel means for the weights of a point's corners. The only copy, for host and device.
#pragma once

#include "problem.h"
#include "simplex.h"

namespace densecrf {

constexpr float kTiny = 1e-20f;  // keeps an empty neighbourhood from dividing by zero

// What a term's barycentric weights are multiplied with, on the way into the lattice and on the way out.
struct Factors {
    float splat, slice;
};

// norm: the filter's response to ones at the point; strength: weight, slice scale and log2(e).
DENSECRF_HD Factors factors(Normalization normalization, float norm, float strength) {
    switch (normalization) {
        case Normalization::kSymmetric: {
            const float both = sqrtf(strength / (norm + kTiny));
            return {both, both};
        }
        case Normalization::kBefore:
            return {1.0f / (norm + kTiny), strength};
        case Normalization::kAfter:
            return {1.0f, strength / (norm + kTiny)};
        case Normalization::kNone:
            break;
    }
    return {1.0f, strength};
}

// Whether the compatibility is one positive number, which the corner weights can take up.
inline bool folds(const Term& term) {
    return term.compatibility.kind == Compatibility::Kind::kPotts && term.compatibility.values[0] > 0;
}

// Whether a term does nothing at all.
inline bool is_silent(const Term& term) {
    return term.compatibility.kind == Compatibility::Kind::kPotts && term.compatibility.values[0] == 0;
}

inline float strength(const Term& term) {
    return (folds(term) ? term.compatibility.values[0] : 1.0f) * kLog2e * slice_scale(term.dims());
}

}  // namespace densecrf
