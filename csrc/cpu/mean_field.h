// Mean-field inference on the CPU (Krähenbühl & Koltun 2011, algorithm 1).
#pragma once

#include "lattice.h"

namespace densecrf::cpu {

// marginals [L, N], label-major; a start in `inference` may be the same memory. Returns how many iterations ran.
// Bit-identical for every number of threads.
int infer(const PointOrder& order, const Lattice& lattice, const Unary& unary, const Inference& inference,
          const Execution& execution, float* marginals);

// Bytes that infer takes beside the lattice.
size_t inference_bytes(const PointOrder& order, const Lattice& lattice, int labels, const Inference& inference);

}  // namespace densecrf::cpu
