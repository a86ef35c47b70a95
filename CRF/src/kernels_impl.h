// Bodies of VectorKernels; included once per instruction set, after its Vec and with DENSE_CRF_ISA set.
//
// Built with -ffp-contract=off: products and sums fuse only where fma() says so, so that the lattice of an image
// is the same on every instruction set.
#pragma once

#include "dense_crf/vector_kernels.h"
#include "embed_impl.h"
#include "softmax_impl.h"

namespace dense_crf::DENSE_CRF_ISA {
namespace {

constexpr int kHasTail = Half::kLanes < kLanes ? 1 : 0;
constexpr int kMaxRegisters = 6;  // vectors of one row that a loop keeps in registers

inline void prefetch(const float* p) {
#if defined(__GNUC__)
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

// A row, or the part of it that a loop keeps in registers: N full vectors and T (0 or 1) half vectors.
template <int N, int T>
struct Row {
    static constexpr int kFull = N, kTail = T;
    static constexpr std::size_t kWidth = N > 0 ? kLanes : Half::kLanes;  // of the first plane
    Vec full[N > 0 ? N : 1];
    Half tail;

    static Row zero() {
        Row r;
        for (int i = 0; i < N; ++i) r.full[i] = Vec::set(0.0f);
        if constexpr (T > 0) r.tail = Half::set(0.0f);
        return r;
    }
    static Row load(const float* p) {
        Row r;
        for (int i = 0; i < N; ++i) r.full[i] = Vec::load(p + i * kLanes);
        if constexpr (T > 0) r.tail = Half::load(p + N * kLanes);
        return r;
    }
    void store(float* p) const {
        for (int i = 0; i < N; ++i) full[i].store(p + i * kLanes);
        if constexpr (T > 0) tail.store(p + N * kLanes);
    }
    static Row load_vertex(const float* const* planes, std::size_t index) {
        Row r;
        for (int i = 0; i < N; ++i) r.full[i] = Vec::load(planes[i] + index * kLanes);
        if constexpr (T > 0) r.tail = Half::load(planes[N] + index * Half::kLanes);
        return r;
    }
    void store_vertex(float* const* planes, std::size_t index) const {
        for (int i = 0; i < N; ++i) full[i].store(planes[i] + index * kLanes);
        if constexpr (T > 0) tail.store(planes[N] + index * Half::kLanes);
    }
    Row operator+(const Row& other) const {
        Row r;
        for (int i = 0; i < N; ++i) r.full[i] = full[i] + other.full[i];
        if constexpr (T > 0) r.tail = tail + other.tail;
        return r;
    }
    Row plus_half_of(const Row& other) const {
        Row r;
        for (int i = 0; i < N; ++i) r.full[i] = fma(Vec::set(0.5f), other.full[i], full[i]);
        if constexpr (T > 0) r.tail = fma(Half::set(0.5f), other.tail, tail);
        return r;
    }
    // this += w * row `index` of the planes.
    void add_vertex(const float* const* planes, std::size_t index, float w) {
        const Vec weight = Vec::set(w);
        for (int i = 0; i < N; ++i) full[i] = fma(weight, Vec::load(planes[i] + index * kLanes), full[i]);
        if constexpr (T > 0) {
            tail = fma(Half::set(w), Half::load(planes[N] + index * Half::kLanes), tail);
        }
    }
    // Row `index` of the planes += w * this.
    void add_to_vertex(float* const* planes, std::size_t index, float w) const {
        const Vec weight = Vec::set(w);
        for (int i = 0; i < N; ++i) {
            float* p = planes[i] + index * kLanes;
            fma(weight, full[i], Vec::load(p)).store(p);
        }
        if constexpr (T > 0) {
            float* p = planes[N] + index * Half::kLanes;
            fma(Half::set(w), tail, Half::load(p)).store(p);
        }
    }
};

// Calls body(a Row type, first plane) for parts of a row of at most kMaxRegisters vectors.
template <class Body>
inline void for_row_parts(const RowShape& shape, Body&& body) {
    static_assert(kMaxRegisters == 6, "the cases below");
    int first = 0;
    for (; shape.full - first > kMaxRegisters; first += kMaxRegisters) body(Row<kMaxRegisters, 0>{}, first);
    const bool tail = kHasTail > 0 && shape.tail > 0;
    switch (shape.full - first) {
        case 0:
            return tail ? body(Row<0, kHasTail>{}, first) : void();
        case 1:
            return tail ? body(Row<1, kHasTail>{}, first) : body(Row<1, 0>{}, first);
        case 2:
            return tail ? body(Row<2, kHasTail>{}, first) : body(Row<2, 0>{}, first);
        case 3:
            return tail ? body(Row<3, kHasTail>{}, first) : body(Row<3, 0>{}, first);
        case 4:
            return tail ? body(Row<4, kHasTail>{}, first) : body(Row<4, 0>{}, first);
        case 5:
            return tail ? body(Row<5, kHasTail>{}, first) : body(Row<5, 0>{}, first);
        default:
            return tail ? body(Row<6, kHasTail>{}, first) : body(Row<6, 0>{}, first);
    }
}

// ---- rows of pixels -----------------------------------------------------------------------------------------

void load_rows(const RowShape& shape, const float* source, float sign, float rest, int pixels, float* rows) {
    const Vec factor = Vec::set(sign);
    const int labels = shape.labels, whole = labels / kLanes * kLanes, left = labels - whole;
    for (int p = 0; p < pixels; ++p, source += labels, rows += shape.stride) {
        for (int l = 0; l < whole; l += kLanes) (factor * Vec::load(source + l)).store(rows + l);
        // Padding: sign * (sign * rest) = rest.
        if (left > 0) (factor * Vec::load_first(source + whole, left, sign * rest)).store(rows + whole);
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

template <class R, int kCorners, bool kMapped>
inline void slice_part(const float* const* planes, const PixelCorners& at, const float* gain, int pixels,
                       int stride, float* rows) {
    const int corners = kCorners > 0 ? kCorners : at.corners;
    const std::uint16_t* corner = at.corner;
    const float* weight = at.weight;
    const R scale = R::load(gain);
    for (int p = 0; p < pixels; ++p, corner += corners, weight += corners, rows += stride) {
        R sum = R::zero();
        for (int c = 0; c < corners; ++c) {
            const std::size_t index = kMapped ? static_cast<std::size_t>(at.row[corner[c]]) : corner[c];
            sum.add_vertex(planes, index, weight[c]);
        }
        R out = R::load(rows);
        for (int i = 0; i < R::kFull; ++i) out.full[i] = fma(scale.full[i], sum.full[i], out.full[i]);
        if constexpr (R::kTail > 0) out.tail = fma(scale.tail, sum.tail, out.tail);
        out.store(rows);
    }
}

template <class R, int kCorners, bool kMapped>
inline void splat_part(const float* rows, const PixelCorners& at, int pixels, int stride, float* const* planes) {
    const int corners = kCorners > 0 ? kCorners : at.corners;
    const std::uint16_t* corner = at.corner;
    const float* weight = at.weight;
    for (int p = 0; p < pixels; ++p, corner += corners, weight += corners, rows += stride) {
        const R q = R::load(rows);
        for (int c = 0; c < corners; ++c) {
            const std::size_t index = kMapped ? static_cast<std::size_t>(at.row[corner[c]]) : corner[c];
            q.add_to_vertex(planes, index, weight[c]);
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
        if (at.corners == 6 && at.row != nullptr)
            return slice_part<R, 6, true>(part, at, g, pixels, shape.stride, r);
        if (at.corners == 6) return slice_part<R, 6, false>(part, at, g, pixels, shape.stride, r);
        if (at.corners == 3 && at.row != nullptr)
            return slice_part<R, 3, true>(part, at, g, pixels, shape.stride, r);
        if (at.row != nullptr) return slice_part<R, 0, true>(part, at, g, pixels, shape.stride, r);
        slice_part<R, 0, false>(part, at, g, pixels, shape.stride, r);
    });
}

void splat(const RowShape& shape, const float* rows, const PixelCorners& at, int pixels, float* const* planes) {
    for_row_parts(shape, [&](auto row, int first) {
        using R = decltype(row);
        float* const* part = planes + first;
        const float* r = rows + first * kLanes;
        if (at.corners == 6 && at.row != nullptr) return splat_part<R, 6, true>(r, at, pixels, shape.stride, part);
        if (at.corners == 6) return splat_part<R, 6, false>(r, at, pixels, shape.stride, part);
        if (at.corners == 3 && at.row != nullptr) return splat_part<R, 3, true>(r, at, pixels, shape.stride, part);
        if (at.row != nullptr) return splat_part<R, 0, true>(r, at, pixels, shape.stride, part);
        splat_part<R, 0, false>(r, at, pixels, shape.stride, part);
    });
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

template <class V>
inline void add_plane_rows(const std::int32_t* vertex, int count, std::int32_t first, float* plane) {
    const float* from = plane + static_cast<std::size_t>(first) * V::kLanes;
    for (int i = 0; i < count; ++i, from += V::kLanes) {
        float* to = plane + static_cast<std::size_t>(vertex[i]) * V::kLanes;
        (V::load(to) + V::load(from)).store(to);
    }
}

void add_rows(const RowShape& shape, const std::int32_t* vertex, int count, std::int32_t first,
              float* const* planes) {
    for (int i = 0; i < shape.full; ++i) add_plane_rows<Vec>(vertex, count, first, planes[i]);
    if constexpr (kHasTail > 0) {
        if (shape.tail > 0) add_plane_rows<Half>(vertex, count, first, planes[shape.full]);
    }
}

template <class R, bool kPrefetch>
inline void blur_pairs(const BlurStream& stream, float* const* planes) {
    const std::int32_t* pairs = stream.pairs;
    for (std::size_t i = 0; i < stream.pair_count; ++i) {
        if constexpr (kPrefetch) {
            prefetch(planes[0] + static_cast<std::size_t>(pairs[2 * i + kBlurLookahead]) * R::kWidth);
            prefetch(planes[0] + static_cast<std::size_t>(pairs[2 * i + kBlurLookahead + 1]) * R::kWidth);
        }
        const std::size_t a = static_cast<std::size_t>(pairs[2 * i]),
                          b = static_cast<std::size_t>(pairs[2 * i + 1]);
        const R at_a = R::load_vertex(planes, a), at_b = R::load_vertex(planes, b);
        at_a.plus_half_of(at_b).store_vertex(planes, a);
        at_b.plus_half_of(at_a).store_vertex(planes, b);
    }
}

template <class R, bool kPrefetch>
inline void blur_chains(const BlurStream& stream, int vertices, float* const* planes) {
    const std::int32_t* chains = stream.chains;
    R before = R::zero(), here = before;
    std::size_t at = static_cast<std::size_t>(vertices);
    const std::size_t separator = at;
    for (std::size_t s = 0; s < stream.chain_length; ++s) {
        if constexpr (kPrefetch) {
            prefetch(planes[0] + static_cast<std::size_t>(chains[s + kBlurLookahead]) * R::kWidth);
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
    blur_pairs<R, kPrefetch>(stream, planes);
    blur_chains<R, kPrefetch>(stream, vertices, planes);
}

void blur(const RowShape& shape, const BlurStream& stream, int vertices, int first, int count,
          float* const* planes) {
    const bool tail = first + count > shape.full;
    planes += first;
    if (count == 1) {
        if (!tail) return blur_with<Row<1, 0>, true>(stream, vertices, planes);
        return blur_with<Row<0, kHasTail>, true>(stream, vertices, planes);
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
                                            add_self,
                                            slice,
                                            splat,
                                            softmax,
                                            mix,
                                            add_rows,
                                            blur};
    return table;
}

}  // namespace dense_crf::DENSE_CRF_ISA
