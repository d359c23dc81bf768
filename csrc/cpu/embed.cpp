// simplex.h over eight points at a time, for one instruction set. Apart from kernels.cpp because it is compiled
// without fused multiply-adds: the same simplices on every machine, and those of Krähenbühl's program.
#include "../simplex.h"
#include "features.h"

#define DENSECRF_JOIN_(a, b) a##b
#define DENSECRF_JOIN(a, b) DENSECRF_JOIN_(a, b)

namespace densecrf::cpu {

void DENSECRF_JOIN(simplices_, DENSECRF_ISA)(int dims, const float* scale, const FeatureLanes& features,
                                             Simplices<kLanes>& out) {
    switch (dims) {  // the common cases with their loops unrolled
        case 2:
            return find_simplices<kLanes>(2, scale, features, out);
        case 3:
            return find_simplices<kLanes>(3, scale, features, out);
        case 5:
            return find_simplices<kLanes>(5, scale, features, out);
        default:
            return find_simplices<kLanes>(dims, scale, features, out);
    }
}

}  // namespace densecrf::cpu
