#include "memory.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "available.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace densecrf::cpu {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

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

// Many small blocks are as much as a large one: so many more bytes came from the system than went back to it since
// somebody last asked whether there are any.
std::atomic<int64_t> unasked{0};

void* from_system(size_t rounded_bytes) {
    void* memory = ::operator new(rounded_bytes, std::align_val_t{alignment(rounded_bytes)}, std::nothrow);
    if (memory != nullptr) unasked.fetch_add(static_cast<int64_t>(rounded_bytes), std::memory_order_relaxed);
    return memory;
}

void to_system(void* memory, size_t rounded_bytes) {
    unasked.fetch_sub(static_cast<int64_t>(rounded_bytes), std::memory_order_relaxed);
    ::operator delete(memory, std::align_val_t{alignment(rounded_bytes)});
}

// Blocks released by earlier calls, for calls to come: pictures of a data set are alike, and the system takes
// longer to clear fresh pages than some of the steps take to fill them. Bounded, and more so where there is
// little, which whoever calls us needs as well; never waits for a lock, so that a child forked at any moment runs.
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
        const size_t most = most_.load(std::memory_order_relaxed);
        if (!lock || kExact || bytes < kHugePage || bytes > most || blocks_.capacity() == 0) return false;
        while (total_ + bytes > most || blocks_.size() == blocks_.capacity()) drop_oldest();
        blocks_.push_back({memory, bytes});
        total_ += bytes;
        return true;
    }

    // Gives everything back to the system.
    void clear() {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock) return;
        while (!blocks_.empty()) drop_oldest();
    }

    // From now on, keeps a quarter at most of what is available.
    void bound_by(size_t available) { most_.store(std::min(kMost, available / 4), std::memory_order_relaxed); }

  private:
    struct Block {
        void* memory;
        size_t bytes;
    };

    void drop_oldest() {
        to_system(blocks_.front().memory, blocks_.front().bytes);
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
    std::atomic<size_t> most_{kMost};
};

// Never destroyed: arrays may outlive static objects. Made when the library is loaded, because the first use of a
// static variable of a function takes a lock, and a child forked just then would wait for it for ever.
Keep& keep = *new Keep;

// glibc's default allocator fails only when address space is gone; this asks whether the pages exist.
constexpr size_t kTooSmallToAsk = size_t{64} << 20;

std::atomic<void (*)()> others_give_back{nullptr};

// What is kept goes back to the system, and so does what the C library keeps of all that this process has freed.
void give_back() {
    if (auto others = others_give_back.load()) others();
    keep.clear();
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

void require_in_turn(size_t bytes) {
    if (unasked.load(std::memory_order_relaxed) + static_cast<int64_t>(bytes) < int64_t{kTooSmallToAsk}) return;
    require_memory(std::max(bytes, kTooSmallToAsk));
    unasked.store(0, std::memory_order_relaxed);
}

}  // namespace

void before_refusing(void (*give_back)()) {
    others_give_back = give_back;
}

void require_memory(size_t bytes) {
    if (bytes < kTooSmallToAsk) return;
    size_t available = available_memory();
    if (bytes > available) {
        give_back();
        available = available_memory();
    }
    keep.bound_by(available);
    if (bytes > available)
        throw OutOfMemory("this picture needs " + megabytes(bytes) + " of memory and " + megabytes(available) +
                          " are available; use a smaller picture, fewer labels or tiles");
}

void* allocate(size_t bytes) {
    if (bytes == 0) return nullptr;
    if (void* kept = keep.take(rounded(bytes))) return kept;
    require_in_turn(bytes);
    void* memory = from_system(rounded(bytes));
    if (memory == nullptr) {
        give_back();
        memory = from_system(rounded(bytes));
    }
    if (memory == nullptr) throw OutOfMemory("the system refused another " + megabytes(bytes) + "; use tiles");
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    // Fewer page faults; but not for the last part, most of which may never be touched.
    if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
    return memory;
}

void release(void* memory, size_t bytes) noexcept {
    if (memory == nullptr || keep.give(memory, rounded(bytes))) return;
    to_system(memory, rounded(bytes));
}

}  // namespace densecrf::cpu
