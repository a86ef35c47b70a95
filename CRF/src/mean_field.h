// The passes of one mean field run over the tiles of an image.
//
// An update is one pass over the pixels: slice the filtered values of the last pass, add the unary, softmax, splat
// the result for the next pass. Between passes the vertex values are blurred. q is written in the last pass only
// (and in every pass where a kernel acts on each pixel alone).
//
// Threads take tiles in order. A tile owns the vertices that no earlier tile touches and splats into their rows at
// once; for the others it sums in scratch rows, which are added behind a turnstile, in tile order. So each sum has
// one order of terms for any number of threads. With a single tile the same rows serve reading and writing. The
// blur has one task a kernel and plane, which limits how many threads it uses: four at 21 labels with AVX-512.
//
// What bounds an update, for N pixels, L labels, M vertices and both kernels (9 corners a pixel):
//   streams      N (4 L + 54) bytes of unary, corners and weights from memory
//   rows         2 * 9 N rows of 4 L bytes from L1 and L2, as many multiply-adds of L lanes
//   blur         about (2 * 6 M5 + 2 * 3 M2) rows of 4 L bytes from L2 and L3
//   softmax      N L exponentials
// At 375 x 500 x 21 with M5 = 75,000 and M2 = 25,000 (a noisy image): 26 MB, 320 MB, 92 MB and 4 million. At 20
// GB/s from memory, 64 bytes a cycle from L2 and 4 GHz that is 1.3 + 1.3 + 0.5 + 0.7 ms. Measured on one core of a
// busy machine: 15 ms, of which slice and splat take 6.5, blur 2.7, reading the unary 2 and softmax 1.8, so a
// factor of four is lost to scattered rows that miss L1. A constant image (rows stay in L1) takes 9 ms. At 375 x
// 500 x 81: 71 MB, 1.1 GB, 330 MB, 15 million; bound 12 ms, measured 43. At 41 x 41 x 21 everything is in L2, and
// building the lattice takes 0.6 of 1.7 ms. (Another machine, idle Intel Xeon: 0.9 of 2.4 ms, blur a quarter of
// the whole, looking up neighbours a fifth; 375 x 500 x 21 16 ms an update, x 81 61 ms.)
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "dense_crf/dense_crf.h"
#include "dense_crf/parallel.h"
#include "dense_crf/vector_kernels.h"

namespace dense_crf {

struct DenseCrf::Kernel {
    std::unique_ptr<FeatureSource> features;
    Normalization normalization = Normalization::kSymmetric;
    Gain gain;
    std::unique_ptr<Lattice> lattice;
    Buffer<float> lane_gain;  // factor of each label (1 where a matrix follows), alpha included; 0 in the padding
    Buffer<float> matrix;     // (labels, stride), empty unless labels are mixed

    void spread_gain(const RowShape& shape);
};

// One pass: logits = sign * unary (+ filtered previous q); [softmax]; [-> out]; [splat].
struct DenseCrf::Pass {
    const float* unary = nullptr;
    float sign = 1;
    bool filtered = false, softmax = false, splat = false;
    const float* previous = nullptr;  // q before this pass, for kernels that act on each pixel alone
    float* out = nullptr;
};

class DenseCrf::Run {
  public:
    Run(const DenseCrf& crf, const std::vector<Pass>& passes, int threads, Workspace& workspace);
    void execute();

  private:
    struct Planes {
        std::vector<float*> read, write;  // one pointer a plane
    };
    struct BlurTask {
        int kernel, plane, count;
    };

    void allocate();
    std::vector<float*> lay_planes(Buffer<float>& values, int vertices) const;
    void work(int worker);
    void tile_pass(const Pass& pass, int tile, int worker);
    void splat_only_tile(const float* q);
    void clear_unseen(std::size_t kernel);
    void open_rows(const Pass& pass, int tile, int worker);
    void keep_own_rows(int tile, int worker);
    void add_borrowed_rows(int tile, int worker);
    void filter_row(const Pass& pass, const Tile& tile, int row, float* logits, int worker);
    void splat_row(const Tile& tile, int row, const float* q, int worker);
    void blur(int task);
    int planes_together(int vertices) const;

    const DenseCrf& crf_;
    const std::vector<Pass>& passes_;
    Workspace& workspace_;
    const VectorKernels& vector_;
    const RowShape shape_;
    const int threads_;
    const bool one_tile_;
    std::vector<Planes> planes_;                // of each kernel
    std::vector<std::vector<Planes>> workers_;  // of each worker and kernel: those of its tile
    std::vector<BlurTask> blur_tasks_;
    Barrier barrier_;
    Turnstile turnstile_;
    std::atomic<int> next_blur_{0};
};

}  // namespace dense_crf
