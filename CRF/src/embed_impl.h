// Points of feature space to simplices of the lattice; included by kernels_impl.h, once per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dense_crf/vector_kernels.h"

namespace dense_crf::DENSE_CRF_ISA {
namespace {

// V::kLanes points at a time, everything in registers where kDims is known (0: at run time only). Integers are
// kept as floats, which hold them exactly.
template <class V, int kDims>
void embed_lanes(int run_time_dims, const float* scale, const float* features, std::size_t stride,
                 std::int32_t* vertex, std::int32_t* order, float* weight) {
    const int dims = kDims > 0 ? kDims : run_time_dims;
    constexpr int kSize = (kDims > 0 ? kDims : kMaxDims) + 1;
    const V zero = V::set(0.0f), one = V::set(1.0f);
    const V up = V::set(static_cast<float>(dims + 1)), down = V::set(1.0f / static_cast<float>(dims + 1));
    // Into the hyperplane of coordinate sum 0 (Adams et al. 2010, section 3.1), from the last axis down.
    V x[kSize], place[kSize];
    V total = zero;
    for (int j = dims; j > 0; --j) {
        const V scaled = V::load(features + static_cast<std::size_t>(j - 1) * stride) * V::set(scale[j - 1]);
        x[j] = total - V::set(static_cast<float>(j)) * scaled;
        total = total + scaled;
    }
    x[0] = total;
    // Nearest point with coordinates that are multiples of dims + 1; its sum tells how far it is off the plane.
    // From here on x is the distance to that point.
    V excess = zero;
    for (int i = 0; i <= dims; ++i) {
        const V nearest = round(down * x[i]);
        (nearest * up).store_as_int(vertex + i * kEmbedWidth);
        excess = excess + nearest;
        x[i] = x[i] - nearest * up;
        place[i] = zero;
    }
    for (int i = 0; i < dims; ++i) {
        for (int j = i + 1; j <= dims; ++j) {
            const V less = if_less(x[i], x[j], one, zero);
            place[i] = place[i] + less;
            place[j] = place[j] + (one - less);
        }
    }
    // Back into the plane, the coordinates of extreme rank first.
    const V last = V::set(static_cast<float>(dims));
    for (int i = 0; i <= dims; ++i) {
        const V moved = place[i] + excess;
        const V wrap = if_less(moved, zero, up, zero) - if_less(last, moved, up, zero);
        place[i] = moved + wrap;
        wrap.store_as_int(vertex + (dims + 1 + i) * kEmbedWidth);
        x[i] = (x[i] - wrap) * down;
    }
    for (int i = 0; i <= dims; ++i) {
        for (int l = 0; l < V::kLanes; ++l)
            vertex[i * kEmbedWidth + l] += vertex[(dims + 1 + i) * kEmbedWidth + l];
    }
    // Weight r is the step between the coordinates of rank dims - r and dims + 1 - r.
    V sorted[kSize];
    for (int r = 0; r <= dims; ++r) {
        const V wanted = V::set(static_cast<float>(r));
        V which = zero;
        sorted[r] = zero;
        for (int i = 0; i <= dims; ++i) {
            sorted[r] = if_equal(place[i], wanted, x[i], sorted[r]);
            which = if_equal(place[i], wanted, V::set(static_cast<float>(i)), which);
        }
        which.store_as_int(order + (dims - r) * kEmbedWidth);
    }
    for (int r = 1; r <= dims; ++r) (sorted[dims - r] - sorted[dims + 1 - r]).store(weight + r * kEmbedWidth);
    (sorted[dims] + (one - sorted[0])).store(weight);
}

void embed(int dims, const float* scale, const float* features, std::size_t stride, std::int32_t* vertex,
           std::int32_t* order, float* weight) {
    for (int l = 0; l < kEmbedWidth; l += EmbedVec::kLanes) {
        if (dims == 2) {
            embed_lanes<EmbedVec, 2>(dims, scale, features + l, stride, vertex + l, order + l, weight + l);
        } else if (dims == 5) {
            embed_lanes<EmbedVec, 5>(dims, scale, features + l, stride, vertex + l, order + l, weight + l);
        } else {
            embed_lanes<EmbedVec, 0>(dims, scale, features + l, stride, vertex + l, order + l, weight + l);
        }
    }
}

}  // namespace
}  // namespace dense_crf::DENSE_CRF_ISA
