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
#define DENSECRF_HD static __host__ __device__ __forceinline__
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

// The largest |elevated coordinate| that features bounded by `max_abs` [dims] can reach; NaN if one of them is.
inline double elevated_bound(int dims, const double* max_abs) {
    double sum = 0, bound = 0;
    for (int j = dims; j >= 1; --j) {
        const double c = max_abs[j - 1] * simplex_scale(dims, j - 1);
        bound = std::fmax(bound, sum + j * c);
        sum += c;
    }
    return std::isnan(sum) ? sum : std::fmax(bound, sum);
}

// What slicing multiplies with: the blur's total mass (section 3.3; 1/(1 + 2^-d) as Krähenbühl has it).
inline float slice_scale(int dims) {
    return 1.0f / (1.0f + std::exp2(static_cast<float>(-dims)));
}

// One point at a time. A back end that works on several brings its own lanes, with vectors for these types.
struct OneLane {
    using Float = float;
    using Int = int32_t;

    DENSECRF_HD Float broadcast(float x) { return x; }
    DENSECRF_HD Int broadcast(int32_t x) { return x; }
    DENSECRF_HD Int less(Float a, Float b) { return -static_cast<Int>(a < b); }  // -1 where true
    DENSECRF_HD Int less(Int a, Int b) { return -static_cast<Int>(a < b); }
    DENSECRF_HD Int equal(Int a, Int b) { return -static_cast<Int>(a == b); }
    DENSECRF_HD Float select(Int mask, Float a, Float b) { return mask ? a : b; }
    DENSECRF_HD Int select(Int mask, Int a, Int b) { return mask ? a : b; }
    DENSECRF_HD Int to_int(Float x) { return static_cast<Int>(x); }
    DENSECRF_HD Float to_float(Int x) { return static_cast<Float>(x); }
};

// The simplex around a point, or around each of several.
template <class Lanes, int kCapacity = kMaxDims + 1>
struct Simplex {
    typename Lanes::Int remainder0[kCapacity];     // the remainder-0 vertex, coordinates 0..dims
    typename Lanes::Int axis_at[kCapacity];        // axis_at[q]: the axis whose offset from remainder0 has rank q
    typename Lanes::Float barycentric[kCapacity];  // weight of vertex r
};

// features [dims] -> simplex. `scale` [dims] is simplex_scale.
template <class Lanes, int kCapacity>
DENSECRF_HD void find_simplex(int dims, const float* scale, const typename Lanes::Float* features,
                              Simplex<Lanes, kCapacity>& out) {
    using Float = typename Lanes::Float;
    using Int = typename Lanes::Int;
    Float elevated[kCapacity], offset[kCapacity], nearest[kCapacity];
    Int rank[kCapacity];
    const float period = static_cast<float>(dims + 1), inverse = 1.0f / period;
    const Float magic = Lanes::broadcast(12582912.0f);  // x + magic - magic rounds half to even, |x| < 2^22

    // Onto the hyperplane where the coordinates sum to zero.
    Float sum = Lanes::broadcast(0.0f);
    for (int j = dims; j >= 1; --j) {
        const Float c = features[j - 1] * scale[j - 1];
        elevated[j] = sum - static_cast<float>(j) * c;
        sum += c;
    }
    elevated[0] = sum;

    // The nearest point with all coordinates multiples of the period; excess counts how far off the plane it is.
    Float excess = Lanes::broadcast(0.0f);
    for (int i = 0; i <= dims; ++i) {
        const Float periods = (elevated[i] * inverse + magic) - magic;
        excess += periods;
        nearest[i] = periods * period;
        offset[i] = elevated[i] - nearest[i];
    }

    // Rank of every axis by its offset, largest first; ties go to the lower axis.
    for (int i = 0; i <= dims; ++i) rank[i] = Lanes::to_int(excess);
    for (int i = 0; i < dims; ++i) {
        for (int j = i + 1; j <= dims; ++j) {
            const Int behind = Lanes::less(offset[i], offset[j]);
            rank[i] -= behind;
            rank[j] += 1 + behind;
        }
    }

    // Back onto the plane: the axes that were rounded furthest give way, and their ranks wrap around.
    for (int i = 0; i <= dims; ++i) {
        const Int wrap = Lanes::less(Lanes::broadcast(dims), rank[i]) - Lanes::less(rank[i], Lanes::broadcast(0));
        rank[i] += wrap * (dims + 1);
        nearest[i] += Lanes::to_float(wrap) * period;
        out.remainder0[i] = Lanes::to_int(nearest[i]);
        offset[i] = (elevated[i] - nearest[i]) * inverse;
    }

    // Sort by rank with selects: no indexed stores, so vectors and registers stay what they are.
    Float at_rank[kCapacity] = {};
    for (int q = 0; q <= dims; ++q) {
        out.axis_at[q] = Lanes::broadcast(0);
        at_rank[q] = offset[0];
        for (int i = 1; i <= dims; ++i) {
            const Int here = Lanes::equal(rank[i], Lanes::broadcast(q));
            out.axis_at[q] = Lanes::select(here, Lanes::broadcast(i), out.axis_at[q]);
            at_rank[q] = Lanes::select(here, offset[i], at_rank[q]);
        }
    }
    for (int r = 1; r <= dims; ++r) out.barycentric[r] = at_rank[dims - r] - at_rank[dims - r + 1];
    out.barycentric[0] = at_rank[dims] + (1.0f - at_rank[0]);
}

}  // namespace densecrf
