// Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation", IJCV 2004, for one image at several
// scales: the 8-connected pixel graph is built and its edges are sorted once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace graph_segmentation {

// An edge between two pixels, numbered row by row.
struct Edge {
    double weight;
    std::int32_t first, second;
};

// Edges to the right, down, down right and up right of each pixel of an image (height, width, channels, row-major,
// already smoothed), weighted with the Euclidean distance of the colours, in ascending order; of equal weights the
// order just named, row by row.
std::vector<Edge> sorted_edges(const float* image, std::int32_t height, std::int32_t width, std::int32_t channels);

// Writes the region of each pixel, 0 to R - 1 in order of first appearance, and returns R. Two regions merge along an
// edge whose weight is below the inner difference of both plus scale / size; afterwards, in the same order, regions
// of less than min_size pixels merge with the neighbour at hand. Neither throws after the edges are made, unless
// memory runs out.
std::int32_t segment(const std::vector<Edge>& edges, std::size_t pixels, double scale, std::int64_t min_size,
                     std::int32_t* regions);

}  // namespace graph_segmentation
