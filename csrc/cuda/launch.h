// Launches. A kernel's work is a plain function object: of an index, or of a tile of points whose threads meet
// between steps. The wrapper below is all that knows blocks and threads.
#pragma once

#include <cstdint>

#include "runtime.h"

#if defined(DENSECRF_TWIN)
#include <atomic>
#include <vector>
#endif

namespace densecrf::cuda {

constexpr int kBlockThreads = 256;
constexpr int64_t kSharedBytes = 48 << 10;  // of a tile, at most: what every device has

// A group of threads with memory of their own. Work is written as steps, each for all threads, after which the
// threads wait for each other:
//
//     tile.each_thread([&](int thread) { ... });
struct Tile {
    int64_t index;
    int threads;
    float* shared;

    template <class Step>
    DENSECRF_DEVICE void each_thread(const Step& step) const;

    // step(item) for all items below count, shared out among the threads.
    template <class Step>
    DENSECRF_DEVICE void each(int count, const Step& step) const {
        each_thread([&](int thread) {
            for (int item = thread; item < count; item += threads) step(item);
        });
    }
};

#if defined(DENSECRF_TWIN)

// The order in which the twin runs the threads of a launch: on a device it could be any, so results must not
// depend on it.
enum class TwinOrder { kForwards, kBackwards, kScattered };
TwinOrder& twin_order();

// How often the host waited so far, for any caller.
std::atomic<int>& twin_waits();

inline int64_t twin_index(int64_t i, int64_t count) {
    if (twin_order() == TwinOrder::kForwards) return i;
    if (twin_order() == TwinOrder::kBackwards) return count - 1 - i;
    constexpr int64_t kPrime = 2147483647;  // coprime to every smaller count: visits each index once
    return static_cast<int64_t>(static_cast<uint64_t>(i) * kPrime % static_cast<uint64_t>(count));
}

template <class Step>
void Tile::each_thread(const Step& step) const {
    for (int i = 0; i < threads; ++i) step(static_cast<int>(twin_index(i, threads)));
}

template <class Body>
void for_each(const Context&, int pictures, int64_t count, const Body& body) {
    for (int picture = 0; picture < pictures; ++picture)
        for (int64_t i = 0; i < count; ++i) body(picture, twin_index(i, count));
}

template <class Body>
void for_each_tile(const Context&, int pictures, int64_t tiles, int threads, int64_t shared_bytes,
                   const Body& body) {
    for (int picture = 0; picture < pictures; ++picture)
        for (int64_t i = 0; i < tiles; ++i) {
            std::vector<float> shared(shared_bytes /
                                      sizeof(float));  // of its own, for the sanitizer to see its ends
            body(picture, Tile{twin_index(i, tiles), threads, shared.data()});
        }
}

// Raises a maximum of numbers that are not negative.
inline void raise(float* most, float value) {
    if (!(value <= *most)) *most = value;
}
inline void raise(uint32_t* most, uint32_t value) {
    if (value > *most) *most = value;
}
inline void lower(uint32_t* least, uint32_t value) {
    if (value < *least) *least = value;
}
inline void count_up(unsigned long long* count, unsigned long long by) {
    *count += by;
}

#else

template <class Step>
DENSECRF_DEVICE void Tile::each_thread(const Step& step) const {
    step(static_cast<int>(threadIdx.x));
    __syncthreads();
}

// A launch may be prepared while the one before still runs (see `launch` below); this is where it waits.
DENSECRF_DEVICE void wait_for_launch_before() {
#if __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
#endif
}

template <class Body>
__global__ void __launch_bounds__(kBlockThreads) each_kernel(int64_t count, const Body body) {
    wait_for_launch_before();
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlockThreads + threadIdx.x;
    if (i < count) body(static_cast<int>(blockIdx.y), i);
}

template <class Body>
__global__ void __launch_bounds__(kBlockThreads) tile_kernel(const Body body) {
    extern __shared__ float shared[];
    wait_for_launch_before();
    body(static_cast<int>(blockIdx.y), Tile{blockIdx.x, static_cast<int>(blockDim.x), shared});
}

// Configuration of the next launch: blocks are scheduled while those of the launch before come to their end, which
// takes the gap out between the many short launches of an inference (devices from 9.0 on; others ignore it).
struct Launch {
    Launch(const Context& context, int64_t blocks, int pictures, int threads, int64_t shared_bytes);
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attribute = {};
};

void check_launch(cudaError_t error);

template <class Body>
void for_each(const Context& context, int pictures, int64_t count, const Body& body) {
    if (count <= 0) return;
    const Launch launch(context, (count + kBlockThreads - 1) / kBlockThreads, pictures, kBlockThreads, 0);
    check_launch(cudaLaunchKernelEx(&launch.config, each_kernel<Body>, count, body));
}

template <class Body>
void for_each_tile(const Context& context, int pictures, int64_t tiles, int threads, int64_t shared_bytes,
                   const Body& body) {
    if (tiles <= 0) return;
    const Launch launch(context, tiles, pictures, threads, shared_bytes);
    check_launch(cudaLaunchKernelEx(&launch.config, tile_kernel<Body>, body));
}

// Maxima do not depend on the order in which threads come by, so these keep results the same from run to run.
// Bits of floats that are not negative order as integers do; NaN is above all numbers. Most values are no new
// maximum, which a look at an old one tells.
DENSECRF_DEVICE void raise(float* most, float value) {
    if (!(value <= __ldcg(most))) atomicMax(reinterpret_cast<int*>(most), __float_as_int(value));
}
DENSECRF_DEVICE void raise(uint32_t* most, uint32_t value) {
    atomicMax(most, value);
}
DENSECRF_DEVICE void lower(uint32_t* least, uint32_t value) {
    atomicMin(least, value);
}
DENSECRF_DEVICE void count_up(unsigned long long* count, unsigned long long by) {
    atomicAdd(count, by);
}

#endif

}  // namespace densecrf::cuda
