#include "graph_segmentation.h"

#include <array>
#include <cmath>
#include <cstring>
#include <utility>

namespace graph_segmentation {
namespace {

// Least significant digit first; 11 bits a pass, passes whose digit is the same everywhere are skipped. Weights are
// not negative, so their bits sort as they do.
void radix_sort(std::vector<Edge>& edges) {
    constexpr int bits = 11;
    constexpr std::size_t buckets = std::size_t(1) << bits;
    const auto digit = [](const Edge& edge, int shift) {
        std::uint64_t key;
        std::memcpy(&key, &edge.weight, sizeof key);
        return (key >> shift) & (buckets - 1);
    };
    std::vector<Edge> other(edges.size());
    for (int shift = 0; shift < 64; shift += bits) {
        std::array<std::size_t, buckets> starts{};
        for (const Edge& edge : edges) ++starts[digit(edge, shift)];
        if (!edges.empty() && starts[digit(edges.front(), shift)] == edges.size()) continue;
        std::size_t sum = 0;
        for (std::size_t& start : starts) sum += std::exchange(start, sum);
        for (const Edge& edge : edges) other[starts[digit(edge, shift)]++] = edge;
        edges.swap(other);
    }
}

// Disjoint sets of pixels; a root is the first pixel of its set.
class Forest {
public:
    explicit Forest(std::size_t pixels) : parent_(pixels), size_(pixels, 1) {
        for (std::size_t p = 0; p < pixels; ++p) parent_[p] = static_cast<std::int32_t>(p);
    }

    std::int32_t find(std::int32_t pixel) {
        while (parent_[pixel] != pixel) {
            parent_[pixel] = parent_[parent_[pixel]];
            pixel = parent_[pixel];
        }
        return pixel;
    }

    std::int32_t join(std::int32_t a, std::int32_t b) {
        if (b < a) std::swap(a, b);
        parent_[b] = a;
        size_[a] += size_[b];
        return a;
    }

    std::int32_t size(std::int32_t root) const { return size_[root]; }

private:
    std::vector<std::int32_t> parent_, size_;
};

}  // namespace

std::vector<Edge> sorted_edges(const float* image, std::int32_t height, std::int32_t width, std::int32_t channels) {
    struct Step {
        std::int32_t down, right;
    };
    std::vector<Edge> edges;
    edges.reserve(4 * std::size_t(height) * width);
    for (const Step step : {Step{0, 1}, Step{1, 0}, Step{1, 1}, Step{-1, 1}}) {
        const std::int32_t top = step.down < 0 ? 1 : 0, bottom = step.down > 0 ? height - 1 : height;
        for (std::int32_t row = top; row < bottom; ++row) {
            for (std::int32_t column = 0; column + step.right < width; ++column) {
                const std::int32_t here = row * width + column;
                const std::int32_t there = here + step.down * width + step.right;
                const float* a = image + std::size_t(here) * channels;
                const float* b = image + std::size_t(there) * channels;
                double square = 0;
                for (std::int32_t c = 0; c < channels; ++c) {
                    const double difference = double(a[c]) - double(b[c]);
                    square += difference * difference;
                }
                edges.push_back({std::sqrt(square), here, there});
            }
        }
    }
    radix_sort(edges);
    return edges;
}

std::int32_t segment(const std::vector<Edge>& edges, std::size_t pixels, double scale, std::int64_t min_size,
                     std::int32_t* regions) {
    Forest forest(pixels);
    std::vector<double> limit(pixels, scale);  // of a root: the weight that an edge must stay below
    for (const Edge& edge : edges) {
        const std::int32_t a = forest.find(edge.first), b = forest.find(edge.second);
        if (a == b || !(edge.weight < limit[a] && edge.weight < limit[b])) continue;
        const std::int32_t root = forest.join(a, b);
        limit[root] = edge.weight + scale / forest.size(root);
    }
    for (const Edge& edge : edges) {
        const std::int32_t a = forest.find(edge.first), b = forest.find(edge.second);
        if (a != b && (forest.size(a) < min_size || forest.size(b) < min_size)) forest.join(a, b);
    }
    std::int32_t count = 0;
    for (std::size_t p = 0; p < pixels; ++p) {
        const auto pixel = static_cast<std::int32_t>(p);
        const std::int32_t root = forest.find(pixel);  // never behind the pixel: its number is known
        regions[p] = root == pixel ? count++ : regions[root];
    }
    return count;
}

}  // namespace graph_segmentation
