// Eight floats in plain C++; the compiler maps them to whatever registers the target has.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace dense_crf::portable {

struct Vec {
    static constexpr int kLanes = 8;
    float v[kLanes];

    static Vec set(float x) {
        Vec r;
        for (float& e : r.v) e = x;
        return r;
    }
    static Vec load(const float* p) {
        Vec r;
        std::memcpy(r.v, p, sizeof r.v);
        return r;
    }
    static Vec load_if(bool given, const float* p) {  // else 0
        return given ? load(p) : set(0.0f);
    }
    // The first n lanes from p, the others `rest`.
    static Vec load_first(const float* p, int n, float rest) {
        Vec r = set(rest);
        for (int i = 0; i < n; ++i) r.v[i] = p[i];
        return r;
    }
    void store(float* p) const { std::memcpy(p, v, sizeof v); }
    void store_as_int(std::int32_t* p) const {
        for (int i = 0; i < kLanes; ++i) p[i] = static_cast<std::int32_t>(v[i]);
    }
    void store_first(float* p, int n) const {
        for (int i = 0; i < n; ++i) p[i] = v[i];
    }
};

template <class Op>
inline Vec lanewise(Vec a, Vec b, Op op) {
    Vec r;
    for (int i = 0; i < Vec::kLanes; ++i) r.v[i] = op(a.v[i], b.v[i]);
    return r;
}
inline Vec operator+(Vec a, Vec b) {
    return lanewise(a, b, [](float x, float y) { return x + y; });
}
inline Vec operator-(Vec a, Vec b) {
    return lanewise(a, b, [](float x, float y) { return x - y; });
}
inline Vec operator*(Vec a, Vec b) {
    return lanewise(a, b, [](float x, float y) { return x * y; });
}
inline Vec max(Vec a, Vec b) {
    return lanewise(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
// Lane by lane: a < b ? x : y, and a == b ? x : y.
inline Vec if_less(Vec a, Vec b, Vec x, Vec y) {
    Vec r;
    for (int i = 0; i < Vec::kLanes; ++i) r.v[i] = a.v[i] < b.v[i] ? x.v[i] : y.v[i];
    return r;
}
inline Vec if_equal(Vec a, Vec b, Vec x, Vec y) {
    Vec r;
    for (int i = 0; i < Vec::kLanes; ++i) r.v[i] = a.v[i] == b.v[i] ? x.v[i] : y.v[i];
    return r;
}
inline float horizontal_max(Vec a) {
    float m = a.v[0];
    for (float e : a.v) m = e > m ? e : m;
    return m;
}
inline float horizontal_sum(Vec a) {
    return ((a.v[0] + a.v[4]) + (a.v[2] + a.v[6])) + ((a.v[1] + a.v[5]) + (a.v[3] + a.v[7]));
}
// x rounded to the nearest integer, |x| < 2^22.
inline Vec round(Vec a) {
    return lanewise(a, a, [](float x, float) { return (x + 12582912.0f) - 12582912.0f; });
}
// a * 2^n for integral n in [-126, 127].
inline Vec scale_by_power(Vec a, Vec n) {
    return lanewise(a, n, [](float x, float e) {
        const std::int32_t bits = (static_cast<std::int32_t>(e) + 127) << 23;
        float power;
        std::memcpy(&power, &bits, sizeof power);
        return x * power;
    });
}

using Half = Vec;  // no narrower planes
inline Half lower(Vec a) { return a; }
inline Half upper(Vec a) { return a; }  // these two are for narrower ones
inline Vec join(Half low, Half) { return low; }

using EmbedVec = Vec;
constexpr int kSoftmaxVectors = 12;  // rows of that many at a time

}  // namespace dense_crf::portable
