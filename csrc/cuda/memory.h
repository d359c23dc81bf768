// Arrays on the device, in memory that the caller's library hands out: PyTorch's or CuPy's pool, in the order of
// the stream.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

namespace densecrf::cuda {

// What the caller's library offers. Throws where there is no memory; what it hands out is aligned to 256 bytes.
class Allocator {
  public:
    virtual ~Allocator() = default;
    virtual void* allocate(int64_t bytes) = 0;
    virtual void release(void* memory) noexcept = 0;
};

// Where work goes: a device, one of its streams, and memory that may be used in the order of that stream.
struct Context {
    int device = 0;
    void* stream = nullptr;  // a cudaStream_t; null is the default one
    std::shared_ptr<Allocator> memory;
};

// An array of plain values that owns its memory and does not initialise it.
template <class T>
class Array {
  public:
    Array() = default;
    Array(const Context& context, int64_t size)
        : memory_(context.memory),
          data_(size > 0 ? static_cast<T*>(memory_->allocate(size * static_cast<int64_t>(sizeof(T)))) : nullptr),
          size_(size) {}
    Array(Array&& other) noexcept { swap(other); }
    Array& operator=(Array&& other) noexcept {
        Array gone(std::move(other));
        swap(gone);
        return *this;
    }
    ~Array() {
        if (data_) memory_->release(data_);
    }

    T* data() const { return data_; }
    int64_t size() const { return size_; }

  private:
    void swap(Array& other) {
        std::swap(memory_, other.memory_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }

    std::shared_ptr<Allocator> memory_;
    T* data_ = nullptr;
    int64_t size_ = 0;
};

}  // namespace densecrf::cuda
