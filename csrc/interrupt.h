// How a call that takes long ends before it is done: whoever made it is asked now and then, and throws if it is to
// end.
#pragma once

#include <chrono>
#include <functional>
#include <utility>

namespace densecrf {

class Interrupt {
  public:
    explicit Interrupt(std::function<void()> ask) : ask_(std::move(ask)) {}

    // To be called often, and by the thread that made the call: asks ten times a second.
    void look() {
        if (Clock::now() < next_) return;
        ask_();
        next_ = Clock::now() + kPause;
    }

  private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds kPause{100};

    const std::function<void()> ask_;
    Clock::time_point next_ = Clock::now() + kPause;
};

}  // namespace densecrf
