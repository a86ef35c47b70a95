// The inner loops, compiled once per instruction set and chosen at run time.
//
// Rows: the values of one pixel or lattice vertex for all labels, label-contiguous, padded to `padded` floats (a
// multiple of the vector width). Global vertex values are stored as `groups` arrays of (vertices + 2) rows of
// `padded / groups` floats, so that a blur of one group of labels stays in cache; the last two rows are a row of
// zeros (what an absent neighbour holds) and a row that takes writes nobody reads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dense_crf {

inline constexpr int kEmbedWidth = 16;   // pixels embedded at a time
inline constexpr float kNever = -1e30f;  // a logit whose softmax is 0

struct GlobalRows {
    float* values;
    std::size_t group_stride;  // floats between groups
    int groups;
    int lanes;                 // floats of a row within a group
};

struct VectorKernels {
    const char* name;
    int lanes;  // floats of a vector register

    // Finds the enclosing simplex of kEmbedWidth points. features: dims rows, `stride` floats apart; scale: dims.
    // Out, one row of kEmbedWidth numbers per coordinate 0..dims: remainder-0 vertex, rank of the coordinate and
    // barycentric weight. scratch: (dims + 1) * kEmbedWidth floats.
    void (*embed)(int dims, const float* scale, const float* features, std::size_t stride, float* scratch,
                  std::int32_t* vertex, std::int32_t* rank, float* weight);

    // rows[p] = sign * source[p], sign = 1 or -1, padding set to `rest`. source rows are `labels` apart.
    void (*load_rows)(const float* source, float sign, float rest, int pixels, int labels, int padded, float* rows);
    // destination[p] = rows[p] without padding.
    void (*store_rows)(const float* rows, int pixels, int labels, int padded, float* destination);
    // rows[p] += self[p] * gain * q[p]; q rows are `labels` apart, gain has `padded` entries (0 in the padding).
    void (*add_self)(const float* q, const float* self, const float* gain, int pixels, int labels, int padded,
                     float* rows);
    // rows[p] += sum over corners c of weight[p, c] * values[corner[p, c]].
    void (*slice)(const float* values, const std::uint16_t* corner, const float* weight, int corners, int pixels,
                  int padded, float* rows);
    // sums[corner[p, c]] += weight[p, c] * rows[p].
    void (*splat)(const float* rows, const std::uint16_t* corner, const float* weight, int corners, int pixels,
                  int padded, float* sums);
    // rows[p] = softmax(rows[p]).
    void (*softmax)(int pixels, int padded, float* rows);

    // local[i] = factor * gain * global[vertex[i]].
    void (*gather)(const GlobalRows& global, const std::int32_t* vertex, int count, const float* gain,
                   float factor, int padded, float* local);
    // global[vertex[i]] += local[i], or = local[i] where vertex[i] >= fresh.
    void (*scatter)(const float* local, const std::int32_t* vertex, int count, int fresh, int padded,
                    const GlobalRows& global);
    // rows[i] = gain (labels, padded) applied to rows[i]: out[k] = sum over j of gain[j, k] * in[j]; scratch:
    // `labels` floats.
    void (*mix)(const float* gain, int labels, int count, int padded, float* scratch, float* rows);
    // One direction of the blur on one group, in place: v += (v before + v after) / 2 along each chain of
    // `stream` (see Lattice::streams).
    void (*blur)(const std::int32_t* stream, std::size_t length, int vertices, int lanes, float* values);
};

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
