#include "room.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "available.h"

#if defined(__linux__)
#include <pthread.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace densecrf::cpu {
namespace {

constexpr size_t kMegabyte = size_t{1} << 20;
constexpr size_t kMostUnasked = 64 * kMegabyte;
constexpr size_t kSpare = 16 * kMegabyte;  // what the rest of the program takes meanwhile, or takes without asking

// Available when somebody last asked, less what was taken since; taken since without asking; promised, see
// Promise.
std::atomic<int64_t> left{0}, unasked{0};
// Below zero in a child that the thread which has a promise or is in a call forked, in a handler of signals.
std::atomic<int64_t> promised{0}, calls{0};

size_t at_least_zero(int64_t number) {
    return static_cast<size_t>(std::max<int64_t>(0, number));
}

#if defined(__linux__)
// Other threads, and what they were promised, are not there in a forked child.
const int forgotten_by_children = pthread_atfork(nullptr, nullptr, [] {
    promised = 0;
    calls = 0;
});
#endif

std::atomic<void (*)()> keepers[2];  // by Keeper

// glibc's default allocator fails only when address space is gone; this asks whether the pages exist.
void ask(size_t bytes, size_t promised_to_others, size_t spare) {
    const auto beside = [&](size_t available) {
        return available - std::min(available, promised_to_others + spare);
    };
    size_t available = beside(available_memory());
    if (bytes > available) {
        give_back();
        available = beside(available_memory());
    }
    left = static_cast<int64_t>(std::min<size_t>(available, std::numeric_limits<int64_t>::max()));
    unasked = 0;
    if (bytes > available)
        throw OutOfMemory("this picture needs " + std::to_string((bytes + kMegabyte - 1) / kMegabyte) +
                          " MiB of memory and " + std::to_string(available / kMegabyte) +
                          " MiB are available; use a smaller picture, fewer labels or tiles");
}

// How much may be taken without asking, which takes some 0.2 ms.
size_t window() {
    return std::min(kMostUnasked, probably_available() / 16);
}

bool is_worth_asking(size_t bytes) {
    return at_least_zero(unasked) + bytes >= window();
}

}  // namespace

void require_memory(size_t bytes) {
    if (bytes >= window()) ask(bytes, at_least_zero(promised), 0);
}

Promise::Promise(size_t bytes) : bytes_(static_cast<int64_t>(bytes)) {
    const size_t to_others = at_least_zero(promised.fetch_add(bytes_));
    try {
        if (is_worth_asking(bytes)) ask(bytes, to_others, kSpare + window());
    } catch (...) {
        promised -= bytes_;
        throw;
    }
}

Promise::~Promise() {
    promised -= bytes_;
}

CallGoingOn::CallGoingOn() {
    ++calls;
}

CallGoingOn::~CallGoingOn() {
    --calls;
}

bool is_little(size_t bytes) {
    return bytes <= probably_available() / (64 * std::max<size_t>(1, at_least_zero(calls)));
}

void count_taken(int64_t bytes) {
    left -= bytes;
    unasked += bytes;
}

size_t probably_available() {
    return at_least_zero(left);
}

void before_refusing(Keeper keeper, void (*give_back)()) {
    keepers[static_cast<int>(keeper)] = give_back;
}

void give_back() {
    for (const auto& keeper : keepers) keeper.load()();
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

}  // namespace densecrf::cpu
