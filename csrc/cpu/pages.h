// Pages of memory. The system gives addresses first and a page when it is touched, and only then counts it.
#pragma once

#include <cstddef>

namespace densecrf::cpu {

// Asks for large pages, of which fewer have to be cleared one by one.
void prefer_large_pages(void* memory, size_t bytes);

// How many bytes of these have no page yet.
size_t untouched(void* memory, size_t bytes);

// Gives every byte its page; what is there stays.
void touch(void* memory, size_t bytes);

}  // namespace densecrf::cpu
