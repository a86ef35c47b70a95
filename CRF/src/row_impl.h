// Rows of labels in registers; included by kernels_impl.h, once per instruction set.
#pragma once

#include <cstddef>

#include "dense_crf/vector_kernels.h"
#include "softmax_impl.h"

namespace dense_crf::DENSE_CRF_ISA {
namespace {

constexpr int kRowLookahead = 24;      // pixels
constexpr int kStreamLookahead = 128;  // weights, about as many pixels
constexpr int kMaxRegisters = 6;       // vectors of one row that a loop keeps in registers

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
    // The planes of this part, as copies: a store to a row cannot change them, which the compiler does not know.
    struct Planes {
        explicit Planes(float* const* planes) {
            for (int i = 0; i < N + T; ++i) at[i] = planes[i];
        }
        float* at[N + T];
        operator float* const*() const { return at; }
    };
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
            tail = fma(lower(weight), Half::load(planes[N] + index * Half::kLanes), tail);
        }
    }
    // Row `index` of the planes += w * this, or = if `kFirst` and not `add`.
    template <bool kFirst>
    void add_to_vertex(float* const* planes, std::size_t index, float w, [[maybe_unused]] bool add) const {
        const Vec weight = Vec::set(w);
        for (int i = 0; i < N; ++i) {
            float* p = planes[i] + index * kLanes;
            fma(weight, full[i], kFirst ? Vec::load_if(add, p) : Vec::load(p)).store(p);
        }
        if constexpr (T > 0) {
            float* p = planes[N] + index * Half::kLanes;
            fma(lower(weight), tail, kFirst ? Half::load_if(add, p) : Half::load(p)).store(p);
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
            if constexpr (kHasTail > 0) {
                if (tail) body(Row<0, kHasTail>{}, first);
            }
            return;
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

}  // namespace
}  // namespace dense_crf::DENSE_CRF_ISA
