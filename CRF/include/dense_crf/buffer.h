// A plain block of memory: 64-byte aligned (one cache line, one AVX-512 register) and not initialised. Large
// blocks ask for huge pages: vertex values are read in scattered order, which wants few entries of the address
// cache.
//
// std::vector would write zeros that the next pass overwrites; at 375 x 500 x 81 that is a tenth of the run.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

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
            const std::size_t bytes = size * sizeof(T);
            data_ = {static_cast<T*>(allocate(bytes)), Free{std::align_val_t{alignment(bytes)}}};
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
    static constexpr std::size_t kHugePage = std::size_t{2} << 20;

    static std::size_t alignment(std::size_t bytes) { return bytes < 2 * kHugePage ? kAlignment : kHugePage; }
    static std::size_t rounded(std::size_t bytes) {
        return (bytes + alignment(bytes) - 1) / alignment(bytes) * alignment(bytes);
    }
    static void* allocate(std::size_t bytes) {
        void* p = ::operator new(rounded(bytes), std::align_val_t{alignment(bytes)});
#if defined(__linux__)
        if (alignment(bytes) == kHugePage) madvise(p, rounded(bytes), MADV_HUGEPAGE);  // a hint: may be refused
#endif
        return p;
    }

    struct Free {
        std::align_val_t alignment{kAlignment};
        void operator()(T* p) const { ::operator delete(p, alignment); }
    };
    std::unique_ptr<T, Free> data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace dense_crf
