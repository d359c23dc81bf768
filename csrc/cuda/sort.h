// Sorting and running sums on the device: CUB's, or the standard library's in the twin.
#pragma once

#include <cstdint>

#include "memory.h"

namespace densecrf::cuda {

// Keys in ascending order of their lowest `bits` bits, equal ones as they were, and values with them; both are
// replaced.
void sort_pairs(const Context& context, Array<uint64_t>& keys, Array<uint32_t>& values, int bits);

// values[i] = values[0] + ... + values[i]
void running_sum(const Context& context, Array<uint32_t>& values);

}  // namespace densecrf::cuda
