#include "memory.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "pages.h"
#include "room.h"

namespace densecrf::cpu {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

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

void* from_system(size_t rounded_bytes) {
    void* memory = ::operator new(rounded_bytes, std::align_val_t{alignment(rounded_bytes)}, std::nothrow);
    if (memory != nullptr) count_taken(static_cast<int64_t>(rounded_bytes));
    return memory;
}

void to_system(void* memory, size_t rounded_bytes) {
    count_taken(-static_cast<int64_t>(rounded_bytes));
    ::operator delete(memory, std::align_val_t{alignment(rounded_bytes)});
}

void clear_all();

// Blocks released by earlier calls, for calls to come: pictures of a data set are alike, and the system takes
// longer to clear fresh pages than some of the steps take to fill them. Bounded, and more so where there is
// little, which whoever calls us needs as well; never waits for a lock, so that a child forked at any moment runs.
class Keep {
  public:
    Keep() { before_refusing(Keeper::kBlocks, clear_all); }

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
        const size_t most = std::min(kMost, probably_available() / 4);
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
};

// Never destroyed: arrays may outlive static objects. Made when the library is loaded, because the first use of a
// static variable of a function takes a lock, and a child forked just then would wait for it for ever.
Keep& keep = *new Keep;

void clear_all() {
    keep.clear();
}

// Pages come when they are written, by the threads that write them, from memory near their cores. But where there
// is little they have to come before others ask; of a block as much as takes less than a second, because who
// presses Ctrl-C waits for it.
void touch_in_time(void* memory, size_t bytes) {
    constexpr size_t kLeast = size_t{64} << 10, kMost = size_t{1} << 30;
    if (bytes >= kLeast && !is_little(bytes)) touch(memory, std::min(bytes, kMost));
}

}  // namespace

void claim(void* memory, size_t bytes) {
    if (is_little(bytes)) return;
    const size_t missing = untouched(memory, bytes);
    const Promise promise(missing);
    touch_in_time(memory, bytes);
}

void* allocate(size_t bytes) {
    if (bytes == 0) return nullptr;
    if (void* kept = keep.take(rounded(bytes))) return kept;
    const Promise promise(rounded(bytes));
    void* memory = from_system(rounded(bytes));
    if (memory == nullptr) {
        give_back();
        memory = from_system(rounded(bytes));
    }
    if (memory == nullptr)
        throw OutOfMemory("the system refused another " + std::to_string(bytes >> 20) + " MiB; use tiles");
    // Not for the last part, most of which may never be touched.
    if (bytes >= kHugePage) prefer_large_pages(memory, bytes / kHugePage * kHugePage);
    touch_in_time(memory, bytes);
    return memory;
}

void release(void* memory, size_t bytes) noexcept {
    if (memory == nullptr || keep.give(memory, rounded(bytes))) return;
    to_system(memory, rounded(bytes));
}

}  // namespace densecrf::cpu
