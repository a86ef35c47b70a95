// The passes of one mean field run over the tiles of an image.
//
// An update is one pass over the pixels: slice the filtered values of the last pass, add the unary, softmax, splat
// the result for the next pass; q itself is never written before the last pass. Between passes the vertex values
// are blurred. Per pixel an update reads labels * 4 bytes of unary and (d + 1) * 6 bytes of corners and weights a
// kernel as streams, all else stays in L2: 24 MB at 375 x 500 x 21, 71 MB at 375 x 500 x 81.
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
    std::unique_ptr<Lattice> lattice;
    int padded = 0;
    Buffer<float> lane_gain;  // padded: factor per label; 1 where a matrix follows
    Buffer<float> matrix;     // (labels, padded), empty unless labels are mixed

    void set_gain(const Gain& gain, int labels);
    // A kernel that only scales each pixel's own q, with labels kept apart.
    bool acts_alone() const { return lattice->diagonal() && matrix.empty(); }
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
    static constexpr int kRowPixels = 64;  // pixels whose logits are held at a time; they stay in L1

    void allocate();
    void work(int worker);
    void tile_pass(const Pass& pass, int tile, Workspace::Worker& worker);
    void pixel_row(const Pass& pass, const Tile& tile, int row, Workspace::Worker& worker);
    void leave_sums(int tile, Workspace::Worker& worker);
    void blur(int task);
    void mix_alone(const Kernel& kernel, const float* q, const float* self, int pixels, Workspace::Worker& worker);
    GlobalRows rows(int kernel, Buffer<float>& values) const;

    const DenseCrf& crf_;
    const std::vector<Pass>& passes_;
    Workspace& workspace_;
    const VectorKernels& vector_;
    int padded_, threads_;
    struct BlurTask {
        int kernel, group;
    };
    std::vector<int> groups_;  // of each kernel
    std::vector<BlurTask> blur_tasks_;
    Barrier barrier_;
    Turnstile turnstile_;
    std::atomic<int> next_blur_{0};
};

}  // namespace dense_crf
