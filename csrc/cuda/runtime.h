// The device, as far as the back end needs to know it: errors, the current device, copies, waiting.
//
// Every .cu file of this folder is compiled twice: by nvcc for a GPU, and by a plain C++ compiler with
// DENSECRF_TWIN as the GPU's twin, where device memory is memory and a launch is a loop. Tests run the very same
// kernels there, with sanitizers and without a GPU. Only this file and runtime.cu, launch.h, sort.cu and row.h
// tell the two apart.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "memory.h"

// DENSECRF_UNROLL goes before a loop whose loads do not wait for each other: several are then under way.
#if defined(DENSECRF_TWIN)
#define DENSECRF_DEVICE inline
#define DENSECRF_UNROLL
#else
#include <cuda_runtime.h>
#define DENSECRF_DEVICE __device__ __forceinline__
#define DENSECRF_UNROLL _Pragma("unroll 4")
#endif

namespace densecrf::cuda {

// A call of CUDA that failed: what was tried, and what CUDA says about it.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// How many devices there are, and if none why not.
struct Devices {
    int count;
    std::string reason;
};
Devices devices();

// Makes a device the current one for as long as it lives.
class DeviceGuard {
  public:
    explicit DeviceGuard(int device);
    ~DeviceGuard();
    DeviceGuard(const DeviceGuard&) = delete;

  private:
    int before_;
};

// In the order of the stream. Memory of the host may be reused at once.
void upload(const Context& context, void* to, const void* from, int64_t bytes);
void download(const Context& context, void* to, const void* from, int64_t bytes);
void fill(const Context& context, void* to, int byte, int64_t bytes);

// Waits until everything before is done.
void synchronize(const Context& context);

template <class T>
Array<T> uploaded(const Context& context, const std::vector<T>& values) {
    Array<T> array(context, static_cast<int64_t>(values.size()));
    upload(context, array.data(), values.data(), array.size() * static_cast<int64_t>(sizeof(T)));
    return array;
}

// Whether what the stream is given goes into a graph instead of being done.
bool is_captured(const Context& context);

// Puts work of one stream of a device after what another was given so far.
class Order {
  public:
    explicit Order(int device);
    ~Order();
    Order(const Order&) = delete;
    void after(const Context& later, const Context& earlier);

  private:
    int device_;
    void* event_ = nullptr;  // a cudaEvent_t
};

}  // namespace densecrf::cuda
