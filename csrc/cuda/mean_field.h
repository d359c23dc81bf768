// Mean-field inference on the device (Krähenbühl & Koltun 2011, algorithm 1).
#pragma once

#include "../interrupt.h"
#include "lattice.h"

namespace densecrf::cuda {

// scores of `unary`, a start and marginals: [pictures][L][N]; marginals may be the same memory as either. Nothing
// waits, unless `iterations` asks how many ran in each picture [pictures]. `interrupt`, which may be null, is
// asked between iterations.
void infer(const Context& context, const Lattice& lattice, const Unary& unary, const Inference& inference,
           float* marginals, std::vector<int>* iterations, Interrupt* interrupt);

// Values [pictures][L][N] through all terms, summed.
void message(const Context& context, const Lattice& lattice, const float* values, int labels, float* out);

}  // namespace densecrf::cuda
