#include "dense_crf/refine.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "dense_crf/dense_crf.h"
#include "dense_crf/parallel.h"

namespace dense_crf {

void refine_batch(const RefineParams& params, int count, int height, int width, int labels,
                  const std::uint8_t* images, const float* unaries, float* q, int threads) {
    if (count < 0)
        throw std::invalid_argument("images: expected a batch of 0 or more, got " + std::to_string(count));
    require_sizes(height, width, labels);
    const std::size_t pixels = static_cast<std::size_t>(height) * width, values = pixels * labels;
    const int teams = std::max(1, std::min({threads, count, kMaxThreads}));
    const int threads_each = std::max(1, threads / teams);
    std::vector<Workspace> workspaces(static_cast<std::size_t>(teams));
    parallel_for_workers(teams, count, [&](int n, int worker) {
        DenseCrf crf(height, width, labels);
        crf.add_bilateral(params.bilateral_xy, params.bilateral_xy, params.bilateral_color, images + n * pixels * 3,
                          {Gain::Form::kScalar, {params.bilateral_weight}}, Normalization::kSymmetric);
        crf.add_gaussian(params.gaussian_xy, params.gaussian_xy, {Gain::Form::kScalar, {params.gaussian_weight}},
                         Normalization::kSymmetric);
        crf.infer(unaries + n * values, 1.0f, params.iterations, q + n * values, threads_each, workspaces[worker]);
    });
}

}  // namespace dense_crf
