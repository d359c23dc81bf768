// Mean field for two labels. Only the difference of their marginals matters: messages are linear in the marginals,
// and a soft-max over two labels depends on the difference of its exponents alone. So one number is filtered
// instead of two.
#pragma once

#include "mean_field.h"

namespace densecrf::cpu {

// Whether `infer_two_labels` gives the answer: two labels that gain alike from their own kind, from
// soft-max(-unary), every iteration run.
bool takes_two_labels(const Lattice& lattice, int labels, const Inference& inference);

// As infer in mean_field.h.
void infer_two_labels(const PointOrder& order, const Lattice& lattice, const Unary& unary, int iterations,
                      const Execution& execution, float* marginals);

}  // namespace densecrf::cpu
