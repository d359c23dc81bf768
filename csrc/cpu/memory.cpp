#include "memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace densecrf::cpu {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

size_t read_number(const char* path) {
    std::ifstream file(path);
    size_t value = 0;
    return file >> value ? value : std::numeric_limits<size_t>::max();  // "max": no limit
}

// MemAvailable counts what the kernel can reclaim without swapping; unlimited where there is no such file.
size_t available_to_machine() {
    std::ifstream file("/proc/meminfo");
    std::string name, unit;
    size_t kilobytes = 0;
    while (file >> name >> kilobytes) {
        if (name == "MemAvailable:") return kilobytes * 1024;
        std::getline(file, unit);
    }
    return std::numeric_limits<size_t>::max();
}

size_t available_to_group() {
    const size_t limit = read_number("/sys/fs/cgroup/memory.max");
    if (limit == std::numeric_limits<size_t>::max()) return limit;
    const size_t used = read_number("/sys/fs/cgroup/memory.current");
    return used < limit ? limit - used : 0;
}

std::string megabytes(size_t bytes) {
    return std::to_string(bytes >> 20) + " MiB";
}

// glibc's default allocator fails only when address space is gone; this asks whether the pages exist.
constexpr size_t kTooSmallToAsk = size_t{64} << 20;

}  // namespace

void require_memory(size_t bytes) {
    if (bytes < kTooSmallToAsk) return;
    const size_t available = std::min(available_to_machine(), available_to_group());
    if (bytes > available)
        throw OutOfMemory("this picture needs " + megabytes(bytes) + " of memory and " + megabytes(available) +
                          " are available; use a smaller picture, fewer labels or tiles");
}

void* allocate(size_t bytes) {
    if (bytes == 0) return nullptr;
    require_memory(bytes);
    const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
    const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    void* memory = ::operator new(rounded, std::align_val_t{alignment});
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (alignment == kHugePage) madvise(memory, rounded, MADV_HUGEPAGE);  // a fault per 2 MiB instead of 512
#endif
    return memory;
}

void release(void* memory, size_t bytes) noexcept {
    if (memory == nullptr) return;
    ::operator delete(memory, std::align_val_t{bytes >= kHugePage ? kHugePage : kAlignment});
}

}  // namespace densecrf::cpu
