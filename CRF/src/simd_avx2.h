// Sixteen floats in two 256-bit registers (AVX2 and FMA): a row of a plane of vertices is then a cache line, of which
// nothing is fetched in vain where the blur jumps from vertex to vertex.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace dense_crf::avx2 {

struct Eight {
    static constexpr int kLanes = 8;
    __m256 v;

    static __m256i first(int n) {  // all bits set in the first n lanes
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }
    static Eight set(float x) { return {_mm256_set1_ps(x)}; }
    static Eight load(const float* p) { return {_mm256_loadu_ps(p)}; }
    static Eight load_if(bool given, const float* p) {  // else 0
        return {
            _mm256_and_ps(_mm256_loadu_ps(p), _mm256_castsi256_ps(_mm256_set1_epi32(-static_cast<int>(given))))};
    }
    static Eight load_first(const float* p, int n, float rest) {
        const __m256i mask = first(n);
        return {_mm256_blendv_ps(_mm256_set1_ps(rest), _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask))};
    }
    void store(float* p) const { _mm256_storeu_ps(p, v); }
    void store_as_int(std::int32_t* p) const {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_cvtps_epi32(v));
    }
    void store_first(float* p, int n) const { _mm256_maskstore_ps(p, first(n), v); }
};

inline Eight operator+(Eight a, Eight b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Eight operator-(Eight a, Eight b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Eight operator*(Eight a, Eight b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Eight max(Eight a, Eight b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Eight fma(Eight a, Eight b, Eight c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
// Lane by lane: a < b ? x : y, and a == b ? x : y.
inline Eight if_less(Eight a, Eight b, Eight x, Eight y) {
    return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
}
inline Eight if_equal(Eight a, Eight b, Eight x, Eight y) {
    return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ))};
}
inline float horizontal_max(Eight a) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
inline float horizontal_sum(Eight a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline Eight round(Eight a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// a * 2^n for integral n in [-126, 127].
inline Eight scale_by_power(Eight a, Eight n) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return {_mm256_mul_ps(a.v, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)))};
}

struct Vec {
    static constexpr int kLanes = 16;
    Eight low, high;

    static Vec set(float x) { return {Eight::set(x), Eight::set(x)}; }
    static Vec load(const float* p) { return {Eight::load(p), Eight::load(p + 8)}; }
    static Vec load_if(bool given, const float* p) {
        return {Eight::load_if(given, p), Eight::load_if(given, p + 8)};
    }
    static Vec load_first(const float* p, int n, float rest) {
        return {Eight::load_first(p, n, rest), Eight::load_first(p + 8, n - 8, rest)};
    }
    void store(float* p) const { low.store(p), high.store(p + 8); }
    void store_as_int(std::int32_t* p) const { low.store_as_int(p), high.store_as_int(p + 8); }
    void store_first(float* p, int n) const { low.store_first(p, n), high.store_first(p + 8, n - 8); }
};

inline Vec operator+(Vec a, Vec b) { return {a.low + b.low, a.high + b.high}; }
inline Vec operator-(Vec a, Vec b) { return {a.low - b.low, a.high - b.high}; }
inline Vec operator*(Vec a, Vec b) { return {a.low * b.low, a.high * b.high}; }
inline Vec max(Vec a, Vec b) { return {max(a.low, b.low), max(a.high, b.high)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {fma(a.low, b.low, c.low), fma(a.high, b.high, c.high)}; }
inline Vec if_less(Vec a, Vec b, Vec x, Vec y) {
    return {if_less(a.low, b.low, x.low, y.low), if_less(a.high, b.high, x.high, y.high)};
}
inline float horizontal_max(Vec a) { return horizontal_max(max(a.low, a.high)); }
inline float horizontal_sum(Vec a) { return horizontal_sum(a.low + a.high); }
inline Vec round(Vec a) { return {round(a.low), round(a.high)}; }
inline Vec scale_by_power(Vec a, Vec n) {
    return {scale_by_power(a.low, n.low), scale_by_power(a.high, n.high)};
}

using Half = Eight;
inline Half lower(Vec a) { return a.low; }
inline Half upper(Vec a) { return a.high; }
inline Vec join(Half low, Half high) { return {low, high}; }

using EmbedVec = Eight;  // some twenty of them are in use at a time
constexpr int kSoftmaxVectors = 8;  // rows of that many at a time: of a row of 21 labels a half is empty

}  // namespace dense_crf::avx2
