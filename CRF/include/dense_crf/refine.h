// Refinement of class scores against their images: the CRF of DSRG and SEC, for one image or a batch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dense_crf {

// Potts models of both kernels; widths in pixels and in colour levels.
struct RefineParams {
    int iterations = 10;
    float bilateral_weight = 10, bilateral_xy = 80, bilateral_color[3] = {13, 13, 13};
    float gaussian_weight = 3, gaussian_xy = 3;
};

// q[n] = mean field of image n with energies -unaries[n].
//   images   (count, height, width, 3) bytes
//   unaries  (count, height, width, labels), q the same; all row-major, owned by the caller, not overlapping
// Threads go to different images first; where there are more threads than images, several share one image. The
// result is the same for any number. Throws std::invalid_argument on sizes or widths that are not positive and on
// unaries that are not finite.
void refine_batch(const RefineParams& params, int count, int height, int width, int labels,
                  const std::uint8_t* images, const float* unaries, float* q, int threads);

}  // namespace dense_crf
