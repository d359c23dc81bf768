#include <cstring>

#include "launch.h"
#include "runtime.h"

namespace densecrf::cuda {

#if defined(DENSECRF_TWIN)

Devices devices() {
    return {1, ""};
}

DeviceGuard::DeviceGuard(int device) : before_(device) {}
DeviceGuard::~DeviceGuard() {
    (void)before_;
}

void upload(const Context&, void* to, const void* from, int64_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
}
void download(const Context&, void* to, const void* from, int64_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
}
void fill(const Context&, void* to, int byte, int64_t bytes) {
    if (bytes > 0) std::memset(to, byte, bytes);
}
void synchronize(const Context&) {
    ++twin_waits();
}
bool is_captured(const Context&) {
    return false;
}

Order::Order(int device) : device_(device) {}
Order::~Order() {
    (void)device_, (void)event_;
}
void Order::after(const Context&, const Context&) {}

std::atomic<int>& twin_waits() {
    static std::atomic<int> waits{0};
    return waits;
}

TwinOrder& twin_order() {
    static TwinOrder order = TwinOrder::kForwards;
    return order;
}

#else

namespace {

// Also clears the error, so that it is not reported again as somebody else's.
void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    cudaGetLastError();
    if (error == cudaErrorMemoryAllocation) throw std::bad_alloc();
    throw Error(std::string("CUDA could not ") + what + ": " + cudaGetErrorString(error) + " (" +
                cudaGetErrorName(error) + ")");
}

cudaStream_t stream_of(const Context& context) {
    return static_cast<cudaStream_t>(context.stream);
}

bool has_early_launches(int device) {
    int major = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "look at a device");
    return major >= 9;
}

}  // namespace

Devices devices() {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0) return {count, ""};
    cudaGetLastError();
    if (error == cudaErrorInsufficientDriver)
        return {0, "no NVIDIA driver, or one that is older than CUDA " + std::to_string(CUDART_VERSION / 1000) +
                       "." + std::to_string(CUDART_VERSION % 1000 / 10) + " needs"};
    return {0, error == cudaSuccess ? "none found" : cudaGetErrorString(error)};
}

DeviceGuard::DeviceGuard(int device) : before_(device) {
    check(cudaGetDevice(&before_), "find the current device");
    if (before_ != device) check(cudaSetDevice(device), "change to the arrays' device");
}

DeviceGuard::~DeviceGuard() {
    cudaSetDevice(before_);
}

void upload(const Context& context, void* to, const void* from, int64_t bytes) {
    if (bytes > 0)
        check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(context)), "copy to a device");
}

void download(const Context& context, void* to, const void* from, int64_t bytes) {
    if (bytes > 0)
        check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(context)), "copy from a device");
}

void fill(const Context& context, void* to, int byte, int64_t bytes) {
    if (bytes > 0) check(cudaMemsetAsync(to, byte, bytes, stream_of(context)), "fill memory of a device");
}

void synchronize(const Context& context) {
    check(cudaStreamSynchronize(stream_of(context)), "finish what the stream was given");
}

bool is_captured(const Context& context) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check(cudaStreamIsCapturing(stream_of(context), &status), "look at a stream");
    return status != cudaStreamCaptureStatusNone;
}

Order::Order(int device) : device_(device) {}

Order::~Order() {
    if (event_) cudaEventDestroy(static_cast<cudaEvent_t>(event_));
}

void Order::after(const Context& later, const Context& earlier) {
    const DeviceGuard guard(device_);
    if (!event_) {
        cudaEvent_t event;
        check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "make an event");
        event_ = event;
    }
    check(cudaEventRecord(static_cast<cudaEvent_t>(event_), stream_of(earlier)), "mark a place in a stream");
    check(cudaStreamWaitEvent(stream_of(later), static_cast<cudaEvent_t>(event_), 0), "order two streams");
}

Launch::Launch(const Context& context, int64_t blocks, int pictures, int threads, int64_t shared_bytes) {
    if (blocks > INT32_MAX) throw Error("a launch of " + std::to_string(blocks) + " blocks; use fewer points");
    config.gridDim = dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(pictures));
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = static_cast<size_t>(shared_bytes);
    config.stream = stream_of(context);
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &attribute;
    config.numAttrs = has_early_launches(context.device) ? 1 : 0;
}

void check_launch(cudaError_t error) {
    check(error, "launch a kernel");
}

#endif

}  // namespace densecrf::cuda
