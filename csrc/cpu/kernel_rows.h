// Rows of one label block in registers, and numbers known to the compiler.
// Included by kernels.cpp alone, once for each instruction set: nothing here may be shared between object files.
#pragma once

#include "simd.h"

namespace densecrf::cpu {
namespace {

// Floats in a register. With AVX-512 a 16-wide row is one register and one cache line.
#if defined(__AVX512F__)
constexpr int kRegister = 16;
#elif defined(__AVX__)
constexpr int kRegister = 8;
#else
constexpr int kRegister = 4;
#endif

// A row of one label block: kWidth floats.
template <int kWidth>
struct Row {
    static constexpr int kEach = kWidth < kRegister ? kWidth : kRegister;
    static constexpr int kVectors = kWidth / kEach;
    typedef float Vector __attribute__((vector_size(4 * kEach)));
    typedef float Unaligned __attribute__((vector_size(4 * kEach), aligned(4), may_alias));
    Vector v[kVectors];

    DENSECRF_INLINE Row load(const float* from) {
        Row row;
        for (int i = 0; i < kVectors; ++i) row.v[i] = reinterpret_cast<const Unaligned*>(from)[i];
        return row;
    }
    DENSECRF_INLINE Row zero() {
        Row row;
        for (int i = 0; i < kVectors; ++i) row.v[i] = Vector{};
        return row;
    }
    __attribute__((always_inline)) void store(float* to) const {
        for (int i = 0; i < kVectors; ++i) reinterpret_cast<Unaligned*>(to)[i] = v[i];
    }
    __attribute__((always_inline)) void add(float weight, const Row& other) {
        for (int i = 0; i < kVectors; ++i) v[i] += weight * other.v[i];
    }
    __attribute__((always_inline)) void scale(float weight) {
        for (int i = 0; i < kVectors; ++i) v[i] *= weight;
    }
};

template <>
struct Row<1> {
    float v;

    DENSECRF_INLINE Row load(const float* from) { return {*from}; }
    DENSECRF_INLINE Row zero() { return {0.0f}; }
    __attribute__((always_inline)) void store(float* to) const { *to = v; }
    __attribute__((always_inline)) void add(float weight, const Row& other) { v += weight * other.v; }
    __attribute__((always_inline)) void scale(float weight) { v *= weight; }
};

template <>
struct Row<0> {
    DENSECRF_INLINE Row load(const float*) { return {}; }
    DENSECRF_INLINE Row zero() { return {}; }
    __attribute__((always_inline)) void store(float*) const {}
    __attribute__((always_inline)) void add(float, const Row&) {}
};

// A number known to the compiler, so that loops over it are unrolled; 0 stands for one that is not.
template <int kValue>
struct Constant {
    static constexpr int value = kValue;
};

}  // namespace
}  // namespace densecrf::cpu
