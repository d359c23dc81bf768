#include "team.h"

#include <vector>

namespace densecrf::cpu {

void Team::barrier() {
    const uint32_t round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
        arrived_.store(0, std::memory_order_relaxed);
        round_.store(round + 1, std::memory_order_release);
    } else {
        // Spin for the length of a usual wait, then give the core away: the thread waited for may need it.
        for (int spin = 0; round_.load(std::memory_order_acquire) == round; ++spin) {
            check();
            if (spin > 2000) std::this_thread::yield();
        }
    }
    if (failed_.load(std::memory_order_relaxed)) throw Aborted{};
}

void Team::fail() {
    const std::lock_guard<std::mutex> lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
    failed_.store(true);
}

void Team::guarded(const std::function<void(int)>& body, int thread) {
    try {
        body(thread);
    } catch (const Aborted&) {
    } catch (...) {
        fail();
    }
}

void Team::run(const std::function<void(int)>& body) {
    std::vector<std::thread> others;
    std::atomic<bool> complete{false};  // nobody enters the first barrier before the number of threads is known
    try {
        for (int t = 1; t < threads_; ++t)
            others.emplace_back([this, &body, &complete, t] {
                // A thread's first exception takes memory, and the system ends the program if there is none: so
                // now.
                [[maybe_unused]] const volatile int touched = std::uncaught_exceptions();
                while (!complete.load(std::memory_order_acquire)) std::this_thread::yield();
                guarded(body, t);
            });
    } catch (const std::exception&) {
    }
    threads_ = 1 + static_cast<int>(others.size());
    complete.store(true, std::memory_order_release);
    guarded(body, 0);
    for (std::thread& other : others) other.join();
    if (error_) std::rethrow_exception(error_);
}

}  // namespace densecrf::cpu
