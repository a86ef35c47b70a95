// Sixteen floats in a 512-bit register (AVX-512 F, BW, DQ, VL).
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace dense_crf::avx512 {

struct Vec {
    static constexpr int kLanes = 16;
    __m512 v;

    static __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1); }
    static Vec set(float x) { return {_mm512_set1_ps(x)}; }
    static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
    static Vec load_if(bool given, const float* p) {  // else 0
        return {_mm512_maskz_loadu_ps(static_cast<__mmask16>(-static_cast<int>(given)), p)};
    }
    static Vec load_first(const float* p, int n, float rest) {
        return {_mm512_mask_loadu_ps(_mm512_set1_ps(rest), first(n), p)};
    }
    void store(float* p) const { _mm512_storeu_ps(p, v); }
    void store_as_int(std::int32_t* p) const { _mm512_storeu_si512(p, _mm512_cvtps_epi32(v)); }
    void store_first(float* p, int n) const { _mm512_mask_storeu_ps(p, first(n), v); }
};

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// Lane by lane: a < b ? x : y, and a == b ? x : y.
inline Vec if_less(Vec a, Vec b, Vec x, Vec y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
inline Vec if_equal(Vec a, Vec b, Vec x, Vec y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ), y.v, x.v)};
}
inline float horizontal_max(Vec a) { return _mm512_reduce_max_ps(a.v); }
inline float horizontal_sum(Vec a) { return _mm512_reduce_add_ps(a.v); }
inline Vec round(Vec a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// a * 2^n for integral n.
inline Vec scale_by_power(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }

// Four vectors reduced together: the halves of two go into one, then those of two pairs, and only the last two
// steps are done within 128 bits; half the work of one after the other.
template <class Op>
inline Vec reduce_four(const Vec (&v)[4], Op op) {
    const Vec ab =
        op(Vec{_mm512_shuffle_f32x4(v[0].v, v[1].v, 0x44)}, Vec{_mm512_shuffle_f32x4(v[0].v, v[1].v, 0xEE)});
    const Vec cd =
        op(Vec{_mm512_shuffle_f32x4(v[2].v, v[3].v, 0x44)}, Vec{_mm512_shuffle_f32x4(v[2].v, v[3].v, 0xEE)});
    Vec all = op(Vec{_mm512_shuffle_f32x4(ab.v, cd.v, 0x88)}, Vec{_mm512_shuffle_f32x4(ab.v, cd.v, 0xDD)});
    all = op(all, Vec{_mm512_permute_ps(all.v, 0xB1)});
    return op(all, Vec{_mm512_permute_ps(all.v, 0x4E)});
}
// Quarter p of `all` to vector p.
inline void spread_quarters(Vec all, Vec (&v)[4]) {
    v[0].v = _mm512_shuffle_f32x4(all.v, all.v, 0x00);
    v[1].v = _mm512_shuffle_f32x4(all.v, all.v, 0x55);
    v[2].v = _mm512_shuffle_f32x4(all.v, all.v, 0xAA);
    v[3].v = _mm512_shuffle_f32x4(all.v, all.v, 0xFF);
}
inline void spread_max(Vec (&v)[4]) {
    spread_quarters(reduce_four(v, [](Vec a, Vec b) { return max(a, b); }), v);
}
inline void spread_inverse_sum(Vec (&v)[4]) {
    const Vec sums = reduce_four(v, [](Vec a, Vec b) { return a + b; });
    spread_quarters({_mm512_div_ps(_mm512_set1_ps(1.0f), sums.v)}, v);
}

// Eight floats, for the last labels of a row.
struct Half {
    static constexpr int kLanes = 8;
    __m256 v;

    static Half set(float x) { return {_mm256_set1_ps(x)}; }
    static Half load(const float* p) { return {_mm256_loadu_ps(p)}; }
    static Half load_if(bool given, const float* p) {
        return {_mm256_maskz_loadu_ps(static_cast<__mmask8>(-static_cast<int>(given)), p)};
    }
    void store(float* p) const { _mm256_storeu_ps(p, v); }
};
inline Half operator+(Half a, Half b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Half fma(Half a, Half b, Half c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Half lower(Vec a) { return {_mm512_castps512_ps256(a.v)}; }
inline Half upper(Vec a) { return {_mm512_extractf32x8_ps(a.v, 1)}; }
inline Vec join(Half low, Half high) { return {_mm512_insertf32x8(_mm512_castps256_ps512(low.v), high.v, 1)}; }

using EmbedVec = Vec;
constexpr int kSoftmaxVectors = 12;  // rows of that many at a time

}  // namespace dense_crf::avx512
