// The inner loops, compiled once per instruction set and chosen at run time.
//
// A row holds the values of one pixel or lattice vertex for all labels. Rows of pixels are label-contiguous,
// padded to `stride` floats. Rows of vertices are cut into planes of one vector (two registers of AVX2) each: plane
// p holds labels p * lanes.. of every vertex, so that a blur of one plane has the smallest footprint there is; where
// eight lanes do for the last labels, the last plane is half as wide. Behind the vertices, planes have a row of
// zeros (what an absent neighbour holds) and a row that takes writes nobody reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace dense_crf {

inline constexpr int kEmbedWidth = 16;   // pixels embedded at a time
inline constexpr int kMaxDims = 64;      // of the features of a kernel
inline constexpr float kNever = -std::numeric_limits<float>::infinity();  // a logit whose softmax is 0

// How labels lie in registers.
struct RowShape {
    int labels;
    int full;    // planes of `lanes` floats
    int tail;    // 1 if a plane of lanes / 2 floats follows
    int lanes;   // floats of a vector
    int stride;  // floats between rows of pixels

    int planes() const { return full + tail; }
    int width(int plane) const { return plane < full ? lanes : lanes / 2; }
};

// The corners of consecutive pixels, `corners` each, as numbers of rows within their tile.
struct PixelCorners {
    const std::uint16_t* corner;
    const float* weight;
    int corners;
};

// Vertices that are neighbours in one direction: chains of 2 to kShortChain by their length, and longer ones,
// which stand one after the other, each followed by a separator (the number of vertices). kBlurLookahead more
// entries may be read.
inline constexpr std::size_t kBlurLookahead = 32;
inline constexpr int kShortChain = 4;
struct BlurStream {
    const std::int32_t* of[kShortChain + 1];  // [length]; none of 0 and 1
    std::size_t count[kShortChain + 1];
    const std::int32_t* longer;
    std::size_t longer_size;
};

struct VectorKernels {
    const char* name;
    int lanes;       // floats of a vector
    bool half_tail;  // whether planes of lanes / 2 floats are available

    // Finds the enclosing simplex of kEmbedWidth points. features: dims rows, `stride` floats apart; scale: dims.
    // Out, dims + 1 rows of kEmbedWidth numbers each: remainder-0 vertex by coordinate, coordinates by falling
    // rank (the steps from corner to corner) and weights by corner. `vertex` needs room for twice as many rows.
    void (*embed)(int dims, const float* scale, const float* features, std::size_t stride, std::int32_t* vertex,
                  std::int32_t* order, float* weight);

    // rows[p] = sign * source[p], sign = 1 or -1, padding set to `rest`. source rows are `labels` apart.
    void (*load_rows)(const RowShape& shape, const float* source, float sign, float rest, int pixels, float* rows);
    // destination[p] = rows[p] without padding.
    void (*store_rows)(const RowShape& shape, const float* rows, int pixels, float* destination);
    // rows[p] = sign * source[p] + self[p] * gain * rows[p], as load_rows and add_self with q = rows.
    void (*load_rows_and_self)(const RowShape& shape, const float* source, float sign, float rest,
                               const float* self, const float* gain, int pixels, float* rows);
    // rows[p] += self[p] * gain * q[p]; q rows are `labels` apart; gain: `stride` floats.
    void (*add_self)(const RowShape& shape, const float* q, const float* self, const float* gain, int pixels,
                     float* rows);
    // rows[p] += gain * sum over corners c of weight[p, c] * planes[corner[p, c]].
    void (*slice)(const RowShape& shape, const float* const* planes, const PixelCorners& at, const float* gain,
                  int pixels, float* rows);
    // planes[corner[p, c]] += weight[p, c] * rows[p].
    void (*splat)(const RowShape& shape, const float* rows, const PixelCorners& at, int pixels,
                  float* const* planes);
    // The same for all pixels of a tile at once, into planes that hold nothing yet.
    void (*splat_first)(const RowShape& shape, const float* rows, const PixelCorners& at, int pixels,
                        float* const* planes);
    // rows[p] = softmax(rows[p]). Meanwhile the `pixels` * labels floats from `ahead` on are fetched into the
    // cache: this is the only loop over a row that computes more than it reads.
    void (*softmax)(const RowShape& shape, int pixels, float* rows, const float* ahead);
    // rows[p] += matrix^T message[p]; matrix: labels rows of `stride` floats.
    void (*mix)(const RowShape& shape, const float* matrix, const float* message, int pixels, float* rows);
    // to[to_row[i]] = from[from_row[i]], or += if `add`; nullptr for rows stands for 0, 1, 2...
    void (*move_rows)(const RowShape& shape, int count, const float* const* from, const std::int32_t* from_row,
                      float* const* to, const std::int32_t* to_row, bool add);
    // One direction of the blur on `count` (1 to 3) planes from `first` on, in place: v += (v before + v after) /
    // 2 along each chain. Several planes at once share the reading of the chains, one alone has the smaller
    // footprint.
    void (*blur)(const RowShape& shape, const BlurStream& stream, int vertices, int first, int count,
                 float* const* planes);
};

RowShape row_shape(int labels, const VectorKernels& kernels);

// The kernels of the best instruction set of this machine; environment variable CRF_ISA (portable, avx2, avx512)
// narrows the choice. Throws std::invalid_argument when it names one that is unknown or not available.
const VectorKernels& vector_kernels();

namespace portable {
const VectorKernels& kernels();
}
namespace avx2 {
const VectorKernels& kernels();
}
namespace avx512 {
const VectorKernels& kernels();
}

}  // namespace dense_crf
