// The passes of one mean field run over the tiles of an image.
//
// An update is one pass over the pixels: slice the filtered values of the last pass, add the unary, softmax, splat
// the result for the next pass. Between passes the vertex values are blurred. q is written in the last pass only
// (and in every pass where a kernel acts on each pixel alone).
//
// Threads take tiles in order. A tile first fetches the values of its vertices into a dense block, which stays in
// the core's L2 cache; its pixels are sliced from there and splat to a second block, whose rows then go back:
// those of vertices that no earlier tile touches at once, the others are added behind a turnstile, in tile order.
// So each sum has one order of terms for any number of threads. An image of one tile slices from and splats to the
// same rows. The blur has one task a kernel and plane, which limits how many threads it uses: four at 21 labels
// with AVX-512.
//
// What bounds an update, for N pixels, L labels, M vertices, T vertices counted once a tile, both kernels (9
// corners a pixel):
//   streams      N (4 L + 54) bytes of unary, corners and weights from memory
//   rows         2 * 9 N rows of 4 L bytes from and to L1 and L2, as many multiply-adds of L lanes
//   blocks       2 T rows from and to L3
//   blur         about (2 * 6 M5 + 2 * 3 M2) rows of 4 L bytes from and to L2 and L3
//   softmax      N L exponentials
// CRF/README.md has the figures.
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

    void set_lattice(std::unique_ptr<Lattice> built, const RowShape& shape);

  private:
    void spread_gain(float alpha, const RowShape& shape);
};

// One pass: logits = sign * unary (+ filtered previous q); [softmax]; [-> out]; [splat].
struct DenseCrf::Pass {
    const float* unary = nullptr;
    float sign = 1;
    bool filtered = false, softmax = false, splat = false;
    const float* previous = nullptr;  // q before this pass, for kernels that act on each pixel alone
    float* out = nullptr;
    int times = 1;  // in a row
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
    void work(int worker, int team);
    void run_pass(const Pass& pass, int worker, int team);
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
    std::vector<std::vector<BlurStream>> streams_;  // of each kernel: one a direction
    Barrier barrier_;
    Turnstile turnstile_;
    std::atomic<int> next_blur_{0};
};

}  // namespace dense_crf
