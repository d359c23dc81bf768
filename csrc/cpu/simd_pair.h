// F8 and I8 as pairs of registers of four (see simd.h).
#pragma once

namespace densecrf::cpu {

typedef float F4 __attribute__((vector_size(16)));
typedef int32_t I4 __attribute__((vector_size(16)));

struct F8 {
    F4 low, high;
};
struct I8 {
    I4 low, high;
};

DENSECRF_INLINE F8 load8(const float* from) {
    F8 v;
    std::memcpy(&v.low, from, 16);
    std::memcpy(&v.high, from + 4, 16);
    return v;
}
DENSECRF_INLINE void store8(float* to, F8 v) {
    std::memcpy(to, &v.low, 16);
    std::memcpy(to + 4, &v.high, 16);
}

DENSECRF_INLINE F8 broadcast8(float x) {
    return {F4{x, x, x, x}, F4{x, x, x, x}};
}
DENSECRF_INLINE I8 broadcast8(int32_t x) {
    return {I4{x, x, x, x}, I4{x, x, x, x}};
}

DENSECRF_INLINE F8 operator+(F8 a, F8 b) {
    return {a.low + b.low, a.high + b.high};
}
DENSECRF_INLINE F8 operator-(F8 a, F8 b) {
    return {a.low - b.low, a.high - b.high};
}
DENSECRF_INLINE F8 operator*(F8 a, F8 b) {
    return {a.low * b.low, a.high * b.high};
}
DENSECRF_INLINE F8 operator/(F8 a, F8 b) {
    return {a.low / b.low, a.high / b.high};
}
DENSECRF_INLINE F8 operator+(F8 a, float b) {
    return a + broadcast8(b);
}
DENSECRF_INLINE F8 operator-(F8 a, float b) {
    return a - broadcast8(b);
}
DENSECRF_INLINE F8 operator*(F8 a, float b) {
    return a * broadcast8(b);
}
DENSECRF_INLINE F8 operator*(float a, F8 b) {
    return broadcast8(a) * b;
}
DENSECRF_INLINE F8 operator-(float a, F8 b) {
    return broadcast8(a) - b;
}
DENSECRF_INLINE F8 operator/(float a, F8 b) {
    return broadcast8(a) / b;
}
DENSECRF_INLINE F8& operator+=(F8& a, F8 b) {
    return a = a + b;
}

DENSECRF_INLINE I8 operator+(I8 a, I8 b) {
    return {a.low + b.low, a.high + b.high};
}
DENSECRF_INLINE I8 operator-(I8 a, I8 b) {
    return {a.low - b.low, a.high - b.high};
}
DENSECRF_INLINE I8 operator*(I8 a, int32_t b) {
    return {a.low * b, a.high * b};
}
DENSECRF_INLINE I8 operator|(I8 a, I8 b) {
    return {a.low | b.low, a.high | b.high};
}
DENSECRF_INLINE I8 operator-(I8 a, int32_t b) {
    return a - broadcast8(b);
}
DENSECRF_INLINE I8 operator+(int32_t a, I8 b) {
    return broadcast8(a) + b;
}
DENSECRF_INLINE I8 operator<<(I8 a, int bits) {
    return {a.low << bits, a.high << bits};
}
DENSECRF_INLINE I8 operator>>(I8 a, int bits) {
    return {a.low >> bits, a.high >> bits};
}
DENSECRF_INLINE I8& operator+=(I8& a, I8 b) {
    return a = a + b;
}
DENSECRF_INLINE I8& operator-=(I8& a, I8 b) {
    return a = a - b;
}

DENSECRF_INLINE I8 less8(F8 a, F8 b) {
    return {a.low < b.low, a.high < b.high};
}
DENSECRF_INLINE I8 less8(I8 a, I8 b) {
    return {a.low < b.low, a.high < b.high};
}
DENSECRF_INLINE I8 equal8(I8 a, I8 b) {
    return {a.low == b.low, a.high == b.high};
}
DENSECRF_INLINE F8 select8(I8 mask, F8 a, F8 b) {
    return {mask.low ? a.low : b.low, mask.high ? a.high : b.high};
}
DENSECRF_INLINE I8 select8(I8 mask, I8 a, I8 b) {
    return {mask.low ? a.low : b.low, mask.high ? a.high : b.high};
}
DENSECRF_INLINE F8 min8(F8 a, F8 b) {
    return select8(less8(a, b), a, b);
}
DENSECRF_INLINE F8 max8(F8 a, F8 b) {
    return select8(less8(b, a), a, b);
}

DENSECRF_INLINE bool any8(I8 mask) {
    const I4 both = mask.low | mask.high;
    uint64_t half[2];
    std::memcpy(half, &both, sizeof half);
    return (half[0] | half[1]) != 0;
}

DENSECRF_INLINE F8 to_float8(I8 v) {
    return {__builtin_convertvector(v.low, F4), __builtin_convertvector(v.high, F4)};
}
DENSECRF_INLINE I8 to_int8(F8 v) {
    return {__builtin_convertvector(v.low, I4), __builtin_convertvector(v.high, I4)};
}
DENSECRF_INLINE F8 as_float(I8 v) {
    return {reinterpret_cast<F4>(v.low), reinterpret_cast<F4>(v.high)};
}
DENSECRF_INLINE I8 as_int(F8 v) {
    return {reinterpret_cast<I4>(v.low), reinterpret_cast<I4>(v.high)};
}

#if defined(__clang__)
#define DENSECRF_SHUFFLE4(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define DENSECRF_SHUFFLE4(a, b, ...) __builtin_shuffle(a, b, I4{__VA_ARGS__})  // GCC before 12 has no other
#endif

DENSECRF_INLINE void transpose4(F4& r0, F4& r1, F4& r2, F4& r3) {
    const F4 a = DENSECRF_SHUFFLE4(r0, r1, 0, 4, 1, 5), b = DENSECRF_SHUFFLE4(r0, r1, 2, 6, 3, 7);
    const F4 c = DENSECRF_SHUFFLE4(r2, r3, 0, 4, 1, 5), d = DENSECRF_SHUFFLE4(r2, r3, 2, 6, 3, 7);
    r0 = DENSECRF_SHUFFLE4(a, c, 0, 1, 4, 5);
    r1 = DENSECRF_SHUFFLE4(a, c, 2, 3, 6, 7);
    r2 = DENSECRF_SHUFFLE4(b, d, 0, 1, 4, 5);
    r3 = DENSECRF_SHUFFLE4(b, d, 2, 3, 6, 7);
}

// row[i][j] -> row[j][i]
DENSECRF_INLINE void transpose8(F8 (&row)[8]) {
    transpose4(row[0].low, row[1].low, row[2].low, row[3].low);
    transpose4(row[4].high, row[5].high, row[6].high, row[7].high);
    transpose4(row[0].high, row[1].high, row[2].high, row[3].high);
    transpose4(row[4].low, row[5].low, row[6].low, row[7].low);
    for (int i = 0; i < 4; ++i) {
        const F4 swapped = row[i].high;
        row[i].high = row[i + 4].low;
        row[i + 4].low = swapped;
    }
}

}  // namespace densecrf::cpu
