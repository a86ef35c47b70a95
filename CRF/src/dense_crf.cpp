#include "dense_crf/dense_crf.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "dense_crf/parallel.h"
#include "mean_field.h"

namespace dense_crf {
namespace {

void require_positive(const char* name, float value) {
    if (!(value > 0) || !std::isfinite(value)) {
        throw std::invalid_argument(std::string(name) + ": expected a positive finite number, got " +
                                    std::to_string(value));
    }
}

void require_sign(float sign) {
    if (sign != 1 && sign != -1) {
        throw std::invalid_argument("sign: expected 1 or -1, got " + std::to_string(sign));
    }
}

// Pixels along a side of a tile. Small tiles fetch many vertices twice, which costs more than what they save in
// the L2 cache; many labels need smaller ones. An image of one tile is the work of one thread.
constexpr int kTileSide = 100, kTileSideManyLabels = 80, kManyLabels = 33, kOneTile = 64;

}  // namespace

DenseCrf::DenseCrf(int height, int width, int labels) : height_(height), width_(width), labels_(labels) {
    require_sizes(height, width, labels);
}

DenseCrf::~DenseCrf() = default;

void DenseCrf::add_gaussian(float sx, float sy, Gain gain, Normalization normalization) {
    require_positive("sxy", sx);
    require_positive("sxy", sy);
    add(std::make_unique<GridFeatures>(height_, width_, sx, sy), std::move(gain), normalization);
}

void DenseCrf::add_bilateral(float sx, float sy, const float color_scales[3], const std::uint8_t* image, Gain gain,
                             Normalization normalization) {
    require_positive("sxy", sx);
    require_positive("sxy", sy);
    for (int c = 0; c < 3; ++c) require_positive("srgb", color_scales[c]);
    add(std::make_unique<BilateralFeatures>(height_, width_, sx, sy, color_scales, image), std::move(gain),
        normalization);
}

void DenseCrf::add_features(int dims, const float* features, Gain gain, Normalization normalization) {
    if (dims < 1 || dims > kMaxDims) {
        throw std::invalid_argument("features: expected 1 to " + std::to_string(kMaxDims) + " dimensions, got " +
                                    std::to_string(dims));
    }
    add(std::make_unique<PointFeatures>(dims, height_, width_, features), std::move(gain), normalization);
}

void DenseCrf::add(std::unique_ptr<FeatureSource> features, Gain gain, Normalization normalization) {
    const std::size_t n = static_cast<std::size_t>(labels_);
    const std::size_t expected = gain.form == Gain::Form::kScalar     ? 1
                                 : gain.form == Gain::Form::kDiagonal ? n
                                                                      : n * n;
    if (gain.values.size() != expected) {
        throw std::invalid_argument("compat: expected " + std::to_string(expected) + " values for " +
                                    std::to_string(labels_) + " labels, got " +
                                    std::to_string(gain.values.size()));
    }
    require_finite(gain.values.data(), gain.values.size(), n, "compat");
    const int how = static_cast<int>(normalization);
    if (how < static_cast<int>(Normalization::kNone) || how > static_cast<int>(Normalization::kSymmetric)) {
        throw std::invalid_argument("normalization: expected 0 to 3, got " + std::to_string(how));
    }
    auto kernel = std::make_unique<Kernel>();
    kernel->features = std::move(features);
    kernel->normalization = normalization;
    kernel->gain = std::move(gain);
    kernels_.push_back(std::move(kernel));
}

void DenseCrf::prepare(int threads) {
    int side = labels_ < kManyLabels ? kTileSide : kTileSideManyLabels;
    if (variables() <= static_cast<std::size_t>(kOneTile) * kOneTile) {
        side = kOneTile;
    } else if (std::max(height_, width_) <= side) {
        side = (side + 1) / 2;
    }
    for (const auto& kernel : kernels_) {
        while (side * side > max_tile_pixels(kernel->features->dims()) && side > 1) --side;
    }
    if (side != tile_side_) {
        std::vector<Tile> tiles = make_tiles(height_, width_, side);
        for (const auto& kernel : kernels_) kernel->lattice.reset();
        tiles_ = std::move(tiles);
        tile_side_ = side;
    }
    for (const auto& kernel : kernels_) {
        if (kernel->lattice != nullptr) continue;
        kernel->set_lattice(
            std::make_unique<Lattice>(*kernel->features, tiles_, kernel->normalization, threads),
            row_shape(labels_, vector_kernels()));
    }
}

void DenseCrf::infer(const float* unary, float sign, int iterations, float* q, int threads, Workspace& workspace) {
    if (iterations < 0) {
        throw std::invalid_argument("iterations: expected 0 or more, got " + std::to_string(iterations));
    }
    require_sign(sign);
    require_finite(unary, values(), labels_, "unary");
    prepare(threads);
    const bool every_q = needs_previous();
    const auto pass = [&](bool first, bool last, int times) {
        Pass p;
        p.unary = unary;
        p.sign = sign;
        p.filtered = !first;
        p.softmax = true;
        p.splat = !last;
        p.previous = q;
        p.out = last || every_q ? q : nullptr;
        p.times = times;
        return p;
    };
    std::vector<Pass> passes;
    if (iterations > 0) passes.push_back(pass(true, false, 1));
    if (iterations > 1) passes.push_back(pass(false, false, iterations - 1));
    passes.push_back(pass(iterations == 0, true, 1));
    Run(*this, passes, threads, workspace).execute();
}

void DenseCrf::step(const float* unary, float sign, const float* q_in, float* q_out, int threads,
                    Workspace& workspace) {
    require_sign(sign);
    require_finite(unary, values(), labels_, "unary");
    require_finite(q_in, values(), labels_, "Q");
    prepare(threads);
    std::vector<Pass> passes(2);
    passes[0].unary = q_in;  // as they are: no softmax
    passes[0].sign = 1;
    passes[0].splat = true;
    passes[1].unary = unary;
    passes[1].sign = sign;
    passes[1].filtered = passes[1].softmax = true;
    passes[1].previous = q_in;
    passes[1].out = q_out;
    Run(*this, passes, threads, workspace).execute();
}

double DenseCrf::kl_divergence(const float* unary, float sign, const float* q, int threads, Workspace& workspace) {
    require_sign(sign);
    require_finite(unary, values(), labels_, "unary");
    require_finite(q, values(), labels_, "Q");
    prepare(threads);
    // Logits of an update, -u + K q, for every variable and label.
    Buffer<float> logits(variables() * labels_);
    std::vector<Pass> passes(2);
    passes[0].unary = q;
    passes[0].sign = 1;
    passes[0].splat = true;
    passes[1].unary = unary;
    passes[1].sign = sign;
    passes[1].filtered = true;
    passes[1].previous = q;
    passes[1].out = logits.data();
    Run(*this, passes, threads, workspace).execute();
    double sum = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        sum += static_cast<double>(q[i]) * (std::log(std::max(q[i], 1e-20f)) - logits[i]);
    }
    return sum;
}

// The kernel that acts on each pixel alone, if it is the only one, of an image of one tile, whose rows stay where
// they are from pass to pass; or -1.
int DenseCrf::kernel_in_rows() const {
    int found = -1;
    for (std::size_t k = 0; k < kernels_.size(); ++k) {
        if (!kernels_[k]->lattice->diagonal()) continue;
        if (found >= 0 || tiles_.size() > 1 || !kernels_[k]->matrix.empty()) return -1;
        found = static_cast<int>(k);
    }
    return found;
}

bool DenseCrf::needs_previous() const {
    return kernel_in_rows() < 0 &&
           std::any_of(kernels_.begin(), kernels_.end(), [](const auto& k) { return k->lattice->diagonal(); });
}

void require_sizes(int height, int width, int labels) {
    if (height < 1 || width < 1 || labels < 1) {
        throw std::invalid_argument("size: expected at least 1 x 1 pixels and 1 label, got " +
                                    std::to_string(height) + " x " + std::to_string(width) + " and " +
                                    std::to_string(labels));
    }
    if (static_cast<std::int64_t>(height) * width > kMaxVariables) {
        throw std::invalid_argument("size: expected at most " + std::to_string(kMaxVariables) +
                                    " variables, got " + std::to_string(height) + " x " + std::to_string(width));
    }
    if (labels > kMaxLabels) {
        throw std::invalid_argument("size: expected at most " + std::to_string(kMaxLabels) + " labels, got " +
                                    std::to_string(labels));
    }
}

void require_finite(const float* values, std::size_t count, std::size_t row, const char* name) {
    // x * 0 is 0, or NaN where x is not finite; sixteen sums, so that the loop runs in vector registers.
    float sums[16] = {};
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        for (int l = 0; l < 16; ++l) sums[l] += values[i + l] * 0.0f;
    }
    float sum = 0;
    for (float s : sums) sum += s;
    for (; i < count; ++i) sum += values[i] * 0.0f;
    if (sum == 0.0f) return;
    for (i = 0; std::isfinite(values[i]);) ++i;
    throw std::invalid_argument(std::string(name) + ": expected finite numbers, got " + std::to_string(values[i]) +
                                " at variable " + std::to_string(i / row) + ", label " + std::to_string(i % row));
}

}  // namespace dense_crf
