// Threads for one call: started when the call starts, joined when it ends, so a forked child inherits none of
// them and nothing can hang (OpenMP's pool does, see docs/design.md). About 50 microseconds a call.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "profile.h"

namespace densecrf::cpu {

// How a caller wants something done.
struct Execution {
    int threads = 1;
    Profile* profile = nullptr;  // where to count the time, if anywhere
};

// What every thread of a team sees. All threads run the same function and meet at barriers.
class Team {
  public:
    // No more threads than there are parts to the work.
    Team(const Execution& execution, int64_t parts)
        : threads_(static_cast<int>(std::min<int64_t>(execution.threads, parts))), profile_(execution.profile) {}

    int threads() const { return threads_; }
    Profile* profile() const { return profile_; }

    // Calls body(i) for every i in [0, count), each once, on whichever thread is free; then waits for all.
    // `thread` is the caller's own number.
    template <class Body>
    void each(int thread, int64_t count, const Body& body);

    // Runs body() on one thread while the others wait.
    template <class Body>
    void once(int thread, const Body& body) {
        each(thread, 1, [&](int64_t) { body(); });
    }

    // Starts the threads, runs body(thread) on each, joins them and rethrows the first exception. Where the system
    // gives fewer threads than asked for, those have to do.
    void run(const std::function<void(int thread)>& body);

  private:
    struct Aborted {};  // another thread failed; unwinds this one quietly

    void barrier();
    void guarded(const std::function<void(int)>& body, int thread);
    void fail();

    int threads_;
    Profile* const profile_;
    std::atomic<int64_t> next_[2] = {};  // work counters, used in turn so that one can be reset meanwhile
    std::atomic<int> arrived_{0};
    std::atomic<uint32_t> round_{0};
    std::atomic<bool> failed_{false};
    std::exception_ptr error_;
    std::mutex error_mutex_;
};

template <class Body>
void Team::each(int thread, int64_t count, const Body& body) {
    if (threads_ == 1) {
        for (int64_t i = 0; i < count; ++i) body(i);
        return;
    }
    const uint32_t turn = round_.load(std::memory_order_acquire) & 1;
    for (int64_t i; (i = next_[turn].fetch_add(1, std::memory_order_relaxed)) < count;) body(i);
    barrier();
    // All threads now draw from the other counter; this one is idle until the next barrier has passed.
    if (thread == 0) next_[turn].store(0, std::memory_order_relaxed);
}

}  // namespace densecrf::cpu
