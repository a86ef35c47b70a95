// Bodies of VectorKernels; included once per instruction set, after its Vec and with DENSE_CRF_ISA set.
//
// Built with -ffp-contract=off: products and sums fuse only where fma() says so, so that the lattice of an image
// is the same on every instruction set.
#pragma once

#include <cstring>

#include "dense_crf/vector_kernels.h"

namespace dense_crf::DENSE_CRF_ISA {
namespace {

constexpr int kLanes = Vec::kLanes;
constexpr int kMaxRegisters = 6;  // vectors of one row that a loop keeps in registers

// exp(x) for x <= 0, relative error below 2e-7; values under exp(-87) come out as about 1e-38.
inline Vec exp_nonpositive(Vec x) {
    x = max(x, Vec::set(-87.0f));
    const Vec n = round(x * Vec::set(1.44269504f));
    Vec f = fma(n, Vec::set(-0.693359375f), x);  // x - n ln 2 in two steps
    f = fma(n, Vec::set(2.12194440e-4f), f);
    Vec p = Vec::set(0.00829776283f);
    p = fma(p, f, Vec::set(0.0419154316f));
    p = fma(p, f, Vec::set(0.166675732f));
    p = fma(p, f, Vec::set(0.499988943f));
    p = fma(p, f, Vec::set(0.999999702f));
    p = fma(p, f, Vec::set(1.00000012f));
    return scale_by_power(p, n);
}

// Calls body(constant N, first lane) for slices of a row of `padded` floats, N vectors each.
template <int N>
struct Vectors {
    static constexpr int value = N;
};
template <class Body>
inline void for_row_parts(int padded, Body&& body) {
    int first = 0;
    for (int left = padded / kLanes; left > 0;) {
        const int take = left < kMaxRegisters ? left : kMaxRegisters;
        switch (take) {
            case 1: body(Vectors<1>{}, first); break;
            case 2: body(Vectors<2>{}, first); break;
            case 3: body(Vectors<3>{}, first); break;
            case 4: body(Vectors<4>{}, first); break;
            case 5: body(Vectors<5>{}, first); break;
            default: body(Vectors<kMaxRegisters>{}, first); break;
        }
        left -= take;
        first += take * kLanes;
    }
}

// ---- lattice coordinates ------------------------------------------------------------------------------------

// kDims = 0: number of dimensions known at run time only.
template <int kDims>
void embed_dims(int run_time_dims, const float* scale, const float* features, std::size_t stride, float* elevated,
                std::int32_t* vertex, std::int32_t* rank, float* weight) {
    constexpr int W = kEmbedWidth;
    const int dims = kDims > 0 ? kDims : run_time_dims;
    const float up = static_cast<float>(dims + 1), down = 1.0f / static_cast<float>(dims + 1);
    // Into the hyperplane of coordinate sum 0 (Adams et al. 2010, section 3.1), from the last axis down.
    float total[W] = {};
    for (int j = dims; j > 0; --j) {
        const float* f = features + static_cast<std::size_t>(j - 1) * stride;
        for (int l = 0; l < W; ++l) {
            const float scaled = f[l] * scale[j - 1];
            elevated[j * W + l] = total[l] - static_cast<float>(j) * scaled;
            total[l] += scaled;
        }
    }
    for (int l = 0; l < W; ++l) elevated[l] = total[l];
    // Nearest point with coordinates that are multiples of dims + 1; its sum tells how far it is off the plane.
    std::int32_t excess[W] = {};
    for (int i = 0; i <= dims; ++i) {
        for (int l = 0; l < W; ++l) {
            const float x = down * elevated[i * W + l];
            const float nearest = (x + 12582912.0f) - 12582912.0f;  // half to even, for |x| < 2^22
            vertex[i * W + l] = static_cast<std::int32_t>(nearest * up);
            excess[l] += static_cast<std::int32_t>(nearest);
            elevated[i * W + l] -= nearest * up;  // from here on: distance to that point
            rank[i * W + l] = 0;
        }
    }
    for (int i = 0; i < dims; ++i) {
        for (int j = i + 1; j <= dims; ++j) {
            for (int l = 0; l < W; ++l) {
                const std::int32_t less = elevated[i * W + l] < elevated[j * W + l] ? 1 : 0;
                rank[i * W + l] += less;
                rank[j * W + l] += 1 - less;
            }
        }
    }
    // Back into the plane, the coordinates of extreme rank first.
    for (int i = 0; i <= dims; ++i) {
        for (int l = 0; l < W; ++l) {
            const std::int32_t moved = rank[i * W + l] + excess[l];
            const std::int32_t wrap = (moved < 0 ? 1 : 0) - (moved > dims ? 1 : 0);
            rank[i * W + l] = moved + wrap * (dims + 1);
            vertex[i * W + l] += wrap * (dims + 1);
            elevated[i * W + l] = (elevated[i * W + l] - static_cast<float>(wrap) * up) * down;
        }
    }
    // Barycentric weights are differences of the distances in the order of rank.
    for (int r = 0; r <= dims; ++r) {
        for (int l = 0; l < W; ++l) weight[r * W + l] = 0;
        for (int i = 0; i <= dims; ++i) {
            for (int l = 0; l < W; ++l) {
                const float x = elevated[i * W + l];
                const std::int32_t place = dims - rank[i * W + l];
                weight[r * W + l] += place == r ? x : 0.0f;
                weight[r * W + l] -= place + 1 == r ? x : 0.0f;
            }
        }
    }
    for (int i = 0; i <= dims; ++i) {
        for (int l = 0; l < W; ++l) {
            weight[l] += rank[i * W + l] == 0 ? 1.0f - elevated[i * W + l] : 0.0f;
        }
    }
}

void embed(int dims, const float* scale, const float* features, std::size_t stride, float* scratch,
           std::int32_t* vertex, std::int32_t* rank, float* weight) {
    if (dims == 2) return embed_dims<2>(dims, scale, features, stride, scratch, vertex, rank, weight);
    if (dims == 5) return embed_dims<5>(dims, scale, features, stride, scratch, vertex, rank, weight);
    embed_dims<0>(dims, scale, features, stride, scratch, vertex, rank, weight);
}

// ---- pixel rows ---------------------------------------------------------------------------------------------

void load_rows(const float* source, float sign, float rest, int pixels, int labels, int padded, float* rows) {
    const Vec factor = Vec::set(sign);
    for (int p = 0; p < pixels; ++p, source += labels, rows += padded) {
        int l = 0;
        for (; l + kLanes <= labels; l += kLanes) (factor * Vec::load(source + l)).store(rows + l);
        if (l < labels) {
            (factor * Vec::load_first(source + l, labels - l, rest * sign)).store(rows + l);  // sign^2 = 1
        }
    }
}

void store_rows(const float* rows, int pixels, int labels, int padded, float* destination) {
    for (int p = 0; p < pixels; ++p, rows += padded, destination += labels) {
        int l = 0;
        for (; l + kLanes <= labels; l += kLanes) Vec::load(rows + l).store(destination + l);
        if (l < labels) Vec::load(rows + l).store_first(destination + l, labels - l);
    }
}

void add_self(const float* q, const float* self, const float* gain, int pixels, int labels, int padded,
              float* rows) {
    for (int p = 0; p < pixels; ++p, q += labels, rows += padded) {
        const Vec weight = Vec::set(self[p]);
        for (int l = 0; l < labels; l += kLanes) {
            const int left = labels - l;
            const Vec value = left >= kLanes ? Vec::load(q + l) : Vec::load_first(q + l, left, 0.0f);
            fma(weight * Vec::load(gain + l), value, Vec::load(rows + l)).store(rows + l);
        }
    }
}

template <int N>
inline void slice_part(const float* values, const std::uint16_t* corner, const float* weight, int corners,
                       int pixels, int padded, float* rows) {
    for (int p = 0; p < pixels; ++p, corner += corners, weight += corners, rows += padded) {
        Vec sum[N];
        for (int i = 0; i < N; ++i) sum[i] = Vec::load(rows + i * kLanes);
        for (int c = 0; c < corners; ++c) {
            const float* value = values + static_cast<std::size_t>(corner[c]) * padded;
            const Vec w = Vec::set(weight[c]);
            for (int i = 0; i < N; ++i) sum[i] = fma(w, Vec::load(value + i * kLanes), sum[i]);
        }
        for (int i = 0; i < N; ++i) sum[i].store(rows + i * kLanes);
    }
}

void slice(const float* values, const std::uint16_t* corner, const float* weight, int corners, int pixels,
           int padded, float* rows) {
    for_row_parts(padded, [&](auto vectors, int lane) {
        constexpr int N = decltype(vectors)::value;
        if (corners == 3) return slice_part<N>(values + lane, corner, weight, 3, pixels, padded, rows + lane);
        if (corners == 6) return slice_part<N>(values + lane, corner, weight, 6, pixels, padded, rows + lane);
        slice_part<N>(values + lane, corner, weight, corners, pixels, padded, rows + lane);
    });
}

template <int N>
inline void splat_part(const float* rows, const std::uint16_t* corner, const float* weight, int corners,
                       int pixels, int padded, float* sums) {
    for (int p = 0; p < pixels; ++p, corner += corners, weight += corners, rows += padded) {
        Vec q[N];
        for (int i = 0; i < N; ++i) q[i] = Vec::load(rows + i * kLanes);
        for (int c = 0; c < corners; ++c) {
            float* sum = sums + static_cast<std::size_t>(corner[c]) * padded;
            const Vec w = Vec::set(weight[c]);
            for (int i = 0; i < N; ++i) fma(w, q[i], Vec::load(sum + i * kLanes)).store(sum + i * kLanes);
        }
    }
}

void splat(const float* rows, const std::uint16_t* corner, const float* weight, int corners, int pixels,
           int padded, float* sums) {
    for_row_parts(padded, [&](auto vectors, int lane) {
        constexpr int N = decltype(vectors)::value;
        if (corners == 3) return splat_part<N>(rows + lane, corner, weight, 3, pixels, padded, sums + lane);
        if (corners == 6) return splat_part<N>(rows + lane, corner, weight, 6, pixels, padded, sums + lane);
        splat_part<N>(rows + lane, corner, weight, corners, pixels, padded, sums + lane);
    });
}

template <int N>
inline void softmax_in_registers(int pixels, float* rows) {
    for (int p = 0; p < pixels; ++p, rows += N * kLanes) {
        Vec x[N];
        for (int i = 0; i < N; ++i) x[i] = Vec::load(rows + i * kLanes);
        Vec top = x[0];
        for (int i = 1; i < N; ++i) top = max(top, x[i]);
        const Vec shift = Vec::set(horizontal_max(top));
        Vec sum = Vec::set(0.0f);
        for (int i = 0; i < N; ++i) {
            x[i] = exp_nonpositive(x[i] - shift);
            sum = sum + x[i];
        }
        const Vec inverse = Vec::set(1.0f / horizontal_sum(sum));
        for (int i = 0; i < N; ++i) (x[i] * inverse).store(rows + i * kLanes);
    }
}

void softmax(int pixels, int padded, float* rows) {
    switch (padded / kLanes) {
        case 1: return softmax_in_registers<1>(pixels, rows);
        case 2: return softmax_in_registers<2>(pixels, rows);
        case 3: return softmax_in_registers<3>(pixels, rows);
        case 4: return softmax_in_registers<4>(pixels, rows);
        case 5: return softmax_in_registers<5>(pixels, rows);
        case 6: return softmax_in_registers<6>(pixels, rows);
        default: break;
    }
    for (int p = 0; p < pixels; ++p, rows += padded) {
        Vec top = Vec::load(rows);
        for (int l = kLanes; l < padded; l += kLanes) top = max(top, Vec::load(rows + l));
        const Vec shift = Vec::set(horizontal_max(top));
        Vec sum = Vec::set(0.0f);
        for (int l = 0; l < padded; l += kLanes) {
            const Vec e = exp_nonpositive(Vec::load(rows + l) - shift);
            e.store(rows + l);
            sum = sum + e;
        }
        const Vec inverse = Vec::set(1.0f / horizontal_sum(sum));
        for (int l = 0; l < padded; l += kLanes) (Vec::load(rows + l) * inverse).store(rows + l);
    }
}

// ---- vertex rows --------------------------------------------------------------------------------------------

void gather(const GlobalRows& global, const std::int32_t* vertex, int count, const float* gain,
            float factor, int padded, float* local) {
    const Vec scale = Vec::set(factor);
    for (int g = 0; g < global.groups; ++g) {
        const float* values = global.values + g * global.group_stride;
        const float* group_gain = gain + g * global.lanes;
        float* row = local + g * global.lanes;
        for (int i = 0; i < count; ++i, row += padded) {
            const float* value = values + static_cast<std::size_t>(vertex[i]) * global.lanes;
            for (int l = 0; l < global.lanes; l += kLanes) {
                (scale * Vec::load(group_gain + l) * Vec::load(value + l)).store(row + l);
            }
        }
    }
}

void scatter(const float* local, const std::int32_t* vertex, int count, int fresh, int padded,
             const GlobalRows& global) {
    for (int g = 0; g < global.groups; ++g) {
        float* values = global.values + g * global.group_stride;
        const float* row = local + g * global.lanes;
        for (int i = 0; i < count; ++i, row += padded) {
            float* value = values + static_cast<std::size_t>(vertex[i]) * global.lanes;
            if (vertex[i] >= fresh) {
                for (int l = 0; l < global.lanes; l += kLanes) Vec::load(row + l).store(value + l);
            } else {
                for (int l = 0; l < global.lanes; l += kLanes) {
                    (Vec::load(value + l) + Vec::load(row + l)).store(value + l);
                }
            }
        }
    }
}

void mix(const float* gain, int labels, int count, int padded, float* scratch, float* rows) {
    for (int i = 0; i < count; ++i, rows += padded) {
        std::memcpy(scratch, rows, sizeof(float) * static_cast<std::size_t>(labels));
        for (int l = 0; l < padded; l += kLanes) {
            Vec sum = Vec::set(0.0f);
            for (int j = 0; j < labels; ++j) {
                const float* to = gain + static_cast<std::size_t>(j) * padded + l;
                sum = fma(Vec::set(scratch[j]), Vec::load(to), sum);
            }
            sum.store(rows + l);
        }
    }
}

template <int N>
inline void blur_chains(const std::int32_t* stream, std::size_t length, int vertices, float* values) {
    constexpr int kRow = N * kLanes;
    const Vec half = Vec::set(0.5f);
    Vec before[N], here[N];
    for (int i = 0; i < N; ++i) before[i] = here[i] = Vec::set(0.0f);
    for (std::size_t s = 1; s < length; ++s) {
        const std::int32_t at = stream[s - 1], next = stream[s];
        const float* after = values + static_cast<std::size_t>(next) * kRow;
        // A separator (id `vertices`) is read as the row of zeros and written to the row behind it.
        float* out = values + static_cast<std::size_t>(at + (at == vertices ? 1 : 0)) * kRow;
        for (int i = 0; i < N; ++i) {
            const Vec ahead = Vec::load(after + i * kLanes);
            fma(half, before[i] + ahead, here[i]).store(out + i * kLanes);
            before[i] = here[i];
            here[i] = ahead;
        }
    }
}

void blur(const std::int32_t* stream, std::size_t length, int vertices, int lanes, float* values) {
    switch (lanes / kLanes) {
        case 1: return blur_chains<1>(stream, length, vertices, values);
        case 2: return blur_chains<2>(stream, length, vertices, values);
        case 3: return blur_chains<3>(stream, length, vertices, values);
        default: return blur_chains<4>(stream, length, vertices, values);
    }
}

}  // namespace

#define DENSE_CRF_TEXT(x) #x
#define DENSE_CRF_NAME(x) DENSE_CRF_TEXT(x)

const VectorKernels& kernels() {
    static constexpr VectorKernels table = {DENSE_CRF_NAME(DENSE_CRF_ISA),
                                            kLanes,
                                            embed,
                                            load_rows,
                                            store_rows,
                                            add_self,
                                            slice,
                                            splat,
                                            softmax,
                                            gather,
                                            scatter,
                                            mix,
                                            blur};
    return table;
}

}  // namespace dense_crf::DENSE_CRF_ISA
