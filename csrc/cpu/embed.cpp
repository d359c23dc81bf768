// simplex.h over eight points at a time, for one instruction set. Apart from kernels.cpp because it is compiled
// without fused multiply-adds: the same simplices on every machine, and those of Krähenbühl's program.
#include "simd.h"
#include "simplices.h"

#define DENSECRF_JOIN_(a, b) a##b
#define DENSECRF_JOIN(a, b) DENSECRF_JOIN_(a, b)

namespace densecrf::cpu {
namespace {

struct EightLanes {
    using Float = F8;
    using Int = I8;

    DENSECRF_INLINE F8 broadcast(float x) { return broadcast8(x); }
    DENSECRF_INLINE I8 broadcast(int32_t x) { return broadcast8(x); }
    DENSECRF_INLINE I8 less(F8 a, F8 b) { return less8(a, b); }
    DENSECRF_INLINE I8 less(I8 a, I8 b) { return less8(a, b); }
    DENSECRF_INLINE I8 equal(I8 a, I8 b) { return equal8(a, b); }
    DENSECRF_INLINE F8 select(I8 mask, F8 a, F8 b) { return select8(mask, a, b); }
    DENSECRF_INLINE I8 select(I8 mask, I8 a, I8 b) { return select8(mask, a, b); }
    DENSECRF_INLINE I8 to_int(F8 x) { return to_int8(x); }
    DENSECRF_INLINE F8 to_float(I8 x) { return to_float8(x); }
};

template <class Dims>
DENSECRF_INLINE void find(Dims dims, const float* scale, const FeatureLanes& features, SimplexLanes& out) {
    constexpr int kCapacity = Dims::value ? Dims::value + 1 : kMaxDims + 1;
    const int d = Dims::value ? Dims::value : dims.any;
    F8 f[kCapacity];
    for (int j = 0; j < d; ++j) f[j] = load8(features[j]);
    Simplex<EightLanes, kCapacity> simplex;
    find_simplex(d, scale, f, simplex);
    for (int i = 0; i <= d; ++i) {
        std::memcpy(out.remainder0[i], &simplex.remainder0[i], sizeof(I8));
        std::memcpy(out.axis_at[i], &simplex.axis_at[i], sizeof(I8));
        std::memcpy(out.barycentric[i], &simplex.barycentric[i], sizeof(F8));
    }
}

template <int kValue>
struct Dims {
    static constexpr int value = kValue;
    int any;
};

}  // namespace

void DENSECRF_JOIN(simplices_, DENSECRF_ISA)(int dims, const float* scale, const FeatureLanes& features,
                                             SimplexLanes& out) {
    switch (dims) {  // the common cases with their loops unrolled
        case 2:
            return find(Dims<2>{dims}, scale, features, out);
        case 3:
            return find(Dims<3>{dims}, scale, features, out);
        case 5:
            return find(Dims<5>{dims}, scale, features, out);
        default:
            return find(Dims<0>{dims}, scale, features, out);
    }
}

}  // namespace densecrf::cpu
