// The inner loops of kernels.h for one instruction set; CMake compiles this file once for each.
#include "kernels.h"

#include "kernel_filter.h"
#include "kernel_marginals.h"
#include "kernel_scores.h"

#define DENSECRF_JOIN_(a, b) a##b
#define DENSECRF_JOIN(a, b) DENSECRF_JOIN_(a, b)
#define DENSECRF_STRING_(a) #a
#define DENSECRF_STRING(a) DENSECRF_STRING_(a)

namespace densecrf::cpu {

// From embed.cpp, built for the same instruction set.
void DENSECRF_JOIN(simplices_, DENSECRF_ISA)(int, const float*, const FeatureLanes&, SimplexLanes&);

extern const Kernels DENSECRF_JOIN(kernels_, DENSECRF_ISA);
const Kernels DENSECRF_JOIN(kernels_, DENSECRF_ISA) = {
    DENSECRF_STRING(DENSECRF_ISA),
    slice,
    splat,
    blur,
    DENSECRF_JOIN(simplices_, DENSECRF_ISA),
    extremes,
    peaks,
    read_logits,
    read_probs,
    read_values,
    softmax,
    sum_dropped,
    raise,
    read_odds,
    difference,
    write_odds,
    blend,
    write,
    mix,
};

}  // namespace densecrf::cpu
