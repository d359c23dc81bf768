#include "pages.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace densecrf::cpu {

#if defined(__linux__)

namespace {

const auto kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

// Whole pages around some bytes: where they begin, and their size.
std::pair<char*, size_t> around(void* memory, size_t bytes) {
    const auto address = reinterpret_cast<uintptr_t>(memory);
    const uintptr_t begin = address / kPage * kPage;
    return {static_cast<char*>(memory) - (address - begin), (address - begin + bytes + kPage - 1) / kPage * kPage};
}

}  // namespace

void prefer_large_pages(void* memory, size_t bytes) {
    madvise(memory, bytes, MADV_HUGEPAGE);
}

size_t untouched(void* memory, size_t bytes) {
    const auto [begin, size] = around(memory, bytes);
    std::vector<unsigned char> there(size / kPage);
    if (mincore(begin, size, there.data()) != 0) return bytes;
    const auto missing =
        std::count_if(there.begin(), there.end(), [](unsigned char bits) { return (bits & 1) == 0; });
    return static_cast<size_t>(missing) * kPage;
}

void touch(void* memory, size_t bytes) {
#if defined(MADV_POPULATE_WRITE)
    const auto [begin, size] = around(memory, bytes);
    if (madvise(begin, size, MADV_POPULATE_WRITE) == 0) return;  // Linux 5.14 and later
#endif
    volatile char* byte = static_cast<char*>(memory);
    for (size_t at = 0; at < bytes; at += kPage) byte[at] = byte[at];
}

#else

void prefer_large_pages(void*, size_t) {}

size_t untouched(void*, size_t bytes) {
    return bytes;
}

void touch(void*, size_t) {}

#endif

}  // namespace densecrf::cpu
