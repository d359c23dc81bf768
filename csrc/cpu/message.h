// What points tell each other: one pass through the lattice, without a soft-max.
#pragma once

#include "passes.h"

namespace densecrf::cpu {

// out [C, N] = the sum over terms of compatibility * normalised kernel * values [C, N], C the labels of `passes`.
void message(const Passes& passes, const float* values, const Execution& execution, float* out);

}  // namespace densecrf::cpu
