// Mean-field inference on the CPU (Krähenbühl & Koltun 2011, algorithm 1).
#pragma once

#include "passes.h"

namespace densecrf::cpu {

// marginals [L, N], label-major; a start in `inference` may be the same memory. Returns how many iterations ran.
// Bit-identical for every number of threads.
int infer(const Passes& passes, const Unary& unary, const Inference& inference, const Execution& execution,
          float* marginals);

// out [C, N] = the sum over terms of compatibility * normalised kernel * values [C, N], C the labels of `passes`.
void message(const Passes& passes, const float* values, const Execution& execution, float* out);

// Bytes that infer takes beside the lattice.
size_t inference_bytes(const Passes& passes, const Inference& inference);

}  // namespace densecrf::cpu
