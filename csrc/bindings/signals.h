// Long calls and Python's signals: Ctrl-C becomes KeyboardInterrupt while the core works, not afterwards.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <optional>
#include <stdexcept>

#include "../interrupt.h"

namespace densecrf {

namespace py = pybind11;

// What a call ends with whose caller wants no more of it.
class Stopped : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Set by one thread to end the calls of others, which are not told of signals.
class Stop {
  public:
    void set() { set_.store(true, std::memory_order_relaxed); }
    void check() const {
        if (set_.load(std::memory_order_relaxed)) throw Stopped("the call was stopped");
    }

  private:
    std::atomic<bool> set_{false};
};

// Python runs signal handlers in its main thread alone.
inline bool on_main_thread() {
    const auto main = py::module_::import("threading").attr("main_thread")();
    return py::cast<unsigned long>(main.attr("ident")) == PyThread_get_thread_ident();
}

// What ends a call: a handler that raises, or `stop`. Made with the GIL held, asked without.
class Signals {
  public:
    explicit Signals(const Stop* stop = nullptr) {
        const bool handles = on_main_thread();
        if (handles || stop) interrupt_.emplace([handles, stop] { ask(handles, stop); });
    }
    Interrupt* interrupt() { return interrupt_ ? &*interrupt_ : nullptr; }

  private:
    static void ask(bool handles, const Stop* stop) {
        if (stop) stop->check();
        if (!handles) return;
        const py::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }

    std::optional<Interrupt> interrupt_;
};

}  // namespace densecrf
