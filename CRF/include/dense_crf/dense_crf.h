// Mean field inference in a fully connected CRF with Gaussian edge potentials (Kraehenbuehl and Koltun, NIPS
// 2011).
//
//   E(x) = sum_i u_i(x_i) + sum_{i<j} sum_m mu_m(x_i, x_j) k_m(f_i, f_j)
//   Q_i(l) <- softmax over l of ( -u_i(l) + sum_m sum_k gain_m(l, k) (K_m Q)_i(k) ),   gain = -mu
//
// Units: a feature is a position (pixels) or a colour (0..255) divided by its standard deviation, see features.h.
// Energies are natural logarithms.
//
// Memory layout: images (height, width, 3) bytes; unaries and q (height, width, labels) float32; both row-major.
// The caller owns what it passes in and out; q may not overlap unary. Images, features and gains are copied.
//
// Thread safety: after prepare(), and until another kernel is added, runs may go on in any number of threads at
// once; each needs its own Workspace. Adding kernels, and what builds lattices, is not thread safe.
//
// Errors: functions check what they are given, in any order of calls, and throw std::invalid_argument with the
// argument's name. After any exception an object is as usable as before. Threads that the system refuses to start
// are done without.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "dense_crf/buffer.h"
#include "dense_crf/features.h"
#include "dense_crf/lattice.h"

namespace dense_crf {

// How a kernel couples labels: what is added to the logit of label l for each unit of filtered q at label k.
struct Gain {
    enum class Form { kScalar, kDiagonal, kMatrix };
    Form form = Form::kScalar;
    std::vector<float> values;  // 1, labels, or labels * labels (row k: from label k)
};

// Memory that a run needs beside its input and output. Keep one per thread to run without allocating.
struct Workspace {
    struct Worker {
        Buffer<float> rows, message;  // logits of pixels
        // Of each kernel: vertex values of the tile under way, before and after; and which of its vertices are its
        // own or borrowed, as numbers within the tile and of the whole.
        std::vector<Buffer<float>> before, after;
        std::vector<Buffer<std::int32_t>> own, own_vertex, borrowed, borrowed_vertex;
        std::vector<int> borrowed_count;
    };
    std::vector<Buffer<float>> values;  // vertex values, two a kernel
    std::vector<Worker> workers;
};

inline constexpr int kMaxVariables = 1 << 30, kMaxLabels = 1 << 16;

class DenseCrf {
  public:
    // Variables of an image: 1 to kMaxVariables of them, 1 to kMaxLabels labels.
    DenseCrf(int height, int width, int labels);
    ~DenseCrf();

    int height() const { return height_; }
    int width() const { return width_; }
    int labels() const { return labels_; }
    std::size_t values() const { return variables() * static_cast<std::size_t>(labels_); }
    std::size_t variables() const { return static_cast<std::size_t>(height_) * width_; }

    // exp(-(dx^2 / sx^2 + dy^2 / sy^2) / 2)
    void add_gaussian(float sx, float sy, Gain gain, Normalization normalization);
    // the same times exp(-sum_c (dc / color_scales[c])^2 / 2)
    void add_bilateral(float sx, float sy, const float color_scales[3], const std::uint8_t* image, Gain gain,
                       Normalization normalization);
    // exp(-|f_i - f_j|^2 / 2), features (dims, variables)
    void add_features(int dims, const float* features, Gain gain, Normalization normalization);

    // Builds the lattices that are not built yet. Runs do it where it was not done; call it to pay in advance.
    void prepare(int threads);

    // The three runs below take -sign * unary as energies: sign = -1 for energies, 1 for log-probabilities.
    // Both unary and q must be finite. Results are the same for any number of threads, and for less than one, which
    // is one.

    // q = mean field after `iterations` updates; 0 gives softmax(sign * unary).
    void infer(const float* unary, float sign, int iterations, float* q, int threads, Workspace& workspace);
    // q_out = one update of q_in; they may be the same array.
    void step(const float* unary, float sign, const float* q_in, float* q_out, int threads, Workspace& workspace);
    // KL(Q || P) up to the constant log Z: sum q log q + sum q u - sum q (K q).
    double kl_divergence(const float* unary, float sign, const float* q, int threads, Workspace& workspace);

  private:
    struct Kernel;
    struct Pass;
    class Run;

    void add(std::unique_ptr<FeatureSource> features, Gain gain, Normalization normalization);
    int kernel_in_rows() const;
    bool needs_previous() const;

    int height_, width_, labels_;
    int tile_side_ = 0;
    std::vector<Tile> tiles_;
    std::vector<std::unique_ptr<Kernel>> kernels_;
};

// What a DenseCrf takes; throws std::invalid_argument.
void require_sizes(int height, int width, int labels);

// Rejects NaN and infinity: throws std::invalid_argument that starts with `name`.
void require_finite(const float* values, std::size_t count, std::size_t row, const char* name);

}  // namespace dense_crf
