#include "dense_crf/buffer.h"

#include <array>
#include <atomic>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace dense_crf {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20, kPage = 4096;
constexpr std::size_t kKeptFrom = std::size_t{4} << 10;  // smaller blocks are left to operator new
constexpr std::size_t kKeptInAll = std::size_t{64} << 20;

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
    void free() const noexcept { ::operator delete(start, std::align_val_t{alignment}); }
};

// The blocks kept. Whoever finds the cache in use, which may be for ever in a forked process, does without.
class BlockCache {
  public:
    void* take(std::size_t size, std::size_t alignment) {
        Lock lock(busy_);
        for (std::size_t i = lock.owned ? count_ : 0; i-- > 0;) {
            const Block found = blocks_[i];
            if (found.size != size || found.alignment != alignment) continue;
            bytes_ -= size;
            blocks_[i] = blocks_[--count_];
            return found.start;
        }
        return nullptr;
    }
    bool give(const Block& block) {
        Lock lock(busy_);
        if (!lock.owned || block.size > kKeptInAll / 2) return false;
        while (count_ == blocks_.size() || bytes_ + block.size > kKeptInAll) drop_oldest();
        blocks_[count_++] = block;
        bytes_ += block.size;
        return true;
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
    void drop_oldest() {
        blocks_[0].free();
        bytes_ -= blocks_[0].size;
        for (std::size_t i = 1; i < count_; ++i) blocks_[i - 1] = blocks_[i];
        --count_;
    }

    std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
    std::array<Block, 256> blocks_;
    std::size_t count_ = 0, bytes_ = 0;
};

BlockCache cache;  // constant-initialised, never destroyed in use: blocks go back to the system with the process

}  // namespace

void* take_block(std::size_t bytes) {
    const std::size_t size = rounded(bytes);
    if (bytes >= kKeptFrom) {
        if (void* kept = cache.take(size, alignment(bytes))) return kept;
    }
    void* block = ::operator new(size, std::align_val_t{alignment(bytes)});
#if defined(__linux__)
    if (alignment(bytes) == kHugePage) madvise(block, size, MADV_HUGEPAGE);  // a hint: may be refused
#endif
    return block;
}

void give_block(void* start, std::size_t bytes) noexcept {
    const Block block{start, rounded(bytes), alignment(bytes)};
    if (bytes < kKeptFrom || !cache.give(block)) block.free();
}

}  // namespace dense_crf
