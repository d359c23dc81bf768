// The inner loops, compiled once per instruction set and picked at run time. Raw pointers only: checks, sizes
// and memory are the callers' business (lattice.cpp, mean_field.cpp).
//
// Rows hold the values of one vertex or one point, labels side by side. At points being worked on (a scratch) they
// are padded to a multiple of 8 and lie `stride` apart. In large arrays they are cut into label blocks of 16, 8 or
// 4 (a cache line, half of one, a quarter), each block an array [rows][width] of its own; a single block of 1
// holds values that have no labels.
#pragma once

#include <cstdint>

#include "../problem.h"
#include "simplices.h"

namespace densecrf::cpu {

constexpr uint32_t kLastOfChain = 0x80000000u;
constexpr int kFetchAhead = 64;
constexpr int kRunLength = 64;      // points worked on together, at most
constexpr float kAbsent = -256.0f;  // log2 of "no such label"

// Where the values of points go to and come from in one term's lattice: per point, `per_point` rows, numbered from
// the term's first row on, and their weights.
struct Corners {
    int per_point;
    const uint32_t* row;  // [points, per_point]
    const float* weight;  // [points, per_point]
    int64_t first_row;
};

// Of all terms.
struct CornerList {
    int terms;
    const Corners* term;
};

// Label-major scores or marginals: label l of point i lies at plane(l)[i].
template <class T>
struct Planes {
    T* data;
    int64_t points;
    int labels;
    const int* which = nullptr;  // numbers of the planes meant, [labels]; null for the first ones

    T* plane(int l) const { return data + (which ? which[l] : l) * points; }
};

// Rows of all label blocks: block b of row r begins at values[b] + r * width[b].
struct Rows {
    int blocks;
    const int* width;
    float* const* values;
};

struct Kernels {
    const char* name;  // "avx512", "avx2", "baseline"

    // For p = start .. start + count - 1: out[p - start] = base[p] + sum_k weight[p][k] * values[row[p][k]], over
    // all terms; without base if that has no blocks.
    void (*slice)(int count, CornerList corners, int64_t start, Rows values, Rows base, float* out, int stride);

    // values[row[p][k]] += weight[p][k] * in[p - start]
    void (*splat)(int count, CornerList corners, int64_t start, const float* in, int stride, Rows values);

    // One axis, one block: row += (previous + next) / 2 along chains of neighbours, in place. `chain` lists rows
    // in order; kLastOfChain marks a chain's last, and count ends with one. Rows of the kFetchAhead entries beyond
    // count are fetched into the cache: let them be what comes next.
    void (*blur)(int64_t count, const uint32_t* chain, int width, float* values);

    void (*simplices)(int dims, const float* scale, const FeatureLanes& features, SimplexLanes& out);

    // The extremes of the scores of points first .. first + count - 1 and their sums over labels, into sum
    // [count]; where a score is NaN or infinite, a sum is.
    void (*extremes)(Planes<const float> scores, int64_t first, int count, float* sum, float* min, float* max);

    // largest [labels] = max(largest, the scores of these points)
    void (*peaks)(Planes<const float> scores, int64_t first, int64_t count, float* largest);

    // Points first .. first + count - 1 -> x [count][stride]: log2 of the unnormalised marginals, largest label
    // at 0, labels beyond L far below; scores are multiplied with `scale`, or clipped. count <= kRunLength;
    // scratch [labels, kRunLength].
    void (*read_logits)(Planes<const float> scores, float scale, int64_t first, int count, float* x, int stride,
                        float* scratch);
    void (*read_probs)(Planes<const float> scores, float clip, int64_t first, int count, float* x, int stride,
                       float* scratch);

    // The values as they are, zeros in the labels beyond L.
    void (*read_values)(Planes<const float> values, int64_t first, int count, float* q, int stride);

    // q = 2^x / (sum of 2^x + 2^rest), both [count rounded up to 8][stride]; rest [count] may be null. Exponents
    // below `floor` count as floor. Returns the largest share of a rest in its sum.
    float (*softmax)(int count, int labels, float floor, const float* x, const float* rest, float* q, int stride);

    // rest[p] = log2 of the sum of 2^x[p][l] over the labels with dropped[l] = 0; those kept have -512. x [count
    // rounded up to 8][stride].
    void (*sum_dropped)(int count, const float* x, const float* dropped, float* rest, int stride);

    // largest [stride] = max(largest, q over all points)
    void (*raise)(int count, const float* q, int stride, float* largest);

    // For two labels, and x [count] the log2 of the odds of the first: from scores; to q0 - q1; to marginals.
    void (*read_odds)(Planes<const float> scores, Scores kind, float clip, int64_t first, int count, float* x);
    void (*difference)(int count, const float* x, float* out);
    void (*write_odds)(int count, const float* x, Planes<float> values, int64_t first);

    // q = keep * kept + (1 - keep) * q, and kept becomes the new q; both [count][stride]. Returns the largest
    // change.
    float (*blend)(int count, float keep, float* q, float* kept, int stride);

    // scale * q -> values
    void (*write)(int count, const float* q, int stride, float scale, Planes<float> values, int64_t first);

    // Rows times a matrix [stride][stride] over labels: row <- row * matrix. scratch [stride].
    void (*mix)(int64_t count, const float* matrix, int stride, Rows rows, float* scratch);
};

// The best this machine runs, or the one that the environment variable DENSECRF_ISA names.
const Kernels& kernels();

}  // namespace densecrf::cpu
