// Bodies of VectorKernels; included once per instruction set, after its Vec and with DENSE_CRF_ISA set.
//
// Built with -ffp-contract=off: products and sums fuse only where fma() says so, so that the lattice of an image
// is the same on every instruction set.
#pragma once

#include "dense_crf/vector_kernels.h"
#include "embed_impl.h"
#include "row_impl.h"
#include "softmax_impl.h"

namespace dense_crf::DENSE_CRF_ISA {
namespace {

// ---- rows of pixels -----------------------------------------------------------------------------------------

void load_rows(const RowShape& shape, const float* source, float sign, float rest, int pixels, float* rows) {
    const Vec factor = Vec::set(sign);
    const int labels = shape.labels, whole = labels / kLanes * kLanes, left = labels - whole;
    for (int p = 0; p < pixels; ++p, source += labels, rows += shape.stride) {
        for (int l = 0; l < labels; l += kCacheLine) prefetch(source + kRowLookahead * labels + l);
        for (int l = 0; l < whole; l += kLanes) (factor * Vec::load(source + l)).store(rows + l);
        // Padding: sign * (sign * rest) = rest.
        if (left > 0) (factor * Vec::load_first(source + whole, left, sign * rest)).store(rows + whole);
    }
}

void load_rows_and_self(const RowShape& shape, const float* source, float sign, float rest, const float* self,
                        const float* gain, int pixels, float* rows) {
    const Vec factor = Vec::set(sign);
    const int labels = shape.labels, whole = labels / kLanes * kLanes, left = labels - whole;
    for (int p = 0; p < pixels; ++p, source += labels, rows += shape.stride) {
        const Vec weight = Vec::set(self[p]);
        for (int l = 0; l < labels; l += kLanes) {
            const Vec value = l < whole ? Vec::load(source + l) : Vec::load_first(source + l, left, sign * rest);
            fma(weight * Vec::load(gain + l), Vec::load(rows + l), factor * value).store(rows + l);
        }
    }
}

void store_rows(const RowShape& shape, const float* rows, int pixels, float* destination) {
    const int labels = shape.labels, whole = labels / kLanes * kLanes, left = labels - whole;
    for (int p = 0; p < pixels; ++p, rows += shape.stride, destination += labels) {
        for (int l = 0; l < whole; l += kLanes) Vec::load(rows + l).store(destination + l);
        if (left > 0) Vec::load(rows + whole).store_first(destination + whole, left);
    }
}

void add_self(const RowShape& shape, const float* q, const float* self, const float* gain, int pixels,
              float* rows) {
    const int labels = shape.labels, whole = labels / kLanes * kLanes, left = labels - whole;
    for (int p = 0; p < pixels; ++p, q += labels, rows += shape.stride) {
        const Vec weight = Vec::set(self[p]);
        for (int l = 0; l < labels; l += kLanes) {
            const Vec value = l < whole ? Vec::load(q + l) : Vec::load_first(q + l, left, 0.0f);
            fma(weight * Vec::load(gain + l), value, Vec::load(rows + l)).store(rows + l);
        }
    }
}

template <class R, int kCorners>
inline void slice_part(const float* const* planes, const PixelCorners& at, const float* gain, int pixels,
                       int stride, float* rows) {
    const int corners = kCorners > 0 ? kCorners : at.corners;
    const std::uint16_t* corner = at.corner;
    const float* weight = at.weight;
    const R scale = R::load(gain);
    for (int p = 0; p < pixels; ++p, corner += corners, weight += corners, rows += stride) {
        prefetch(weight + kStreamLookahead);
        prefetch(corner + kStreamLookahead);
        R sum = R::zero();
        for (int c = 0; c < corners; ++c) {
            sum.add_vertex(planes, corner[c], weight[c]);
        }
        R out = R::load(rows);
        for (int i = 0; i < R::kFull; ++i) out.full[i] = fma(scale.full[i], sum.full[i], out.full[i]);
        if constexpr (R::kTail > 0) out.tail = fma(scale.tail, sum.tail, out.tail);
        out.store(rows);
    }
}

// kFirst: vertices are numbered in order of first touch, and what stands in a row before that is not read.
template <class R, int kCorners, bool kFirst>
inline void splat_part(const float* rows, const PixelCorners& at, int pixels, int stride, float* const* all) {
    const typename R::Planes planes(all);
    const int corners = kCorners > 0 ? kCorners : at.corners;
    const std::uint16_t* corner = at.corner;
    const float* weight = at.weight;
    int touched = 0;
    for (int p = 0; p < pixels; ++p, corner += corners, weight += corners, rows += stride) {
        const R q = R::load(rows);
        for (int c = 0; c < corners; ++c) {
            q.template add_to_vertex<kFirst>(planes, corner[c], weight[c], corner[c] < touched);
            touched += corner[c] == touched ? 1 : 0;
        }
    }
}

void slice(const RowShape& shape, const float* const* planes, const PixelCorners& at, const float* gain,
           int pixels, float* rows) {
    for_row_parts(shape, [&](auto row, int first) {
        using R = decltype(row);
        const float* const* part = planes + first;
        const float* g = gain + first * kLanes;
        float* r = rows + first * kLanes;
        if (at.corners == 6) return slice_part<R, 6>(part, at, g, pixels, shape.stride, r);
        if (at.corners == 3) return slice_part<R, 3>(part, at, g, pixels, shape.stride, r);
        slice_part<R, 0>(part, at, g, pixels, shape.stride, r);
    });
}

template <bool kFirst>
inline void splat_rows(const RowShape& shape, const float* rows, const PixelCorners& at, int pixels,
                       float* const* planes) {
    for_row_parts(shape, [&](auto row, int first) {
        using R = decltype(row);
        float* const* part = planes + first;
        const float* r = rows + first * kLanes;
        if (at.corners == 6) return splat_part<R, 6, kFirst>(r, at, pixels, shape.stride, part);
        if (at.corners == 3) return splat_part<R, 3, kFirst>(r, at, pixels, shape.stride, part);
        splat_part<R, 0, kFirst>(r, at, pixels, shape.stride, part);
    });
}

void splat(const RowShape& shape, const float* rows, const PixelCorners& at, int pixels, float* const* planes) {
    splat_rows<false>(shape, rows, at, pixels, planes);
}

void splat_first(const RowShape& shape, const float* rows, const PixelCorners& at, int pixels,
                 float* const* planes) {
    splat_rows<true>(shape, rows, at, pixels, planes);
}

void mix(const RowShape& shape, const float* matrix, const float* message, int pixels, float* rows) {
    for (int p = 0; p < pixels; ++p, message += shape.stride, rows += shape.stride) {
        for (int l = 0; l < shape.stride; l += kLanes) {
            Vec sum = Vec::load(rows + l);
            for (int j = 0; j < shape.labels; ++j) {
                const float* to = matrix + static_cast<std::size_t>(j) * shape.stride + l;
                sum = fma(Vec::set(message[j]), Vec::load(to), sum);
            }
            sum.store(rows + l);
        }
    }
}

// ---- planes of vertices -------------------------------------------------------------------------------------

template <class V, bool kAdd>
inline void move_plane_rows(int count, const float* from, const std::int32_t* from_row, float* to,
                            const std::int32_t* to_row) {
    constexpr int kAhead = 32;
    for (int i = 0; i < count; ++i) {
        const std::size_t source = static_cast<std::size_t>(from_row == nullptr ? i : from_row[i]);
        float* target = to + static_cast<std::size_t>(to_row == nullptr ? i : to_row[i]) * V::kLanes;
        if (i + kAhead < count) {
            if (from_row != nullptr) prefetch(from + static_cast<std::size_t>(from_row[i + kAhead]) * V::kLanes);
            if (kAdd) prefetch(to + static_cast<std::size_t>(to_row[i + kAhead]) * V::kLanes);
        }
        const V value = V::load(from + source * V::kLanes);
        (kAdd ? V::load(target) + value : value).store(target);
    }
}

void move_rows(const RowShape& shape, int count, const float* const* from, const std::int32_t* from_row,
               float* const* to, const std::int32_t* to_row, bool add) {
    for (int i = 0; i < shape.full; ++i) {
        add ? move_plane_rows<Vec, true>(count, from[i], from_row, to[i], to_row)
            : move_plane_rows<Vec, false>(count, from[i], from_row, to[i], to_row);
    }
    if constexpr (kHasTail > 0) {
        const int i = shape.full;
        if (shape.tail == 0) return;
        add ? move_plane_rows<Half, true>(count, from[i], from_row, to[i], to_row)
            : move_plane_rows<Half, false>(count, from[i], from_row, to[i], to_row);
    }
}

template <class R, bool kPrefetch, int kLength>
inline void blur_short(const BlurStream& stream, float* const* all) {
    const typename R::Planes planes(all);
    const std::int32_t* chain = stream.of[kLength];
    for (std::size_t i = 0; i < stream.count[kLength]; ++i, chain += kLength) {
        R at[kLength];
        for (int k = 0; k < kLength; ++k) {
            if constexpr (kPrefetch) {
                const std::size_t soon = static_cast<std::size_t>(chain[k + kBlurLookahead - kLength]);
                prefetch(planes.at[0] + soon * R::kWidth);
            }
            at[k] = R::load_vertex(planes, static_cast<std::size_t>(chain[k]));
        }
        for (int k = 0; k < kLength; ++k) {
            const R sum = k == 0 ? at[1] : k + 1 == kLength ? at[k - 1] : at[k - 1] + at[k + 1];
            at[k].plus_half_of(sum).store_vertex(planes, static_cast<std::size_t>(chain[k]));
        }
    }
}

template <class R, bool kPrefetch>
inline void blur_longer(const BlurStream& stream, int vertices, float* const* all) {
    const typename R::Planes planes(all);
    const std::int32_t* chains = stream.longer;
    R before = R::zero(), here = before;
    std::size_t at = static_cast<std::size_t>(vertices);
    const std::size_t separator = at;
    for (std::size_t s = 0; s < stream.longer_size; ++s) {
        if constexpr (kPrefetch) {
            prefetch(planes.at[0] + static_cast<std::size_t>(chains[s + kBlurLookahead]) * R::kWidth);
        }
        const std::size_t next = static_cast<std::size_t>(chains[s]);
        const R ahead = R::load_vertex(planes, next);
        // A separator (number `vertices`) is read as the row of zeros and written to the row behind it.
        here.plus_half_of(before + ahead).store_vertex(planes, at + (at == separator ? 1 : 0));
        before = here;
        here = ahead;
        at = next;
    }
}

template <class R, bool kPrefetch>
inline void blur_with(const BlurStream& stream, int vertices, float* const* planes) {
    static_assert(kShortChain == 4, "the lengths below");
    blur_short<R, kPrefetch, 2>(stream, planes);
    blur_short<R, kPrefetch, 3>(stream, planes);
    blur_short<R, kPrefetch, 4>(stream, planes);
    blur_longer<R, kPrefetch>(stream, vertices, planes);
}

void blur(const RowShape& shape, const BlurStream& stream, int vertices, int first, int count,
          float* const* planes) {
    const bool tail = first + count > shape.full;
    planes += first;
    if (count == 1) {
        if (!tail) return blur_with<Row<1, 0>, true>(stream, vertices, planes);
        return blur_with<Row<1 - kHasTail, kHasTail>, true>(stream, vertices, planes);
    }
    if (count == 2) {
        if (!tail) return blur_with<Row<2, 0>, false>(stream, vertices, planes);
        return blur_with<Row<1, kHasTail>, false>(stream, vertices, planes);
    }
    if (!tail) return blur_with<Row<3, 0>, false>(stream, vertices, planes);
    blur_with<Row<2, kHasTail>, false>(stream, vertices, planes);
}

}  // namespace

#define DENSE_CRF_TEXT(x) #x
#define DENSE_CRF_NAME(x) DENSE_CRF_TEXT(x)

const VectorKernels& kernels() {
    static constexpr VectorKernels table = {DENSE_CRF_NAME(DENSE_CRF_ISA),
                                            kLanes,
                                            kHasTail > 0,
                                            embed,
                                            load_rows,
                                            store_rows,
                                            load_rows_and_self,
                                            add_self,
                                            slice,
                                            splat,
                                            splat_first,
                                            softmax,
                                            mix,
                                            move_rows,
                                            blur};
    return table;
}

}  // namespace dense_crf::DENSE_CRF_ISA
