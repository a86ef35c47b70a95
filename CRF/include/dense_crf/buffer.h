// A plain block of memory: 64-byte aligned (one cache line, one AVX-512 register) and not initialised.
//
// std::vector would write zeros that the next pass overwrites; at 375 x 500 x 81 that is a tenth of the run.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

namespace dense_crf {

template <class T>
class Buffer {
    static_assert(std::is_trivial_v<T>, "Buffer holds plain numbers only");

  public:
    static constexpr std::size_t kAlignment = 64;

    Buffer() = default;
    explicit Buffer(std::size_t size) { resize(size); }

    // Grows to at least `size` elements; contents are lost when it grows. Never shrinks, so a buffer that is
    // kept between calls stops allocating.
    void resize(std::size_t size) {
        if (size > capacity_) {
            data_.reset();
            capacity_ = 0;
            const std::size_t bytes = (size * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
            data_.reset(static_cast<T*>(::operator new(bytes, std::align_val_t{kAlignment})));
            capacity_ = size;
        }
        size_ = size;
    }

    void release() {
        data_.reset();
        size_ = capacity_ = 0;
    }

    T* data() { return data_.get(); }
    const T* data() const { return data_.get(); }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T& operator[](std::size_t i) { return data_.get()[i]; }
    const T& operator[](std::size_t i) const { return data_.get()[i]; }

  private:
    struct Free {
        void operator()(T* p) const { ::operator delete(p, std::align_val_t{kAlignment}); }
    };
    std::unique_ptr<T, Free> data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace dense_crf
