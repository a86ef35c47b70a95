#include "dense_crf/buffer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <new>

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)  // which watches the borders of blocks of the heap
#define DENSE_CRF_OWN_PAGES
#include <sys/mman.h>
#endif

namespace dense_crf {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20, kPage = 4096;
constexpr std::size_t kKeptFrom = std::size_t{4} << 10;  // smaller blocks are left to operator new
constexpr std::size_t kKeptInAll = std::size_t{64} << 20;
constexpr std::uint64_t kKeptFor = 4096;  // gifts of other blocks: some steps of a training, some photos

std::size_t alignment(std::size_t bytes) {
    return bytes < kKeptFrom ? 64 : bytes < 2 * kHugePage ? kPage : kHugePage;
}

// Blocks are up to an eighth larger than asked for: so those of one image mostly serve for the next one.
std::size_t rounded(std::size_t bytes) {
    std::size_t unit = alignment(bytes);
    while (bytes >= kKeptFrom && unit * 16 <= bytes) unit *= 2;
    return (bytes + unit - 1) / unit * unit;
}

struct Block {
    void* start;
    std::size_t size, alignment;
};

// Pages of their own go back to the system whole. From the heap they would leave gaps: an aligned block of a size that
// has not been seen before fits none of those that are free, and the process grows for hours though it holds no more.
void* allocate(std::size_t size, std::size_t alignment) {
#if defined(DENSE_CRF_OWN_PAGES)
    if (size >= kKeptFrom) {
        const std::size_t spare = alignment > kPage ? alignment : 0;
        void* found = mmap(nullptr, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (found == MAP_FAILED) throw std::bad_alloc();
        if (spare == 0) return found;
        char* const first = static_cast<char*>(found);
        const std::size_t before = (alignment - reinterpret_cast<std::uintptr_t>(first) % alignment) % alignment;
        if (before > 0) munmap(first, before);
        if (spare > before) munmap(first + before + size, spare - before);
        madvise(first + before, size, MADV_HUGEPAGE);  // a hint: may be refused
        return first + before;
    }
#endif
    return ::operator new(size, std::align_val_t{alignment});
}

void deallocate(const Block& block) noexcept {
#if defined(DENSE_CRF_OWN_PAGES)
    if (block.size >= kKeptFrom) {
        munmap(block.start, block.size);
        return;
    }
#endif
    ::operator delete(block.start, std::align_val_t{block.alignment});
}

// The blocks kept. Whoever finds the cache in use, which may be for ever in a forked process, does without.
class BlockCache {
  public:
    // The smallest block that serves and is at most a quarter too large; `size` becomes its own.
    void* take(std::size_t& size, std::size_t alignment) {
        Lock lock(busy_);
        std::size_t best = blocks_.size();
        for (std::size_t i = lock.owned ? count_ : 0; i-- > 0;) {
            const std::size_t most = best < blocks_.size() ? blocks_[best].size - 1 : size + size / 4;
            if (blocks_[i].size >= size && blocks_[i].size <= most && blocks_[i].alignment == alignment) best = i;
        }
        if (best == blocks_.size()) return nullptr;
        void* const start = blocks_[best].start;
        size = blocks_[best].size;
        remove(best);
        return start;
    }
    bool give(const Block& block) {
        Lock lock(busy_);
        if (!lock.owned || block.size > kKeptInAll / 2) return false;
        ++given_;
        forget_one();
        while (count_ == blocks_.size() || bytes_ + block.size > kKeptInAll) drop(oldest());
        blocks_[count_] = block;
        since_[count_++] = given_;
        bytes_ += block.size;
        return true;
    }
    std::size_t bytes() {
        Lock lock(busy_);
        return lock.owned ? bytes_ : 0;
    }

  private:
    struct Lock {
        explicit Lock(std::atomic_flag& f) : flag(f), owned(!f.test_and_set(std::memory_order_acquire)) {}
        ~Lock() {
            if (owned) flag.clear(std::memory_order_release);
        }
        std::atomic_flag& flag;
        const bool owned;
    };
    std::size_t oldest() const {
        return static_cast<std::size_t>(std::min_element(since_.begin(), since_.begin() + count_) - since_.begin());
    }
    // Sizes that come up now and then would fill the cache one by one: each call looks at one block, and drops it if
    // nobody has wanted it for long.
    void forget_one() {
        if (count_ == 0) return;
        looked_at_ = (looked_at_ + 1) % count_;
        if (given_ - since_[looked_at_] > kKeptFor) drop(looked_at_);
    }
    void drop(std::size_t i) {
        deallocate(blocks_[i]);
        remove(i);
    }
    void remove(std::size_t i) {
        bytes_ -= blocks_[i].size;
        --count_;
        blocks_[i] = blocks_[count_];
        since_[i] = since_[count_];
    }

    std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
    std::array<Block, 256> blocks_;
    std::array<std::uint64_t, 256> since_;  // the number of its gift
    std::uint64_t given_ = 0;
    std::size_t count_ = 0, bytes_ = 0, looked_at_ = 0;
};

BlockCache cache;  // constant-initialised, never destroyed in use: blocks go back to the system with the process

}  // namespace

void* take_block(std::size_t& bytes) {
    bytes = rounded(bytes);
    const std::size_t align = alignment(bytes);
    void* const found = bytes >= kKeptFrom ? cache.take(bytes, align) : nullptr;
    return found != nullptr ? found : allocate(bytes, align);
}

void give_block(void* start, std::size_t bytes) noexcept {
    const Block block{start, bytes, alignment(bytes)};
    if (bytes < kKeptFrom || !cache.give(block)) deallocate(block);
}

std::size_t kept_bytes() { return cache.bytes(); }

}  // namespace dense_crf
