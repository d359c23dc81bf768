// Eight floats, or eight integers, side by side: one source for SSE2, AVX2, AVX-512 and NEON.
//
// Included only by files that are compiled once per instruction set. Everything is static, so that the linker
// cannot merge a function built for one instruction set into the code for another.
//
// F8 and I8 come from simd_wide.h, where a register holds eight, or from simd_pair.h, where it holds four. Both
// have + - * / (F8), + - << >> | (I8), also with a number on the right; comparisons give an I8, -1 where true.
#pragma once

#include <cstdint>
#include <cstring>

#define DENSECRF_INLINE static inline __attribute__((always_inline))

#if defined(__AVX__)
#include "simd_wide.h"
#else
#include "simd_pair.h"
#endif

namespace densecrf::cpu {

// The first `count` lanes only; ones in the others.
DENSECRF_INLINE F8 load_some(const float* from, int count) {
    float lanes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (int i = 0; i < count; ++i) lanes[i] = from[i];
    return load8(lanes);
}

DENSECRF_INLINE void store_some(float* to, F8 v, int count) {
    float lanes[8];
    store8(lanes, v);
    for (int i = 0; i < count; ++i) to[i] = lanes[i];
}

// 2^x for -125 <= x <= 127, relative error below 2e-7.
//
// Step by step over kCount vectors: one after the other, their long chains of dependent operations would fill the
// processor's window before the next vector could start (7.1 -> 6.1 ns a point in the soft-max of 21 labels).
template <int kCount>
DENSECRF_INLINE void exp2_8(F8 (&x)[kCount]) {
    constexpr float kFit[] = {9.6715130e-3f, 5.5507336e-2f, 2.4022242e-1f, 6.9314700e-1f, 1.0f};
    const F8 magic = broadcast8(12582912.0f);  // 1.5 * 2^23: the low bits of x + magic are round(x)
    F8 shifted[kCount], p[kCount];
    for (int i = 0; i < kCount; ++i) shifted[i] = x[i] + magic;
    for (int i = 0; i < kCount; ++i) x[i] = x[i] - (shifted[i] - magic);  // -1/2 .. 1/2
    for (int i = 0; i < kCount; ++i) p[i] = broadcast8(1.3264727e-3f);    // minimax fit of 2^x with p(0) = 1,
    for (const float c : kFit)                                            // relative error 1.1e-7
        for (int i = 0; i < kCount; ++i) p[i] = p[i] * x[i] + c;
    for (int i = 0; i < kCount; ++i)
        x[i] = as_float(as_int(p[i]) + (as_int(shifted[i]) << 23));  // to the exponent
}

// log2(x) for positive, normal x; absolute error below 2e-7 near 1.
DENSECRF_INLINE F8 log2_8(F8 x) {
    const I8 half_up = as_int(x) - 0x3F3504F3;  // bits of sqrt(1/2): mantissa in [sqrt(1/2), sqrt(2))
    const I8 exponent = half_up >> 23;
    const F8 m = as_float(as_int(x) - (exponent << 23));
    const F8 s = (m - 1.0f) / (m + 1.0f);  // log(m) = 2 atanh(s)
    const F8 s2 = s * s;
    F8 p = broadcast8(2.885390082f / 9);
    p = p * s2 + 2.885390082f / 7;
    p = p * s2 + 2.885390082f / 5;
    p = p * s2 + 2.885390082f / 3;
    p = p * s2 + 2.885390082f;
    return to_float8(exponent) + p * s;
}

}  // namespace densecrf::cpu
