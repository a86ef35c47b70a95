#include "dense_crf/lattice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
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

// The largest distance of two variables that may meet, in units of their features: two diameters of a simplex and
// a step to a neighbour. A step has length sqrt(d (d + 1)) in lattice coordinates, corners that are m steps apart
// sqrt(m (d + 1 - m) (d + 1)), at most for m = (d + 1) / 2.
float reach(int dims) {
    const double d = dims, unit = std::sqrt(2.0 / 3.0) * (d + 1);
    return static_cast<float>((std::pow(d + 1, 1.5) + std::sqrt(d * (d + 1))) / unit);
}

// The largest lattice coordinate. Up to here float32 sums are exact enough for embed() to rank the coordinates of
// every point 0..dims, each once: their rounding errors, at most kMostCoordinate * 2^-24 * ((dims + 1) / 2 + 2)
// cells in all, do not move a point by more than the one wrap-around it allows for.
constexpr double kMostCoordinate = 4e6;

// Bounds of the stored coordinates of every vertex and neighbour. Throws where one is above kMostCoordinate.
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
        if (!(lowest > -kMostCoordinate) || !(highest < kMostCoordinate)) {
            throw std::invalid_argument(
                "features: expected positions within about a million standard deviations of 0 (fewer in many "
                "dimensions), got lattice coordinates between " +
                std::to_string(lowest) + " and " + std::to_string(highest) + ", more than 4 million from 0; is a kernel width (sxy, srgb) far too small?");
        }
        if (j < dims) {
            low[j] = static_cast<std::int64_t>(std::floor(lowest));
            high[j] = static_cast<std::int64_t>(std::ceil(highest));
        }
        sum_low += axis_low;
        sum_high += axis_high;
    }
}

// Vertices are numbered with 32 bits and a sign. Asked tile by tile: a tile and the origin add less than 2^17.
void require_countable(std::size_t vertices) {
    constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max() - (1 << 17);
    if (vertices > kMost) {
        throw std::invalid_argument("features: expected a lattice of at most " + std::to_string(kMost) +
                                    " vertices, got more; are kernel widths too small for so many variables?");
    }
}

// What VectorKernels::embed writes: the simplices of kEmbedWidth points.
struct Simplices {
    explicit Simplices(int d)
        : dims(d),
          weight(static_cast<std::size_t>(d + 1) * kEmbedWidth),
          vertex(2 * weight.size()),
          order(weight.size()) {}

    // Calls visit(r, key) for corner r = 0..dims of point `lane`.
    template <class Keys, class Visit>
    void for_corners(const Keys& keys, int lane, Visit&& visit) {
        typename Keys::Key key = keys.make(vertex.data() + lane);
        for (int r = 0; r <= dims; ++r) {
            visit(r, key);
            keys.step(key, order[r * kEmbedWidth + lane]);
        }
    }

    int dims;
    Buffer<float> weight;
    Buffer<std::int32_t> vertex, order;
};

}  // namespace

// Room for the origin's vertices and for the largest number, which stands for none.
int max_tile_pixels(int dims) { return std::max(1, (65535 - kMaxDims - 1) / (dims + 1)); }

Lattice::Lattice(const FeatureSource& features, const std::vector<Tile>& tiles, Normalization normalization,
                 int threads)
    : dims_(features.dims()),
      pixels_(tiles.back().first + static_cast<std::size_t>(tiles.back().pixels())),
      alpha_(static_cast<float>(1.0 / (1.0 + std::pow(2.0, -features.dims())))) {
    std::vector<std::int64_t> low, high;
    coordinate_bounds(features, low, high);
    // Two variables meet if vertices of their simplices are the same or neighbours. Farther apart, each has its
    // own, and a normalised kernel gives back what it gets.
    if (normalization != Normalization::kNone && features.separation() > 1.01f * reach(dims_)) {
        self_.assign(pixels_, 1.0f);
        tile_begin_.assign(tiles.size() + 1, 0);
        tile_fresh_.assign(tiles.size() + 1, 0);
        return;
    }
    if (PackedKeys::fits(low, high)) {
        build(PackedKeys(low, high), features, tiles, threads);
    } else {
        build(WideKeys(dims_), features, tiles, threads);
    }
    normalize(tiles, normalization, threads);
}

// Corners and weights of one tile, and unless `steps` is nullptr for each coordinate the corner whose step to the
// next one goes along it. `index` numbers its vertices.
template <class Keys, class Index>
void Lattice::fill_tile(const Keys& keys, const FeatureSource& features, const Tile& tile, Index& index,
                        std::uint8_t* steps) {
    const VectorKernels& kernels = vector_kernels();
    const std::vector<float> scales = axis_scales(dims_);
    const std::size_t pixels = static_cast<std::size_t>(tile.pixels());
    const std::size_t stride = (pixels + kEmbedWidth - 1) / kEmbedWidth * kEmbedWidth;
    Buffer<float> feature(stride * dims_);
    features.fill(tile, stride, feature.data());
    for (int d = 0; d < dims_; ++d) {  // the last group is filled up with copies of the last pixel
        float* row = feature.data() + d * stride;
        std::fill(row + pixels, row + stride, row[pixels - 1]);
    }
    Simplices simplices(dims_);
    std::uint16_t* corner = corner_.data() + tile.first * corners();
    float* weight = weight_.data() + tile.first * corners();
    for (std::size_t first = 0; first < pixels; first += kEmbedWidth) {
        kernels.embed(dims_, scales.data(), feature.data() + first, stride, simplices.vertex.data(),
                      simplices.order.data(), simplices.weight.data());
        const int lanes = static_cast<int>(std::min<std::size_t>(kEmbedWidth, pixels - first));
        for (int lane = 0; lane < lanes; ++lane, corner += corners(), weight += corners()) {
            simplices.for_corners(keys, lane, [&](int r, const typename Keys::Key& key) {
                corner[r] = static_cast<std::uint16_t>(index.find_or_insert(key));
                weight[r] = simplices.weight[r * kEmbedWidth + lane];
            });
            if (steps == nullptr) continue;
            for (int r = 0; r <= dims_; ++r)
                steps[simplices.order[r * kEmbedWidth + lane]] = static_cast<std::uint8_t>(r);
            steps += corners();
        }
    }
}

template <class Keys>
void Lattice::build(const Keys& keys, const FeatureSource& features, const std::vector<Tile>& tiles, int threads) {
    const std::size_t count = tiles.size();
    corner_.resize(pixels_ * corners());
    weight_.resize(pixels_ * corners());
    std::vector<typename Keys::TileIndex> tile_index;
    Buffer<std::uint8_t> steps(count == 1 ? pixels_ * corners() : 0);
    for (const Tile& tile : tiles) {
        tile_index.emplace_back(static_cast<std::size_t>(tile.pixels()) * corners() / (count == 1 ? 1 : 6));
    }
    parallel_for(threads, static_cast<int>(count), [&](int t) {
        fill_tile(keys, features, tiles[t], tile_index[t], count == 1 ? steps.data() : nullptr);
    });

    // One numbering for the image, in tile order: the first tile's own comes first.
    std::size_t pairs = 0;
    for (const auto& one : tile_index) pairs += one.size();
    tile_vertex_.resize(pairs);
    std::int32_t* vertex = tile_vertex_.data();
    tile_begin_ = {0};
    tile_fresh_ = {0};
    const auto end_tile = [&](std::size_t vertices) {
        tile_begin_.push_back(static_cast<std::size_t>(vertex - tile_vertex_.data()));
        tile_fresh_.push_back(static_cast<std::int32_t>(vertices));
    };
    if (count == 1) {
        std::iota(vertex, vertex + pairs, 0);
        vertex += pairs;
        end_tile(pairs);
        connect(keys, tile_index[0], steps.data(), threads);
    } else {
        typename Keys::Index index(pairs / 2);
        for (const auto& one : tile_index) {
            for (std::size_t i = 0; i < one.size(); ++i) *vertex++ = index.find_or_insert(one.keys()[i]);
            require_countable(index.size());
            end_tile(index.size());
        }
        connect(keys, index, nullptr, threads);
    }
}

// What is left to do once the vertices of the pixels are numbered.
template <class Keys, class Index>
void Lattice::connect(const Keys& keys, Index& index, const std::uint8_t* steps, int threads) {
    seen_vertices_ = static_cast<int>(index.size());
    if (pixels_ % 4 != 0) add_origin(keys, index);
    vertices_ = static_cast<int>(index.size());
    chains_.resize(corners());
    link(keys, index, steps, threads);
}

// As in the original, which works on four variables at a time and fills the last group up with features of 0:
// their simplex has no pixel, but values are blurred across it. Near black, in the upper left corner of a photo,
// q differs by up to 0.005 without.
template <class Keys, class Index>
void Lattice::add_origin(const Keys& keys, Index& index) const {
    const std::vector<float> scales = axis_scales(dims_),
                             zeros(static_cast<std::size_t>(dims_) * kEmbedWidth, 0.0f);
    Simplices simplices(dims_);
    vector_kernels().embed(dims_, scales.data(), zeros.data(), kEmbedWidth, simplices.vertex.data(),
                           simplices.order.data(), simplices.weight.data());
    simplices.for_corners(keys, 0, [&](int, const typename Keys::Key& key) { index.find_or_insert(key); });
}

// Finds the neighbours along each direction. List entries are written before they are known to count: a branch
// would be mispredicted every third time.
template <class Keys, class Index>
void Lattice::link(const Keys& keys, const Index& index, const std::uint8_t* steps, int threads) {
    const typename Index::Filter filter(index);
    const std::size_t size = static_cast<std::size_t>(corners());
    parallel_for(threads, corners(), [&](int direction) {
        Buffer<std::int32_t> list(static_cast<std::size_t>(vertices_) + 1), next(vertices_),
            joined(static_cast<std::size_t>(vertices_) + 1);
        std::size_t joins = 0;
        Buffer<std::uint8_t> has_previous(vertices_);
        std::fill_n(next.data(), next.size(), -1);
        std::fill_n(has_previous.data(), has_previous.size(), std::uint8_t{0});
        const auto join = [&](std::int32_t a, std::int32_t b) {
            joined[joins] = a;
            joins += static_cast<std::size_t>(next[a] < 0);
            next[a] = b;
            has_previous[b] = 1;
        };
        if (steps != nullptr) {  // the corners of a simplex are neighbours of each other
            const std::uint16_t* corner = corner_.data();
            const std::uint8_t* step = steps + direction;
            for (std::size_t p = 0; p < pixels_; ++p, corner += size, step += size) {
                join(corner[*step], corner[*step + 1u < size ? *step + 1 : 0]);
            }
        }
        // First by the filter, then by the table.
        const std::int32_t vertices = vertices_;  // kept in a register: the stores below cannot change it
        const auto* const names = index.keys();
        std::size_t listed = 0;
        for (std::int32_t v = 0; v < vertices; ++v) {
            auto key = names[v];
            keys.step(key, direction);
            list[listed] = v;
            listed += static_cast<std::size_t>((next[v] < 0) & filter.may_hold(key));
        }
        for (std::size_t i = 0; i < listed; ++i) {
            auto key = names[list[i]];
            keys.step(key, direction);
            const std::int32_t found = index.find(key);
            if (found >= 0) join(list[i], found);
        }
        make_chains(chains_[direction], next, has_previous, joined.data(), joins);
    });
}

int Lattice::max_tile_vertices() const {
    int most = 0;
    for (std::size_t t = 0; t + 1 < tile_begin_.size(); ++t)
        most = std::max(most, tile_vertices(static_cast<int>(t)));
    return most;
}

}  // namespace dense_crf
