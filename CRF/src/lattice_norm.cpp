// Row sums of a kernel, and the weights scaled by them.
#include <algorithm>
#include <cmath>

#include "dense_crf/lattice.h"
#include "dense_crf/parallel.h"

namespace dense_crf {
namespace {

// One direction of the blur on single values; see VectorKernels::blur.
void blur_values(const BlurStream& stream, int vertices, Buffer<float>& values) {
    for (int length = 2; length <= kShortChain; ++length) {
        const std::int32_t *chain = stream.of[length], *end = chain + length * stream.count[length];
        for (; chain != end; chain += length) {
            float before = 0, here = values[chain[0]];
            for (int k = 0; k < length; ++k) {
                const float ahead = k + 1 < length ? values[chain[k + 1]] : 0.0f;
                values[chain[k]] = here + 0.5f * (before + ahead);
                before = here;
                here = ahead;
            }
        }
    }
    float before = 0, here = 0;
    std::int32_t at = vertices;
    for (std::size_t s = 0; s < stream.longer_size; ++s) {
        const float ahead = values[stream.longer[s]];
        values[at == vertices ? at + 1 : at] = here + 0.5f * (before + ahead);
        before = here;
        here = ahead;
        at = stream.longer[s];
    }
}

}  // namespace

// K 1 at every pixel, alpha included.
Buffer<float> Lattice::filtered_ones(const std::vector<Tile>& tiles, int threads) const {
    Buffer<float> values(static_cast<std::size_t>(vertices_) + 2), sums(pixels_), tile_values(tile_vertex_.size());
    for (Buffer<float>* sum : {&values, &tile_values}) std::fill_n(sum->data(), sum->size(), 0.0f);
    parallel_for(threads, static_cast<int>(tiles.size()), [&](int t) {
        float* tile_value = tile_values.data() + tile_begin_[t];
        const std::uint16_t* corner = this->corner(tiles[t]);
        const float* weight = splat_weight(tiles[t]);
        const int count = tiles[t].pixels() * corners();
        for (int i = 0; i < count; ++i) tile_value[corner[i]] += weight[i];
    });
    for (std::size_t i = 0; i < tile_values.size(); ++i) values[tile_vertex_[i]] += tile_values[i];
    for (const BlurStream& stream : streams()) blur_values(stream, vertices_, values);
    parallel_for(threads, static_cast<int>(tiles.size()), [&](int t) {
        const std::int32_t* vertex = tile_vertex(t);
        const std::uint16_t* corner = this->corner(tiles[t]);
        const float* weight = splat_weight(tiles[t]);
        for (int p = 0; p < tiles[t].pixels(); ++p, corner += corners(), weight += corners()) {
            float sum = 0;
            for (int c = 0; c < corners(); ++c) sum += weight[c] * values[vertex[corner[c]]];
            sums[tiles[t].first + p] = alpha_ * sum;
        }
    });
    return sums;
}

// True when each vertex has one pixel and each chain stays with one pixel.
bool Lattice::pixels_are_strangers(const std::vector<Tile>& tiles) const {
    const int corners = dims_ + 1;
    if (static_cast<std::size_t>(vertices_) != pixels_ * corners) return false;
    std::vector<std::int32_t> owner(vertices_);
    for (int t = 0; t < static_cast<int>(tiles.size()); ++t) {
        for (int p = 0; p < tiles[t].pixels(); ++p) {
            const std::size_t pixel = tiles[t].first + p;
            for (int c = 0; c < corners; ++c) {
                owner[tile_vertex(t)[corner_[pixel * corners + c]]] = static_cast<std::int32_t>(pixel);
            }
        }
    }
    for (const BlurStream& stream : streams()) {
        for (int length = 2; length <= kShortChain; ++length) {
            const std::int32_t *chain = stream.of[length], *end = chain + length * stream.count[length];
            for (; chain != end; chain += length) {
                for (int k = 1; k < length; ++k) {
                    if (owner[chain[k]] != owner[chain[0]]) return false;
                }
            }
        }
        for (std::size_t s = 1; s < stream.longer_size; ++s) {
            const std::int32_t a = stream.longer[s - 1], b = stream.longer[s];
            if (a != vertices_ && b != vertices_ && owner[a] != owner[b]) return false;
        }
    }
    return true;
}

void Lattice::normalize(const std::vector<Tile>& tiles, Normalization normalization, int threads) {
    const int corners = dims_ + 1;
    const Buffer<float> sums = filtered_ones(tiles, threads);
    const bool strangers = pixels_are_strangers(tiles);
    if (strangers) {
        // What a pixel gets back of its own value is then its row sum.
        self_.assign(sums.data(), sums.data() + sums.size());
        if (normalization != Normalization::kNone) {
            for (float& s : self_) s /= s + 1e-20f;
        }
        corner_.release();
        weight_.release();
        tile_vertex_.release();
        std::fill(tile_begin_.begin(), tile_begin_.end(), std::size_t{0});
        chains_.clear();
        vertices_ = seen_vertices_ = 0;
        return;
    }
    if (normalization == Normalization::kNone) return;
    // 1e-20: what the original adds before it divides.
    const bool symmetric = normalization == Normalization::kSymmetric;
    if (!symmetric) {
        slice_weight_.resize(weight_.size());
        std::copy(weight_.data(), weight_.data() + weight_.size(), slice_weight_.data());
    }
    Buffer<float>& scaled = normalization == Normalization::kAfter ? slice_weight_ : weight_;
    parallel_for(threads, static_cast<int>(tiles.size()), [&](int t) {
        const std::size_t end = tiles[t].first + static_cast<std::size_t>(tiles[t].pixels());
        for (std::size_t p = tiles[t].first; p < end; ++p) {
            const float norm = symmetric ? 1.0f / std::sqrt(sums[p] + 1e-20f) : 1.0f / (sums[p] + 1e-20f);
            for (int c = 0; c < corners; ++c) scaled[p * corners + c] *= norm;
        }
    });
}

}  // namespace dense_crf
