// The blocks of memory that calls leave to the next ones.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "dense_crf/buffer.h"

using namespace dense_crf;

TEST(a_block_serves_again_for_what_is_a_little_smaller) {
    std::size_t bytes = 100 << 10;
    void* const first = take_block(bytes);
    const std::size_t given = bytes;
    give_block(first, bytes);
    bytes = 90 << 10;
    void* const again = take_block(bytes);
    check::that(again == first && bytes == given, "another block, or another size");
    std::size_t half = 50 << 10;
    void* const other = take_block(half);
    give_block(again, bytes);
    std::size_t small = 60 << 10;
    void* const third = take_block(small);
    check::that(third != first, "a block far too large was taken");
    give_block(other, half);
    give_block(third, small);
}

TEST(sizes_that_come_up_now_and_then_do_not_fill_the_memory_one_by_one) {
    // A training whose photos ask for another size at times, as 200 KB, 240 KB, .. beside one that always comes.
    std::size_t most = 0;
    for (int step = 0; step < 60000; ++step) {
        std::size_t bytes = step % 500 == 0 ? (200 + 40 * static_cast<std::size_t>(step / 500)) << 10 : 64 << 10;
        void* const block = take_block(bytes);
        std::memset(block, 1, bytes);
        give_block(block, bytes);
        if (step > 30000) most = std::max(most, kept_bytes());
    }
    // 4096 gifts of others let nine or ten of them live, and each is 5 MB at the end
    check::that(most < std::size_t{50} << 20, "kept " + std::to_string(most) + " bytes");
    for (int step = 0; step < 10000; ++step) {
        std::size_t bytes = 64 << 10;
        give_block(take_block(bytes), bytes);
    }
    check::that(kept_bytes() <= std::size_t{128} << 10, "kept " + std::to_string(kept_bytes()) + " bytes at the end");
}

TEST(no_more_than_64_MB_are_kept) {
    std::vector<std::pair<void*, std::size_t>> blocks;
    for (std::size_t i = 0; i < 100; ++i) {
        std::size_t bytes = (1000 + i) << 10;
        void* const block = take_block(bytes);
        blocks.emplace_back(block, bytes);
    }
    for (const auto& [block, bytes] : blocks) give_block(block, bytes);
    check::that(kept_bytes() <= std::size_t{64} << 20, "kept " + std::to_string(kept_bytes()) + " bytes");
}

int main() { return check::run_all(); }
