// Eight floats, in the compiler's own vector type: one source for SSE2, AVX2, AVX-512 and NEON.
//
// Included only by files that are compiled once per instruction set. Everything is static, so that the linker
// cannot merge a function built for one instruction set into the code for another.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace densecrf::cpu {

#define DENSECRF_INLINE static inline __attribute__((always_inline))

typedef float F8 __attribute__((vector_size(32)));
typedef int32_t I8 __attribute__((vector_size(32)));

DENSECRF_INLINE F8 load8(const float* from) {
    F8 v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

DENSECRF_INLINE void store8(float* to, F8 v) {
    std::memcpy(to, &v, sizeof v);
}

// The first `count` lanes only; ones in the others.
DENSECRF_INLINE F8 load_some(const float* from, int count) {
    float lanes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (int i = 0; i < count; ++i) lanes[i] = from[i];
    return load8(lanes);
}

DENSECRF_INLINE void store_some(float* to, F8 v, int count) {
    for (int i = 0; i < count; ++i) to[i] = v[i];
}

DENSECRF_INLINE F8 broadcast8(float x) {
    return F8{x, x, x, x, x, x, x, x};
}

// min and max by name: the compilers do not find these instructions in a < b ? a : b on vectors.
#if defined(__AVX__)
DENSECRF_INLINE F8 min8(F8 a, F8 b) { return _mm256_min_ps(a, b); }
DENSECRF_INLINE F8 max8(F8 a, F8 b) { return _mm256_max_ps(a, b); }
#else
typedef float F4 __attribute__((vector_size(16)));

DENSECRF_INLINE F4 half(F8 v, int i) {
    F4 h;
    std::memcpy(&h, reinterpret_cast<const char*>(&v) + 16 * i, sizeof h);
    return h;
}

DENSECRF_INLINE F8 both(F4 low, F4 high) { return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7); }

DENSECRF_INLINE F8 min8(F8 a, F8 b) {
    return both(half(a, 0) < half(b, 0) ? half(a, 0) : half(b, 0), half(a, 1) < half(b, 1) ? half(a, 1) : half(b, 1));
}
DENSECRF_INLINE F8 max8(F8 a, F8 b) {
    return both(half(a, 0) > half(b, 0) ? half(a, 0) : half(b, 0), half(a, 1) > half(b, 1) ? half(a, 1) : half(b, 1));
}
#endif

DENSECRF_INLINE F8 as_float(I8 v) {
    F8 f;
    std::memcpy(&f, &v, sizeof f);
    return f;
}

// Whether any lane of a comparison is true.
DENSECRF_INLINE bool any(I8 mask) {
    uint64_t half[4];
    std::memcpy(half, &mask, sizeof half);
    return (half[0] | half[1] | half[2] | half[3]) != 0;
}

DENSECRF_INLINE I8 as_int(F8 v) {
    I8 i;
    std::memcpy(&i, &v, sizeof i);
    return i;
}

// row[i][j] -> row[j][i]
DENSECRF_INLINE void transpose8(F8 (&row)[8]) {
    F8 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = __builtin_shufflevector(row[i], row[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        a[i + 1] = __builtin_shufflevector(row[i], row[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int j = 0; j < 2; ++j) {
            b[i + j] = __builtin_shufflevector(a[i + j], a[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            b[i + j + 2] = __builtin_shufflevector(a[i + j], a[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    }
    for (int i = 0; i < 4; ++i) {
        row[i] = __builtin_shufflevector(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        row[i + 4] = __builtin_shufflevector(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

// 2^x for -125 <= x <= 127, relative error below 2e-7.
DENSECRF_INLINE F8 exp2_8(F8 x) {
    const F8 magic = broadcast8(12582912.0f);  // 1.5 * 2^23: the low bits of x + magic are round(x)
    const F8 shifted = x + magic;
    const F8 f = x - (shifted - magic);  // -1/2 .. 1/2
    F8 p = broadcast8(1.3264727e-3f);    // minimax fit of 2^f with p(0) = 1, relative error 1.1e-7
    p = p * f + 9.6715130e-3f;
    p = p * f + 5.5507336e-2f;
    p = p * f + 2.4022242e-1f;
    p = p * f + 6.9314700e-1f;
    p = p * f + 1.0f;
    return as_float(as_int(p) + (as_int(shifted) << 23));  // into the exponent
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
    return __builtin_convertvector(exponent, F8) + p * s;
}

}  // namespace densecrf::cpu
