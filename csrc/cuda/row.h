// What a thread takes of a row: four labels side by side, or the single number of a row without labels.
#pragma once

#include <cmath>
#include <cstdint>

#include "runtime.h"

namespace densecrf::cuda {

#if defined(DENSECRF_TWIN)
struct alignas(16) Four {
    float x, y, z, w;
};
#else
using Four = float4;  // one load of 16 bytes
#endif

template <class Part>
DENSECRF_DEVICE Part zero();
template <>
DENSECRF_DEVICE float zero<float>() {
    return 0.0f;
}
template <>
DENSECRF_DEVICE Four zero<Four>() {
    return Four{0.0f, 0.0f, 0.0f, 0.0f};
}

// sum + weight * value, rounded once
DENSECRF_DEVICE float added(float sum, float weight, float value) {
    return fmaf(weight, value, sum);
}
DENSECRF_DEVICE Four added(Four sum, float weight, Four value) {
    return Four{fmaf(weight, value.x, sum.x), fmaf(weight, value.y, sum.y), fmaf(weight, value.z, sum.z),
                fmaf(weight, value.w, sum.w)};
}

// index = row * parts + part, without the slow division of 64 bits where 32 will do.
struct RowPart {
    int64_t row;
    int part;
};
DENSECRF_DEVICE RowPart row_part(int64_t index, int parts) {
    if (index <= UINT32_MAX) {
        const auto i = static_cast<uint32_t>(index), n = static_cast<uint32_t>(parts);
        return {static_cast<int64_t>(i / n), static_cast<int>(i % n)};
    }
    return {index / parts, static_cast<int>(index % parts)};
}

}  // namespace densecrf::cuda
