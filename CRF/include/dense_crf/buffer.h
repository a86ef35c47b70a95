// A plain block of memory: 64-byte aligned (one cache line, one AVX-512 register) and not initialised.
//
// std::vector would write zeros that the next pass overwrites.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace dense_crf {

// Blocks for Buffer. Large ones ask for huge pages: vertex values are read in scattered order, which wants few
// entries of the address cache. Blocks given back are kept for the next calls, 64 MB in all and those that are still
// asked for: a fresh page costs the system call that clears it. Any thread may call, also after a fork.
// `bytes` becomes the size of the block, which is to be given back with it.
void* take_block(std::size_t& bytes);
void give_block(void* block, std::size_t bytes) noexcept;
std::size_t kept_bytes();  // of blocks that wait for their next use

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
            release();
            std::size_t bytes = size * sizeof(T);
            T* const block = static_cast<T*>(take_block(bytes));
            data_ = {block, GiveBack{bytes}};
            capacity_ = bytes / sizeof(T);
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
    struct GiveBack {
        std::size_t bytes = 0;
        void operator()(T* p) const { give_block(p, bytes); }
    };
    std::unique_ptr<T, GiveBack> data_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace dense_crf
