#include "memory.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <vector>

#include "available.h"
#include "pages.h"

#if defined(__linux__)
#include <pthread.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace densecrf::cpu {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

constexpr size_t kMegabyte = size_t{1} << 20;

std::string megabytes(size_t bytes) {
    return std::to_string(bytes / kMegabyte) + " MiB";
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

// What was available when somebody last asked, and what has come from the system since without asking.
std::atomic<int64_t> left{0}, unasked{0};

void count(int64_t bytes) {
    left.fetch_sub(bytes, std::memory_order_relaxed);
    unasked.fetch_add(bytes, std::memory_order_relaxed);
}

void* from_system(size_t rounded_bytes) {
    void* memory = ::operator new(rounded_bytes, std::align_val_t{alignment(rounded_bytes)}, std::nothrow);
    if (memory != nullptr) count(static_cast<int64_t>(rounded_bytes));
    return memory;
}

void to_system(void* memory, size_t rounded_bytes) {
    count(-static_cast<int64_t>(rounded_bytes));
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

std::atomic<void (*)()> others_give_back{nullptr};

// What is kept goes back to the system, and so does what the C library keeps of all that this process has freed.
void give_back() {
    if (auto others = others_give_back.load()) others();
    keep.clear();
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

// What threads have been told that they may have and have not touched yet: the system would promise it again.
std::atomic<size_t> promised{0};

#if defined(__linux__)
// Threads that were promised something are not there in a forked child.
const int forgotten_by_children = pthread_atfork(nullptr, nullptr, [] { promised = 0; });
#endif

class Promise {
  public:
    explicit Promise(size_t bytes) : bytes_(bytes) { promised.fetch_add(bytes); }
    ~Promise() { promised.fetch_sub(bytes_); }
    Promise(const Promise&) = delete;
    Promise& operator=(const Promise&) = delete;

    size_t of_others() const { return promised.load() - bytes_; }

  private:
    const size_t bytes_;
};

size_t available_beside(const Promise& promise, size_t spare) {
    const size_t available = available_memory();
    return available - std::min(available, promise.of_others() + spare);
}

// Throws OutOfMemory if so much is not available, beside what others were promised and something to spare. glibc's
// default allocator fails only when address space is gone; this asks whether the pages exist.
void ask(const Promise& promise, size_t bytes, size_t spare) {
    size_t available = available_beside(promise, spare);
    if (bytes > available) {
        give_back();
        available = available_beside(promise, spare);
    }
    keep.bound_by(available);
    left.store(static_cast<int64_t>(std::min<size_t>(available, std::numeric_limits<int64_t>::max())));
    unasked.store(0);
    if (bytes > available)
        throw OutOfMemory("this picture needs " + megabytes(bytes + kMegabyte - 1) + " of memory and " +
                          megabytes(available) + " are available; use a smaller picture, fewer labels or tiles");
}

// How much may be taken without asking, which takes some 0.2 ms. Many small blocks are as much as a large one.
size_t window() {
    constexpr int64_t kMost = int64_t{64} << 20;
    return static_cast<size_t>(std::clamp<int64_t>(left.load(std::memory_order_relaxed) / 16, 0, kMost));
}

// What the rest of the program takes meanwhile, or takes without asking.
constexpr size_t kSpare = size_t{16} << 20;

void ask_in_turn(const Promise& promise, size_t bytes) {
    const auto unasked_yet = static_cast<size_t>(std::max<int64_t>(0, unasked.load(std::memory_order_relaxed)));
    if (unasked_yet + bytes >= window()) ask(promise, bytes, kSpare + window());
}

// Pages come when they are written, by the threads that write them, from memory near their cores. But a large
// share of what there is has to be there before others ask.
bool is_large_share(size_t bytes) {
    return bytes >= kHugePage && static_cast<int64_t>(bytes) > left.load(std::memory_order_relaxed) / 64;
}

}  // namespace

void before_refusing(void (*give_back)()) {
    others_give_back = give_back;
}

void require_memory(size_t bytes) {
    if (bytes >= window()) ask(Promise(0), bytes, 0);
}

void claim(void* memory, size_t bytes) {
    if (!is_large_share(bytes)) return;
    const size_t missing = untouched(memory, bytes);
    const Promise promise(missing);
    ask_in_turn(promise, missing);
    touch(memory, bytes);
}

void* allocate(size_t bytes) {
    if (bytes == 0) return nullptr;
    if (void* kept = keep.take(rounded(bytes))) return kept;
    const Promise promise(rounded(bytes));
    ask_in_turn(promise, bytes);
    void* memory = from_system(rounded(bytes));
    if (memory == nullptr) {
        give_back();
        memory = from_system(rounded(bytes));
    }
    if (memory == nullptr) throw OutOfMemory("the system refused another " + megabytes(bytes) + "; use tiles");
    // Not for the last part, most of which may never be touched.
    if (bytes >= kHugePage) prefer_large_pages(memory, bytes / kHugePage * kHugePage);
    if (is_large_share(bytes)) touch(memory, bytes);
    return memory;
}

void release(void* memory, size_t bytes) noexcept {
    if (memory == nullptr || keep.give(memory, rounded(bytes))) return;
    to_system(memory, rounded(bytes));
}

}  // namespace densecrf::cpu
