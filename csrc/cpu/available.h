// How much more memory this process may have.
#pragma once

#include <cstddef>

namespace densecrf::cpu {

// The least that the machine, the control groups around this process and its own limits leave, in bytes. Memory
// that only caches files counts as free: the system takes it back before it refuses any.
size_t available_memory();

}  // namespace densecrf::cpu
