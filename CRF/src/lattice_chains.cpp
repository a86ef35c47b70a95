// Chains of neighbours, which the blur walks along.
#include <algorithm>

#include "dense_crf/lattice.h"

namespace dense_crf {

// Writes the chains of kLength vertices, of which there is none shorter; the heads of the others are left in
// `head`.
template <int kLength>
std::size_t Lattice::take_chains(const Buffer<std::int32_t>& next, std::int32_t* head, std::size_t count,
                                 Chains& chains, std::int32_t*& out) {
    const std::int32_t* const start = out;
    std::int32_t* to = out;
    std::size_t left = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::int32_t first = head[i];
        std::int32_t v = first;
        for (int k = 0; k < kLength; ++k) {
            to[k] = v;
            if (k + 1 < kLength) v = next[v];
        }
        const std::size_t goes_on = 1 + static_cast<std::size_t>(next[v] >> 31);  // 0 where next[v] is none, < 0
        to += kLength * (1 - goes_on);
        head[left] = first;
        left += goes_on;
    }
    chains.count[kLength] = static_cast<std::size_t>(to - start) / kLength;
    out = to;
    return left;
}

// head: `count` vertices with a next; used up.
void Lattice::make_chains(Chains& chains, const Buffer<std::int32_t>& next,
                          const Buffer<std::uint8_t>& has_previous, std::int32_t* head, std::size_t count) const {
    const std::int32_t vertices = vertices_;
    std::size_t heads = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::int32_t v = head[i];
        head[heads] = v;
        heads += static_cast<std::size_t>(has_previous[v] == 0);
    }
    // Each vertex once, a separator behind each longer chain, and a short one that is written but does not count.
    chains.numbers.resize(static_cast<std::size_t>(vertices) + vertices / (kShortChain + 1) + kShortChain +
                          kBlurLookahead);
    std::int32_t* out = chains.numbers.data();
    static_assert(kShortChain == 4, "the lengths below");
    heads = take_chains<2>(next, head, heads, chains, out);
    heads = take_chains<3>(next, head, heads, chains, out);
    heads = take_chains<4>(next, head, heads, chains, out);
    const std::int32_t* const longer = out;
    for (std::size_t i = 0; i < heads; ++i) {
        for (std::int32_t v = head[i]; v >= 0; v = next[v]) *out++ = v;
        *out++ = vertices;
    }
    chains.longer_size = static_cast<std::size_t>(out - longer);
    std::fill_n(out, kBlurLookahead, vertices);
}

std::vector<BlurStream> Lattice::streams() const {
    std::vector<BlurStream> streams;
    for (const Chains& chains : chains_) {
        BlurStream stream{};
        const std::int32_t* at = chains.numbers.data();
        for (int length = 2; length <= kShortChain; ++length) {
            stream.of[length] = at;
            stream.count[length] = chains.count[length];
            at += length * chains.count[length];
        }
        stream.longer = at;
        stream.longer_size = chains.longer_size;
        streams.push_back(stream);
    }
    return streams;
}

std::size_t Lattice::blur_steps() const {
    std::size_t steps = 0;
    for (const Chains& chains : chains_) {
        for (int length = 2; length <= kShortChain; ++length) steps += length * chains.count[length];
        steps += chains.longer_size;
    }
    return steps;
}

}  // namespace dense_crf
