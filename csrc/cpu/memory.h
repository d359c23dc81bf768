// Large arrays: cache-line aligned, uninitialised, and refused before they are touched when they cannot be had.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

namespace densecrf::cpu {

// For an array of the caller's that is still to be written: gives it its pages, if there is room for them.
void claim(void* memory, size_t bytes);

void* allocate(size_t bytes);
void release(void* memory, size_t bytes) noexcept;

// An array of plain values that owns its memory and does not initialise it.
template <class T>
class Array {
  public:
    Array() = default;
    explicit Array(size_t size) : data_(static_cast<T*>(allocate(size * sizeof(T)))), size_(size) {}
    Array(Array&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Array& operator=(Array&& other) noexcept {
        release(data_, size_ * sizeof(T));
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }
    ~Array() { release(data_, size_ * sizeof(T)); }

    T* data() { return data_; }
    const T* data() const { return data_; }
    size_t size() const { return size_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }

  private:
    T* data_ = nullptr;
    size_t size_ = 0;
};

// An Array that grows at its end.
template <class T>
class GrowingArray {
  public:
    void push_back(const T& value) {
        if (size_ == room_.size()) grow();
        room_[size_++] = value;
    }
    const T* data() const { return room_.data(); }
    size_t size() const { return size_; }

  private:
    void grow() {
        Array<T> larger(std::max<size_t>(64, 2 * size_));
        std::copy_n(room_.data(), size_, larger.data());
        room_ = std::move(larger);
    }

    Array<T> room_;
    size_t size_ = 0;
};

}  // namespace densecrf::cpu
