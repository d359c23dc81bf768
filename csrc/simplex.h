// Where a feature point lies in the permutohedral lattice: the enclosing simplex and the barycentric weights
// (Adams, Baek & Davis 2010, sections 3.1 and 3.2). The only copy of this maths, for host and device.
//
// Everything is written over kLanes points side by side, so that one source is a vector loop on a CPU (8 or 16
// lanes) and scalar code in a CUDA thread (1 lane). The order of the float operations is that of Krähenbühl's
// program, and files that include this header are compiled without contraction into fused multiply-adds: the
// same simplex comes out on every machine.
#pragma once

#include <cmath>
#include <cstdint>

// Always inlined: the callers' constants unroll the loops, and host code is built once per instruction set, so no
// copy of a function may be shared between object files.
#if defined(__CUDACC__)
#define DENSECRF_HD __host__ __device__ __forceinline__
#else
#define DENSECRF_HD static inline __attribute__((always_inline))
#endif

namespace densecrf {

// Feature dimensions a lattice can have. Above, nearly every point has a simplex of its own.
constexpr int kMaxDims = 32;

// Elevated coordinates up to this size keep their place: float32 still resolves 1/8 of a lattice step there,
// and the remainder arithmetic below stays within one period.
constexpr float kMaxElevated = 1048576.0f;

// Scale of feature i, so that the blur has unit variance in feature space (section 3.1, the matrix E).
inline float simplex_scale(int dims, int i) {
    const float deviation = static_cast<float>(std::sqrt(2.0 / 3.0) * (dims + 1));
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(i + 1) * (i + 2)) * deviation);
}

// The largest |elevated coordinate| that features bounded by `max_abs` [dims] can reach.
inline double elevated_bound(int dims, const double* max_abs) {
    double sum = 0, bound = 0;
    for (int j = dims; j >= 1; --j) {
        const double c = max_abs[j - 1] * simplex_scale(dims, j - 1);
        bound = std::fmax(bound, sum + j * c);
        sum += c;
    }
    return std::fmax(bound, sum);
}

// What slicing multiplies with: the blur's total mass (section 3.3; 1/(1 + 2^-d) as Krähenbühl has it).
inline float slice_scale(int dims) {
    return 1.0f / (1.0f + std::exp2(static_cast<float>(-dims)));
}

// The simplex around each of kLanes points.
template <int kLanes, int kCapacity = kMaxDims + 1>
struct Simplices {
    float remainder0[kCapacity][kLanes];   // the remainder-0 vertex, coordinates 0..dims
    int32_t axis_at[kCapacity][kLanes];    // axis_at[q]: the axis whose offset from remainder0 has rank q
    float barycentric[kCapacity][kLanes];  // weight of vertex r
};

namespace detail {

// Round half to even without a library call; good for |x| < 2^22.
DENSECRF_HD float round_even(float x) {
    const float magic = 12582912.0f;  // 1.5 * 2^23
    return (x + magic) - magic;
}

// Rank of every axis by its offset from remainder 0, largest first; ties go to the lower axis.
template <int kLanes, int kCapacity>
DENSECRF_HD void rank_axes(int dims, const float (&offset)[kCapacity][kLanes],
                           int32_t (&rank)[kCapacity][kLanes]) {
    for (int i = 0; i <= dims; ++i)
        for (int l = 0; l < kLanes; ++l) rank[i][l] = 0;
    for (int i = 0; i < dims; ++i) {
        for (int j = i + 1; j <= dims; ++j) {
            for (int l = 0; l < kLanes; ++l) {
                const int32_t behind = offset[i][l] < offset[j][l] ? 1 : 0;
                rank[i][l] += behind;
                rank[j][l] += 1 - behind;
            }
        }
    }
}

}  // namespace detail

// features [dims][kLanes] -> simplices. `scale` [dims] is simplex_scale.
template <int kLanes, int kCapacity>
DENSECRF_HD void find_simplices(int dims, const float* scale, const float (*features)[kLanes],
                                Simplices<kLanes, kCapacity>& out) {
    float elevated[kCapacity][kLanes], offset[kCapacity][kLanes];
    int32_t rank[kCapacity][kLanes];
    const float period = static_cast<float>(dims + 1), inverse = 1.0f / period;

    // Onto the hyperplane where the coordinates sum to zero.
    float sum[kLanes] = {};
    for (int j = dims; j >= 1; --j) {
        for (int l = 0; l < kLanes; ++l) {
            const float c = features[j - 1][l] * scale[j - 1];
            elevated[j][l] = sum[l] - static_cast<float>(j) * c;
            sum[l] += c;
        }
    }
    for (int l = 0; l < kLanes; ++l) elevated[0][l] = sum[l];

    // The nearest point with all coordinates multiples of the period; excess counts how far off the plane it is.
    float excess[kLanes] = {};
    for (int i = 0; i <= dims; ++i) {
        for (int l = 0; l < kLanes; ++l) {
            const float nearest = detail::round_even(elevated[i][l] * inverse);
            excess[l] += nearest;
            out.remainder0[i][l] = nearest * period;
            offset[i][l] = elevated[i][l] - out.remainder0[i][l];
        }
    }
    detail::rank_axes<kLanes, kCapacity>(dims, offset, rank);

    // Back onto the plane: the axes that were rounded furthest give way.
    for (int i = 0; i <= dims; ++i) {
        for (int l = 0; l < kLanes; ++l) {
            const int32_t shifted = rank[i][l] + static_cast<int32_t>(excess[l]);
            const int32_t wrap = shifted < 0 ? 1 : (shifted > dims ? -1 : 0);
            rank[i][l] = shifted + wrap * (dims + 1);
            out.remainder0[i][l] += static_cast<float>(wrap) * period;
            offset[i][l] = (elevated[i][l] - out.remainder0[i][l]) * inverse;
        }
    }

    // Sort by rank with selects: no indexed stores, so vectors and registers stay what they are.
    for (int q = 0; q <= dims; ++q) {
        for (int l = 0; l < kLanes; ++l) {
            out.axis_at[q][l] = 0;
            elevated[q][l] = 0.0f;  // from here on: the offset at rank q
        }
        for (int i = 0; i <= dims; ++i) {
            for (int l = 0; l < kLanes; ++l) {
                const bool here = rank[i][l] == q;
                out.axis_at[q][l] = here ? i : out.axis_at[q][l];
                elevated[q][l] = here ? offset[i][l] : elevated[q][l];
            }
        }
    }
    for (int r = 1; r <= dims; ++r)
        for (int l = 0; l < kLanes; ++l) out.barycentric[r][l] = elevated[dims - r][l] - elevated[dims - r + 1][l];
    for (int l = 0; l < kLanes; ++l) out.barycentric[0][l] = elevated[dims][l] + (1.0f - elevated[0][l]);
}

}  // namespace densecrf
