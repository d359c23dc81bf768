// The GIL, given away while the core computes.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

namespace densecrf {

// As py::gil_scoped_release, but for daemon threads. When the interpreter ends, Python (up to 3.13) ends a thread
// that asks for the GIL, by unwinding its stack; that may not leave a destructor, and would give back Python's
// objects without the GIL. Such a thread waits here until the process is gone, which is what Python does from 3.14
// on.
class GilReleased {
  public:
    GilReleased() : state_(PyEval_SaveThread()) {}
    GilReleased(const GilReleased&) = delete;
    GilReleased& operator=(const GilReleased&) = delete;
    ~GilReleased() {
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {  // the unwinding
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }

  private:
    PyThreadState* const state_;
};

}  // namespace densecrf
