// F8 and I8 as registers of eight (see simd.h).
#pragma once

#include <immintrin.h>

namespace densecrf::cpu {

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

DENSECRF_INLINE F8 broadcast8(float x) {
    return F8{x, x, x, x, x, x, x, x};
}
DENSECRF_INLINE I8 broadcast8(int32_t x) {
    return I8{x, x, x, x, x, x, x, x};
}

// By name: the compilers do not find these instructions in a < b ? a : b on vectors.
DENSECRF_INLINE F8 min8(F8 a, F8 b) {
    return _mm256_min_ps(a, b);
}
DENSECRF_INLINE F8 max8(F8 a, F8 b) {
    return _mm256_max_ps(a, b);
}

DENSECRF_INLINE I8 less8(F8 a, F8 b) {
    return a < b;
}
DENSECRF_INLINE I8 less8(I8 a, I8 b) {
    return a < b;
}
DENSECRF_INLINE I8 equal8(I8 a, I8 b) {
    return a == b;
}
DENSECRF_INLINE F8 select8(I8 mask, F8 a, F8 b) {
    return mask ? a : b;
}
DENSECRF_INLINE I8 select8(I8 mask, I8 a, I8 b) {
    return mask ? a : b;
}

DENSECRF_INLINE bool any8(I8 mask) {
    return _mm256_movemask_epi8(reinterpret_cast<__m256i>(mask)) != 0;
}

DENSECRF_INLINE F8 to_float8(I8 v) {
    return __builtin_convertvector(v, F8);
}
DENSECRF_INLINE I8 to_int8(F8 v) {
    return __builtin_convertvector(v, I8);
}
DENSECRF_INLINE F8 as_float(I8 v) {
    return reinterpret_cast<F8>(v);
}
DENSECRF_INLINE I8 as_int(F8 v) {
    return reinterpret_cast<I8>(v);
}

#if defined(__clang__)
#define DENSECRF_SHUFFLE8(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define DENSECRF_SHUFFLE8(a, b, ...) __builtin_shuffle(a, b, I8{__VA_ARGS__})  // GCC before 12 has no other
#endif

// row[i][j] -> row[j][i]
DENSECRF_INLINE void transpose8(F8 (&row)[8]) {
    F8 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = DENSECRF_SHUFFLE8(row[i], row[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        a[i + 1] = DENSECRF_SHUFFLE8(row[i], row[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 8; i += 4) {
        for (int j = 0; j < 2; ++j) {
            b[i + j] = DENSECRF_SHUFFLE8(a[i + j], a[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            b[i + j + 2] = DENSECRF_SHUFFLE8(a[i + j], a[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    }
    for (int i = 0; i < 4; ++i) {
        row[i] = DENSECRF_SHUFFLE8(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        row[i + 4] = DENSECRF_SHUFFLE8(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

}  // namespace densecrf::cpu
