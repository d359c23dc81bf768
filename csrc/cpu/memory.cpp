#include "memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <mutex>
#include <vector>

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

// Under AddressSanitizer a block ends where its array does and goes back at once, so that it sees who goes beyond.
#if defined(DENSECRF_EXACT_MEMORY)
constexpr bool kExact = true;
#else
constexpr bool kExact = false;
#endif

// Small sizes in cache lines, large ones in huge pages: a block kept from one picture fits the next.
size_t rounded(size_t bytes) {
    if (kExact) return bytes;
    const size_t unit = bytes >= kHugePage ? kHugePage : kAlignment;
    return (bytes + unit - 1) / unit * unit;
}

size_t alignment(size_t rounded_bytes) {
    return rounded_bytes >= kHugePage ? kHugePage : kAlignment;
}

// Blocks released by earlier calls, for calls to come: pictures of a data set are alike, and the system takes
// longer to clear fresh pages than some of the steps take to fill them. Bounded; never waits for a lock, so
// that a child forked at any moment runs.
class Keep {
  public:
    void* take(size_t bytes) {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock) return nullptr;
        for (Block& block : blocks_) {
            if (block.bytes != bytes) continue;
            void* memory = block.memory;
            total_ -= bytes;
            blocks_.erase(blocks_.begin() + (&block - blocks_.data()));
            return memory;
        }
        return nullptr;
    }

    bool give(void* memory, size_t bytes) {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock || kExact || bytes < kHugePage || bytes > kMost || blocks_.capacity() == 0) return false;
        while (total_ + bytes > kMost || blocks_.size() == blocks_.capacity()) drop_oldest();
        blocks_.push_back({memory, bytes});
        total_ += bytes;
        return true;
    }

    // Gives everything back to the system; whether that was anything.
    bool clear() {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock || blocks_.empty()) return false;
        while (!blocks_.empty()) drop_oldest();
        return true;
    }

  private:
    struct Block {
        void* memory;
        size_t bytes;
    };

    void drop_oldest() {
        ::operator delete(blocks_.front().memory, std::align_val_t{alignment(blocks_.front().bytes)});
        total_ -= blocks_.front().bytes;
        blocks_.erase(blocks_.begin());
    }

    static std::vector<Block> room() {
        std::vector<Block> blocks;
        blocks.reserve(64);
        return blocks;
    }

    static constexpr size_t kMost = size_t{256} << 20;

    std::mutex mutex_;
    std::vector<Block> blocks_ = room();
    size_t total_ = 0;
};

Keep& keep() {
    static Keep* kept = new Keep;  // never destroyed: arrays may outlive static objects
    return *kept;
}

// glibc's default allocator fails only when address space is gone; this asks whether the pages exist.
constexpr size_t kTooSmallToAsk = size_t{64} << 20;

}  // namespace

void require_memory(size_t bytes) {
    if (bytes < kTooSmallToAsk) return;
    const auto available_now = [] { return std::min(available_to_machine(), available_to_group()); };
    size_t available = available_now();
    if (bytes > available && keep().clear()) available = available_now();
    if (bytes > available)
        throw OutOfMemory("this picture needs " + megabytes(bytes) + " of memory and " + megabytes(available) +
                          " are available; use a smaller picture, fewer labels or tiles");
}

void* allocate(size_t bytes) {
    if (bytes == 0) return nullptr;
    if (void* kept = keep().take(rounded(bytes))) return kept;
    require_memory(bytes);
    const auto ask = [&] {
        return ::operator new(rounded(bytes), std::align_val_t{alignment(rounded(bytes))}, std::nothrow);
    };
    void* memory = ask();
    if (memory == nullptr && keep().clear()) memory = ask();
    if (memory == nullptr) throw OutOfMemory("the system refused another " + megabytes(bytes) + "; use tiles");
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    // Fewer page faults; but not for the last part, most of which may never be touched.
    if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
    return memory;
}

void release(void* memory, size_t bytes) noexcept {
    if (memory == nullptr || keep().give(memory, rounded(bytes))) return;
    ::operator delete(memory, std::align_val_t{alignment(rounded(bytes))});
}

}  // namespace densecrf::cpu
