#include "runtime.h"
#include "sort.h"

#if defined(DENSECRF_TWIN)
#include <algorithm>
#include <numeric>
#else
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>
#endif

namespace densecrf::cuda {

#if defined(DENSECRF_TWIN)

void sort_pairs(const Context&, Array<uint64_t>& keys, Array<uint32_t>& values, int bits) {
    const uint64_t mask = bits < 64 ? (uint64_t{1} << bits) - 1 : ~uint64_t{0};
    std::vector<std::pair<uint64_t, uint32_t>> pairs(keys.size());
    for (int64_t i = 0; i < keys.size(); ++i) pairs[i] = {keys.data()[i], values.data()[i]};
    std::stable_sort(pairs.begin(), pairs.end(),
                     [&](const auto& a, const auto& b) { return (a.first & mask) < (b.first & mask); });
    for (int64_t i = 0; i < keys.size(); ++i) {
        keys.data()[i] = pairs[i].first;
        values.data()[i] = pairs[i].second;
    }
}

void running_sum(const Context&, Array<uint32_t>& values) {
    std::partial_sum(values.data(), values.data() + values.size(), values.data());
}

#else

namespace {

// CUB's way: asked once for how much memory it wants, then again with it.
template <class Call>
void with_memory(const Context& context, const char* what, const Call& call) {
    size_t bytes = 0;
    cudaError_t error = call(nullptr, bytes);
    if (error == cudaSuccess) {
        const Array<char> memory(context, static_cast<int64_t>(bytes));
        error = call(memory.data(), bytes);
    }
    if (error != cudaSuccess) {
        cudaGetLastError();
        throw Error(std::string("CUDA could not ") + what + ": " + cudaGetErrorString(error));
    }
}

}  // namespace

void sort_pairs(const Context& context, Array<uint64_t>& keys, Array<uint32_t>& values, int bits) {
    Array<uint64_t> other_keys(context, keys.size());
    Array<uint32_t> other_values(context, values.size());
    cub::DoubleBuffer<uint64_t> key(keys.data(), other_keys.data());
    cub::DoubleBuffer<uint32_t> value(values.data(), other_values.data());
    with_memory(context, "sort", [&](void* memory, size_t& bytes) {
        return cub::DeviceRadixSort::SortPairs(memory, bytes, key, value, keys.size(), 0, bits,
                                               static_cast<cudaStream_t>(context.stream));
    });
    if (key.Current() != keys.data()) std::swap(keys, other_keys);
    if (value.Current() != values.data()) std::swap(values, other_values);
}

void running_sum(const Context& context, Array<uint32_t>& values) {
    with_memory(context, "add up", [&](void* memory, size_t& bytes) {
        return cub::DeviceScan::InclusiveSum(memory, bytes, values.data(), values.data(), values.size(),
                                             static_cast<cudaStream_t>(context.stream));
    });
}

#endif

}  // namespace densecrf::cuda
