// Softmax over the labels of pixels; included by kernels_impl.h, once per instruction set.
#pragma once

#include "dense_crf/vector_kernels.h"

namespace dense_crf::DENSE_CRF_ISA {
namespace {

constexpr int kLanes = Vec::kLanes;
constexpr int kCacheLine = 16;  // floats

inline void prefetch(const void* p) {
#if defined(__GNUC__)
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

constexpr int kHasTail = Half::kLanes < kLanes ? 1 : 0;

// exp(x) for x <= 0, relative error below 1e-7; 0 below exp(-60) = 9e-27. Smaller numbers would become subnormal
// further on (times weights, halved by the blur), which is slow and of no use.
inline Vec exp_nonpositive(Vec x) {
    const Vec least = Vec::set(-60.0f);
    const Vec given = x;
    x = max(x, least);
    const Vec n = round(x * Vec::set(1.44269504f));
    Vec f = fma(n, Vec::set(-0.693359375f), x);  // x - n ln 2 in two steps
    f = fma(n, Vec::set(2.12194440e-4f), f);
    Vec p = Vec::set(1.38157932e-3f);  // minimax on |f| <= ln 2 / 2, its first two terms kept exact
    p = fma(p, f, Vec::set(8.36872123e-3f));
    p = fma(p, f, Vec::set(4.16683704e-2f));
    p = fma(p, f, Vec::set(1.66665211e-1f));
    p = fma(p, f, Vec::set(4.99999940e-1f));
    p = fma(p, f * f, f) + Vec::set(1.0f);
    return if_less(given, least, Vec::set(0.0f), scale_by_power(p, n));
}

// Each vector filled with the largest, or the sum, of its lanes. Vec may bring quicker ones for several at a time.
template <int K>
inline void spread_max(Vec (&v)[K]) {
    for (int p = 0; p < K; ++p) v[p] = Vec::set(horizontal_max(v[p]));
}
template <int K>
inline void spread_inverse_sum(Vec (&v)[K]) {
    for (int p = 0; p < K; ++p) v[p] = Vec::set(1.0f / horizontal_sum(v[p]));
}

// x = softmax(x): N full vectors a pixel and, where T is 1, one whose upper half is padding. The halves of two
// pixels share one exponential.
template <int N, int T, int kPixels>
inline void softmax_values(Vec (&x)[kPixels][N + T]) {
    Vec shift[kPixels], sum[kPixels];
    for (int p = 0; p < kPixels; ++p) {
        shift[p] = x[p][0];
        for (int i = 1; i < N + T; ++i) shift[p] = max(shift[p], x[p][i]);
    }
    spread_max(shift);
    for (int p = 0; p < kPixels; ++p) {
        sum[p] = Vec::set(0.0f);
        for (int i = 0; i < N; ++i) {
            x[p][i] = exp_nonpositive(x[p][i] - shift[p]);
            sum[p] = i == 0 ? x[p][0] : sum[p] + x[p][i];
        }
    }
    if constexpr (T > 0) {
        const Half zero = Half::set(0.0f);
        for (int p = 0; p < kPixels; p += 2) {
            const int next = p + 1 < kPixels ? p + 1 : p;
            const Vec both = exp_nonpositive(join(lower(x[p][N] - shift[p]), lower(x[next][N] - shift[next])));
            x[p][N] = join(lower(both), zero);
            if (next > p) x[next][N] = join(upper(both), zero);
            for (int i = p; i <= next; ++i) sum[i] = sum[i] + x[i][N];
        }
    }
    spread_inverse_sum(sum);
    for (int p = 0; p < kPixels; ++p) {
        for (int i = 0; i < N + T; ++i) x[p][i] = x[p][i] * sum[p];
    }
}

template <int N, int T, int kPixels>
inline void softmax_pixels(int stride, float* rows) {
    Vec x[kPixels][N + T];
    for (int p = 0; p < kPixels; ++p) {
        for (int i = 0; i < N + T; ++i) x[p][i] = Vec::load(rows + p * stride + i * kLanes);
    }
    softmax_values<N, T>(x);
    for (int p = 0; p < kPixels; ++p) {
        for (int i = 0; i < N + T; ++i) x[p][i].store(rows + p * stride + i * kLanes);
    }
}

// Some pixels side by side hide the latency of the horizontal sums, as many as registers hold.
template <int kVectors>
constexpr int kSoftmaxPixels = kSoftmaxVectors >= 4 * kVectors ? 4 : kSoftmaxVectors >= 2 * kVectors ? 2 : 1;

template <int N, int T>
inline void softmax_in_registers(int pixels, int stride, float* rows, const float* ahead, int labels) {
    constexpr int kTogether = kSoftmaxPixels<N + T>;
    int p = 0;
    for (; p + kTogether <= pixels; p += kTogether) {
        for (int l = 0; l < kTogether * labels; l += kCacheLine) prefetch(ahead + p * labels + l);
        softmax_pixels<N, T, kTogether>(stride, rows + p * stride);
    }
    for (; p < pixels; ++p) softmax_pixels<N, T, 1>(stride, rows + p * stride);
}

template <int T>
inline bool softmax_in_registers(const RowShape& shape, int pixels, float* rows, const float* ahead) {
    switch (shape.full) {
        case 0:
            if constexpr (T > 0)
                return softmax_in_registers<0, T>(pixels, shape.stride, rows, ahead, shape.labels), true;
            return false;
        case 1:
            return softmax_in_registers<1, T>(pixels, shape.stride, rows, ahead, shape.labels), true;
        case 2:
            return softmax_in_registers<2, T>(pixels, shape.stride, rows, ahead, shape.labels), true;
        case 3:
            return softmax_in_registers<3, T>(pixels, shape.stride, rows, ahead, shape.labels), true;
        case 4:
            return softmax_in_registers<4, T>(pixels, shape.stride, rows, ahead, shape.labels), true;
        case 5:
            return softmax_in_registers<5, T>(pixels, shape.stride, rows, ahead, shape.labels), true;
        case 6:
            return softmax_in_registers<6, T>(pixels, shape.stride, rows, ahead, shape.labels), true;
        default:
            return false;
    }
}

void softmax(const RowShape& shape, int pixels, float* rows, const float* ahead) {
    if (shape.tail > 0 ? softmax_in_registers<kHasTail>(shape, pixels, rows, ahead)
                       : softmax_in_registers<0>(shape, pixels, rows, ahead)) {
        return;
    }
    for (int p = 0; p < pixels; ++p, rows += shape.stride) {
        for (int l = 0; l < shape.labels; l += kCacheLine) prefetch(ahead + p * shape.labels + l);
        Vec top = Vec::load(rows);
        for (int l = kLanes; l < shape.stride; l += kLanes) top = max(top, Vec::load(rows + l));
        const Vec shift = Vec::set(horizontal_max(top));
        Vec sum = Vec::set(0.0f);
        for (int l = 0; l < shape.stride; l += kLanes) {
            const Vec e = exp_nonpositive(Vec::load(rows + l) - shift);
            e.store(rows + l);
            sum = sum + e;
        }
        const Vec inverse = Vec::set(1.0f / horizontal_sum(sum));
        for (int l = 0; l < shape.stride; l += kLanes) (Vec::load(rows + l) * inverse).store(rows + l);
    }
}

}  // namespace
}  // namespace dense_crf::DENSE_CRF_ISA
