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

#include "../interrupt.h"
#include "profile.h"

namespace densecrf::cpu {

// How a caller wants something done.
struct Execution {
    int threads = 1;
    Profile* profile = nullptr;      // where to count the time, if anywhere
    Interrupt* interrupt = nullptr;  // asked now and then, by the thread that calls, whether to go on
};

// What every thread of a team sees. All threads run the same function and meet at barriers.
class Team {
  public:
    // No more threads than there are parts to the work.
    Team(const Execution& execution, int64_t parts)
        : threads_(static_cast<int>(std::min<int64_t>(execution.threads, parts))),
          profile_(execution.profile),
          interrupt_(execution.interrupt) {}

    int threads() const { return threads_; }
    Profile* profile() const { return profile_; }

    // Calls body(i) for every i in [0, count), each once, on whichever thread is free; then waits for all.
    // `thread` is the caller's own number.
    template <class Body>
    void each(int thread, int64_t count, const Body& body);

    // To be called now and then where a part of the work takes more than some milliseconds: throws if the caller
    // wants no more, or another thread failed.
    void check() {
        if (failed_.load(std::memory_order_relaxed)) throw Aborted{};
        if (interrupt_ == nullptr || std::this_thread::get_id() != caller_ || ++unlooked_ < kChecksPerLook) return;
        unlooked_ = 0;
        interrupt_->look();
    }

    // Runs body() on one thread while the others wait.
    template <class Body>
    void once(int thread, const Body& body) {
        each(thread, 1, [&](int64_t) { body(); });
    }

    // Starts the threads, runs body(thread) on each, joins them and rethrows the first exception. Where the system
    // gives fewer threads than asked for, those have to do.
    void run(const std::function<void(int thread)>& body);

  private:
    struct Aborted {};                        // another thread failed; unwinds this one quietly
    static constexpr int kChecksPerLook = 8;  // the clock costs as much as a small part of the work

    void barrier();
    void guarded(const std::function<void(int)>& body, int thread);
    void fail();

    int threads_;
    Profile* const profile_;
    Interrupt* const interrupt_;
    const std::thread::id caller_ = std::this_thread::get_id();
    int unlooked_ = 0;                   // checks of the caller's since the last look
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
        for (int64_t i = 0; i < count; ++i) {
            check();
            body(i);
        }
        return;
    }
    const uint32_t turn = round_.load(std::memory_order_acquire) & 1;
    for (int64_t i; (i = next_[turn].fetch_add(1, std::memory_order_relaxed)) < count;) {
        check();
        body(i);
    }
    barrier();
    // All threads now draw from the other counter; this one is idle until the next barrier has passed.
    if (thread == 0) next_[turn].store(0, std::memory_order_relaxed);
}

}  // namespace densecrf::cpu
