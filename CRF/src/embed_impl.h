// Points of feature space to simplices of the lattice; included by kernels_impl.h, once per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dense_crf/vector_kernels.h"

namespace dense_crf::DENSE_CRF_ISA {
namespace {

// Vec::kLanes points at a time, everything in registers where kDims is known (0: at run time only). Integers are
// kept as floats, which hold them exactly.
template <int kDims>
void embed_lanes(int run_time_dims, const float* scale, const float* features, std::size_t stride,
                 std::int32_t* vertex, std::int32_t* order, float* weight) {
    const int dims = kDims > 0 ? kDims : run_time_dims;
    constexpr int kSize = (kDims > 0 ? kDims : kMaxDims) + 1;
    const Vec zero = Vec::set(0.0f), one = Vec::set(1.0f);
    const Vec up = Vec::set(static_cast<float>(dims + 1)), down = Vec::set(1.0f / static_cast<float>(dims + 1));
    // Into the hyperplane of coordinate sum 0 (Adams et al. 2010, section 3.1), from the last axis down.
    Vec x[kSize], place[kSize];
    Vec total = zero;
    for (int j = dims; j > 0; --j) {
        const Vec scaled = Vec::load(features + static_cast<std::size_t>(j - 1) * stride) * Vec::set(scale[j - 1]);
        x[j] = total - Vec::set(static_cast<float>(j)) * scaled;
        total = total + scaled;
    }
    x[0] = total;
    // Nearest point with coordinates that are multiples of dims + 1; its sum tells how far it is off the plane.
    // From here on x is the distance to that point.
    Vec excess = zero;
    for (int i = 0; i <= dims; ++i) {
        const Vec nearest = round(down * x[i]);
        (nearest * up).store_as_int(vertex + i * kEmbedWidth);
        excess = excess + nearest;
        x[i] = x[i] - nearest * up;
        place[i] = zero;
    }
    for (int i = 0; i < dims; ++i) {
        for (int j = i + 1; j <= dims; ++j) {
            const Vec less = if_less(x[i], x[j], one, zero);
            place[i] = place[i] + less;
            place[j] = place[j] + (one - less);
        }
    }
    // Back into the plane, the coordinates of extreme rank first.
    const Vec last = Vec::set(static_cast<float>(dims));
    for (int i = 0; i <= dims; ++i) {
        const Vec moved = place[i] + excess;
        const Vec wrap = if_less(moved, zero, up, zero) - if_less(last, moved, up, zero);
        place[i] = moved + wrap;
        wrap.store_as_int(vertex + (dims + 1 + i) * kEmbedWidth);
        x[i] = (x[i] - wrap) * down;
    }
    for (int i = 0; i <= dims; ++i) {
        for (int l = 0; l < Vec::kLanes; ++l)
            vertex[i * kEmbedWidth + l] += vertex[(dims + 1 + i) * kEmbedWidth + l];
    }
    // Weight r is the step between the coordinates of rank dims - r and dims + 1 - r.
    Vec sorted[kSize];
    for (int r = 0; r <= dims; ++r) {
        const Vec wanted = Vec::set(static_cast<float>(r));
        Vec which = zero;
        sorted[r] = zero;
        for (int i = 0; i <= dims; ++i) {
            sorted[r] = if_equal(place[i], wanted, x[i], sorted[r]);
            which = if_equal(place[i], wanted, Vec::set(static_cast<float>(i)), which);
        }
        which.store_as_int(order + (dims - r) * kEmbedWidth);
    }
    for (int r = 1; r <= dims; ++r) (sorted[dims - r] - sorted[dims + 1 - r]).store(weight + r * kEmbedWidth);
    (sorted[dims] + (one - sorted[0])).store(weight);
}

void embed(int dims, const float* scale, const float* features, std::size_t stride, std::int32_t* vertex,
           std::int32_t* order, float* weight) {
    for (int l = 0; l < kEmbedWidth; l += Vec::kLanes) {
        if (dims == 2) {
            embed_lanes<2>(dims, scale, features + l, stride, vertex + l, order + l, weight + l);
        } else if (dims == 5) {
            embed_lanes<5>(dims, scale, features + l, stride, vertex + l, order + l, weight + l);
        } else {
            embed_lanes<0>(dims, scale, features + l, stride, vertex + l, order + l, weight + l);
        }
    }
}

}  // namespace
}  // namespace dense_crf::DENSE_CRF_ISA
