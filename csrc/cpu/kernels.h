// The inner loops, compiled once per instruction set and picked at run time. Raw pointers only: checks, sizes
// and memory are the callers' business (lattice.cpp, mean_field.cpp).
//
// Rows hold the values of one vertex or one point, labels side by side, padded to a multiple of 8. They are
// stored in label blocks of 16 or 8 (one cache line or half of one), each block an array [rows][width] of its own.
#pragma once

#include <cstdint>

#include "simplices.h"

namespace densecrf::cpu {

constexpr uint32_t kLastOfChain = 0x80000000u;

// Where the values of a few points go to and come from: per point, `per_point` rows and their weights.
struct Corners {
    int per_point;
    const uint32_t* row;  // [points, per_point]
    const float* weight;  // [points, per_point]
};

// Label-major scores or marginals: label l of point i lies at data[l * points + i].
template <class T>
struct Planes {
    T* data;
    int64_t points;
    int labels;
};

struct BlockKernels {
    int width;  // labels per row: 16, 8, or 1 (sums that have no labels)

    // out[p] = base[p] + sum_k weight[p][k] * values[row[p][k]]; base [count][width] may be null. `stride` is
    // from point to point in out.
    void (*slice)(int count, Corners corners, const float* values, const float* base, float* out, int stride);

    // values[row[p][k]] += weight[p][k] * in[p]
    void (*splat)(int count, Corners corners, const float* in, int stride, float* values);

    // One axis: row += (previous + next) / 2 along chains of neighbours, in place. `chain` lists rows in order;
    // kLastOfChain marks a chain's last, and count ends with one.
    void (*blur)(int64_t count, const uint32_t* chain, float* values);
};

struct Kernels {
    const char* name;  // "avx512", "avx2", "baseline"

    BlockKernels one, eight, sixteen;
    void (*slice24)(int count, Corners corners, const float* v16, const float* v8, const float* b16, const float* b8, float* out, int stride);
    void (*splat24)(int count, Corners corners, const float* in, int stride, float* v16, float* v8);

    void (*simplices)(int dims, const float* scale, const FeatureLanes& features, SimplexLanes& out);

    // Points first .. first + count - 1 -> x [count][stride]: log2 of the unnormalised marginals, largest label
    // at 0, labels beyond L far below; scores are multiplied with `scale`, or clipped. scratch [stride * 8].
    void (*read_logits)(Planes<const float> scores, float scale, int64_t first, int count, float* x, int stride,
                        float* scratch);
    void (*read_probs)(Planes<const float> scores, float clip, int64_t first, int count, float* x, int stride,
                       float* scratch);

    // The values as they are, zeros in the labels beyond L.
    void (*read_values)(Planes<const float> values, int64_t first, int count, float* q, int stride);

    // q = 2^x / sum of 2^x, both [count rounded up to 8][stride]. Exponents below `floor` count as floor.
    void (*softmax)(int count, int labels, float floor, const float* x, float* q, int stride);

    // q = keep * kept + (1 - keep) * q, and kept becomes the new q; both [count][stride]. Returns the largest
    // change.
    float (*blend)(int count, float keep, float* q, float* kept, int stride);

    // scale * q -> values
    void (*write)(int count, const float* q, int stride, float scale, Planes<float> values, int64_t first);

    // Rows of all label blocks times a matrix [stride][stride] over labels: row <- row * matrix. scratch [stride].
    void (*mix)(int64_t rows, const float* matrix, int stride, const BlockKernels* blocks, float* const* values,
                float* scratch);
};

// The best this machine runs, or the one that the environment variable DENSECRF_ISA names.
const Kernels& kernels();

}  // namespace densecrf::cpu
