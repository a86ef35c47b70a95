#include "dense_crf/lattice.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "dense_crf/parallel.h"
#include "dense_crf/vector_kernels.h"
#include "lattice_keys.h"

namespace dense_crf {
namespace {

// Axis scales of the embedding: unit columns times the standard deviation of the lattice's own blur,
// sqrt(2/3) (d + 1).
std::vector<float> axis_scales(int dims) {
    const float deviation = static_cast<float>(std::sqrt(2.0 / 3.0) * (dims + 1));
    std::vector<float> scales(dims);
    for (int i = 0; i < dims; ++i) {
        scales[i] = static_cast<float>(1.0 / std::sqrt(static_cast<double>((i + 2) * (i + 1))) * deviation);
    }
    return scales;
}

// Bounds of the stored coordinates of every vertex and neighbour. Throws where they do not fit the embedding's
// rounding (2^22 lattice cells along one axis).
void coordinate_bounds(const FeatureSource& features, std::vector<std::int64_t>& low,
                       std::vector<std::int64_t>& high) {
    const int dims = features.dims();
    const std::vector<float> scales = axis_scales(dims);
    const double margin = 4.0 * (dims + 1) + 2;
    double sum_low = 0, sum_high = 0;
    low.assign(dims, 0);
    high.assign(dims, 0);
    for (int j = dims; j >= 0; --j) {
        double axis_low = 0, axis_high = 0;
        if (j > 0) {
            float feature_low, feature_high;
            features.range(j - 1, feature_low, feature_high);
            feature_low = std::min(feature_low, 0.0f);  // the origin has its vertices too, see build()
            feature_high = std::max(feature_high, 0.0f);
            axis_low = static_cast<double>(feature_low) * scales[j - 1];
            axis_high = static_cast<double>(feature_high) * scales[j - 1];
        }
        const double lowest = sum_low - j * axis_high - margin, highest = sum_high - j * axis_low + margin;
        if (!(lowest > -4e6 * (dims + 1)) || !(highest < 4e6 * (dims + 1)) || lowest < -1e9 || highest > 1e9) {
            throw std::invalid_argument(
                "features: expected positions within about a million standard deviations of 0, got a lattice "
                "coordinate between " + std::to_string(lowest) + " and " + std::to_string(highest) +
                "; is a kernel width (sxy, srgb) far too small?");
        }
        if (j < dims) {
            low[j] = static_cast<std::int64_t>(std::floor(lowest));
            high[j] = static_cast<std::int64_t>(std::ceil(highest));
        }
        sum_low += axis_low;
        sum_high += axis_high;
    }
}

// One direction of the blur on single values; see VectorKernels::blur.
void blur_values(const std::vector<std::int32_t>& stream, int vertices, std::vector<float>& values) {
    float before = 0, here = 0;
    for (std::size_t s = 1; s < stream.size() - Lattice::kStreamPadding; ++s) {
        const std::int32_t at = stream[s - 1];
        const float ahead = values[stream[s]];
        values[at == vertices ? at + 1 : at] = here + 0.5f * (before + ahead);
        before = here;
        here = ahead;
    }
}

// What VectorKernels::embed writes: the simplices of kEmbedWidth points.
struct Simplices {
    explicit Simplices(int d)
        : dims(d),
          scratch(static_cast<std::size_t>(d + 1) * kEmbedWidth),
          weight(scratch.size()),
          vertex(scratch.size()),
          rank(scratch.size()),
          order(d + 1) {}

    // Calls visit(r, key) for corner r = 0..dims of point `lane`.
    template <class Keys, class Visit>
    void for_corners(const Keys& keys, int lane, Visit&& visit) {
        for (int i = 0; i <= dims; ++i) order[dims - rank[i * kEmbedWidth + lane]] = i;
        typename Keys::Key key = keys.make(vertex.data() + lane);
        for (int r = 0; r <= dims; ++r) {
            visit(r, key);
            keys.step(key, order[r]);
        }
    }

    int dims;
    Buffer<float> scratch, weight;
    Buffer<std::int32_t> vertex, rank;
    std::vector<int> order;  // coordinates by falling rank
};

}  // namespace

int max_tile_pixels(int dims) { return std::max(1, 65536 / (dims + 1)); }

Lattice::Lattice(const FeatureSource& features, const std::vector<Tile>& tiles, Normalization normalization,
                 int threads)
    : dims_(features.dims()),
      pixels_(tiles.back().first + static_cast<std::size_t>(tiles.back().pixels())),
      alpha_(static_cast<float>(1.0 / (1.0 + std::pow(2.0, -features.dims())))) {
    std::vector<std::int64_t> low, high;
    coordinate_bounds(features, low, high);
    if (PackedKeys::fits(low, high)) {
        build(PackedKeys(low, high), features, tiles, threads);
    } else {
        build(WideKeys(dims_), features, tiles, threads);
    }
    normalize(tiles, normalization, threads);
}

template <class Keys>
void Lattice::build(const Keys& keys, const FeatureSource& features, const std::vector<Tile>& tiles,
                    int threads) {
    using Index = typename Keys::Index;
    const int corners = dims_ + 1, count = static_cast<int>(tiles.size());
    const VectorKernels& kernels = vector_kernels();
    const std::vector<float> scales = axis_scales(dims_);
    corner_.resize(pixels_ * corners);
    weight_.resize(pixels_ * corners);

    // Each tile on its own: a table of some thousand vertices stays in L1 and L2.
    std::vector<std::vector<typename Keys::Key>> tile_keys(count);
    parallel_for(threads, count, [&](int t) {
        const Tile& tile = tiles[t];
        const std::size_t stride = (static_cast<std::size_t>(tile.pixels()) + kEmbedWidth - 1) / kEmbedWidth * kEmbedWidth;
        Buffer<float> feature(stride * dims_);
        features.fill(tile, stride, feature.data());
        for (int d = 0; d < dims_; ++d) {  // the last group is filled up with copies of the last pixel
            float* row = feature.data() + d * stride;
            std::fill(row + tile.pixels(), row + stride, row[tile.pixels() - 1]);
        }
        Simplices simplices(dims_);
        Index index(1024);
        for (int first = 0; first < tile.pixels(); first += kEmbedWidth) {
            kernels.embed(dims_, scales.data(), feature.data() + first, stride, simplices.scratch.data(),
                          simplices.vertex.data(), simplices.rank.data(), simplices.weight.data());
            for (int lane = 0; lane < std::min(kEmbedWidth, tile.pixels() - first); ++lane) {
                const std::size_t at = (tile.first + first + lane) * corners;
                simplices.for_corners(keys, lane, [&](int r, const typename Keys::Key& key) {
                    corner_[at + r] = static_cast<std::uint16_t>(index.find_or_insert(key));
                    weight_[at + r] = simplices.weight[r * kEmbedWidth + lane];
                });
            }
        }
        tile_keys[t] = index.keys();
    });

    // One numbering for the image, in tile order.
    std::size_t pairs = 0;
    for (const auto& one : tile_keys) pairs += one.size();
    Index index(count == 1 ? pairs : pairs / 2);
    tile_vertex_.reserve(pairs);
    for (int t = 0; t < count; ++t) {
        tile_begin_.push_back(tile_vertex_.size());
        tile_fresh_.push_back(static_cast<std::int32_t>(index.keys().size()));
        for (const auto& key : tile_keys[t]) tile_vertex_.push_back(index.find_or_insert(key));
    }
    tile_begin_.push_back(tile_vertex_.size());
    seen_vertices_ = static_cast<int>(index.keys().size());
    tile_fresh_.push_back(seen_vertices_);
    if (pixels_ % 4 != 0) {
        // As in the original, which works on four variables at a time and fills the last group up with features
        // of 0: their simplex has no pixel, but values are blurred across it. Near black, in the upper left
        // corner of a photo, q differs by up to 0.005 without.
        const std::vector<float> zeros(static_cast<std::size_t>(dims_) * kEmbedWidth, 0.0f);
        Simplices simplices(dims_);
        kernels.embed(dims_, scales.data(), zeros.data(), kEmbedWidth, simplices.scratch.data(),
                      simplices.vertex.data(), simplices.rank.data(), simplices.weight.data());
        simplices.for_corners(keys, 0, [&](int, const typename Keys::Key& key) { index.find_or_insert(key); });
    }
    vertices_ = static_cast<int>(index.keys().size());
    link(keys, index, threads);
}

template <class Keys, class Index>
void Lattice::link(const Keys& keys, const Index& index, int threads) {
    streams_.resize(dims_ + 1);
    parallel_for(threads, dims_ + 1, [&](int direction) {
        std::vector<std::int32_t> next(vertices_);
        std::vector<char> has_previous(vertices_, 0);
        for (int v = 0; v < vertices_; ++v) {
            auto key = index.keys()[v];
            keys.step(key, direction);
            next[v] = index.find(key);
            if (next[v] >= 0) has_previous[next[v]] = 1;
        }
        std::vector<std::int32_t>& stream = streams_[direction];
        stream.push_back(vertices_);
        for (int v = 0; v < vertices_; ++v) {
            if (has_previous[v] || next[v] < 0) continue;
            for (int w = v; w >= 0; w = next[w]) stream.push_back(w);
            stream.push_back(vertices_);
        }
        stream.insert(stream.end(), kStreamPadding, vertices_);
    });
}

// K 1 at every pixel, alpha included.
std::vector<float> Lattice::filtered_ones(const std::vector<Tile>& tiles) const {
    const int corners = dims_ + 1;
    std::vector<float> values(static_cast<std::size_t>(vertices_) + 2, 0.0f), sums(pixels_);
    for (int t = 0; t < static_cast<int>(tiles.size()); ++t) {
        const std::int32_t* vertex = tile_vertex(t);
        const std::size_t begin = tiles[t].first * corners, end = begin + tiles[t].pixels() * static_cast<std::size_t>(corners);
        for (std::size_t i = begin; i < end; ++i) values[vertex[corner_[i]]] += weight_[i];
    }
    for (const auto& stream : streams_) blur_values(stream, vertices_, values);
    for (int t = 0; t < static_cast<int>(tiles.size()); ++t) {
        const std::int32_t* vertex = tile_vertex(t);
        for (int p = 0; p < tiles[t].pixels(); ++p) {
            const std::size_t at = (tiles[t].first + p) * corners;
            float sum = 0;
            for (int c = 0; c < corners; ++c) sum += weight_[at + c] * values[vertex[corner_[at + c]]];
            sums[tiles[t].first + p] = alpha_ * sum;
        }
    }
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
    for (const auto& stream : streams_) {
        for (std::size_t s = 1; s < stream.size(); ++s) {
            const std::int32_t a = stream[s - 1], b = stream[s];
            if (a != vertices_ && b != vertices_ && owner[a] != owner[b]) return false;
        }
    }
    return true;
}

void Lattice::normalize(const std::vector<Tile>& tiles, Normalization normalization, int threads) {
    const int corners = dims_ + 1;
    std::vector<float> sums = filtered_ones(tiles);
    const bool strangers = pixels_are_strangers(tiles);
    if (strangers) {
        // What a pixel gets back of its own value is then its row sum.
        self_ = sums;
        if (normalization != Normalization::kNone) {
            for (float& s : self_) s /= s + 1e-20f;
        }
        corner_.release();
        weight_.release();
        tile_vertex_.clear();
        std::fill(tile_begin_.begin(), tile_begin_.end(), std::size_t{0});
        for (auto& stream : streams_) stream.clear();
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

int Lattice::max_tile_vertices() const {
    int most = 0;
    for (std::size_t t = 0; t + 1 < tile_begin_.size(); ++t) most = std::max(most, tile_vertices(static_cast<int>(t)));
    return most;
}

int Lattice::max_tile_borrowed() const {
    int most = 0;
    for (int t = 0; t + 1 < static_cast<int>(tile_begin_.size()); ++t) {
        most = std::max(most, tile_vertices(t) - (tile_fresh(t + 1) - tile_fresh(t)));
    }
    return most;
}

std::size_t Lattice::blur_steps() const {
    std::size_t steps = 0;
    for (const auto& stream : streams_) steps += stream.size();
    return steps;
}

}  // namespace dense_crf
