// Mean field inference of DenseCrf: results known in closed form, errors, and calls in any order.
#include <cstdint>

#include "check.h"
#include "dense_crf/dense_crf.h"
#include "dense_crf/refine.h"
#include "dense_crf/vector_kernels.h"

using namespace dense_crf;
using check::close;
using check::Random;
using check::refused;

namespace {

constexpr auto kSymmetric = Normalization::kSymmetric;

Gain potts(float weight) { return {Gain::Form::kScalar, {weight}}; }

std::vector<float> infer(DenseCrf& crf, const std::vector<float>& unary, int iterations, int threads = 1) {
    std::vector<float> q(crf.values());
    Workspace workspace;
    crf.infer(unary.data(), 1, iterations, q.data(), threads, workspace);
    return q;
}

std::vector<double> softmax(const std::vector<double>& logits, std::size_t labels) {
    std::vector<double> q(logits.size());
    for (std::size_t first = 0; first < logits.size(); first += labels) {
        double sum = 0;
        for (std::size_t l = first; l < first + labels; ++l) sum += q[l] = std::exp(logits[l]);
        for (std::size_t l = first; l < first + labels; ++l) q[l] /= sum;
    }
    return q;
}

// A CRF with both kernels over a noisy image, and scores.
struct Scene {
    Scene(int height, int width, int labels, unsigned seed = 1)
        : random(seed),
          image(random.many<std::uint8_t>(static_cast<std::size_t>(height) * width * 3, 0, 256)),
          unary(random.many<float>(static_cast<std::size_t>(height) * width * labels, -3, 3)),
          crf(height, width, labels) {
        const float colors[3] = {20, 20, 20};
        crf.add_bilateral(9, 9, colors, image.data(), potts(4), kSymmetric);
        crf.add_gaussian(2, 2, potts(2), kSymmetric);
    }
    Random random;
    std::vector<std::uint8_t> image;
    std::vector<float> unary;
    DenseCrf crf;
};

}  // namespace

TEST(zero_updates_give_the_softmax) {
    for (int labels : {1, 2, 7, 8, 9, 16, 17, 24, 25, 33, 100}) {
        Scene scene(5, 7, labels);
        close(infer(scene.crf, scene.unary, 0),
              softmax({scene.unary.begin(), scene.unary.end()}, static_cast<std::size_t>(labels)), 1e-6);
    }
}

// Symmetric normalisation gives a lone pixel its own q back.
TEST(one_pixel_hears_itself) {
    DenseCrf crf(1, 1, 3);
    crf.add_gaussian(3, 3, potts(2.5f), kSymmetric);
    const std::vector<float> unary = {0.3f, 0.1f, -0.2f};
    std::vector<double> q = softmax({0.3, 0.1, -0.2}, 3);
    for (int i = 0; i < 4; ++i) q = softmax({0.3 + 2.5 * q[0], 0.1 + 2.5 * q[1], -0.2 + 2.5 * q[2]}, 3);
    close(infer(crf, unary, 4), q, 1e-5);
}

// A kernel far wider than the image makes the message of every pixel the mean of q.
TEST(a_kernel_without_end_gives_the_mean) {
    constexpr std::size_t kPixels = 6 * 8, kLabels = 4;
    Random random(3);
    const auto unary = random.many<float>(kPixels * kLabels, -2, 2);
    DenseCrf crf(6, 8, kLabels);
    crf.add_gaussian(1e6f, 1e6f, potts(3), kSymmetric);
    std::vector<double> q = softmax({unary.begin(), unary.end()}, kLabels);
    for (int i = 0; i < 5; ++i) {
        std::vector<double> logits(unary.begin(), unary.end()), mean(kLabels);
        for (std::size_t j = 0; j < q.size(); ++j) mean[j % kLabels] += q[j] / kPixels;
        for (std::size_t j = 0; j < q.size(); ++j) logits[j] += 3 * mean[j % kLabels];
        q = softmax(logits, kLabels);
    }
    close(infer(crf, unary, 5), q, 1e-4);
}

TEST(a_matrix_that_says_potts_equals_potts) {
    Random random(4);
    const auto unary = random.many<float>(9 * 11 * 3, -2, 2);
    std::vector<std::vector<float>> results;
    for (const Gain& gain : {potts(4), Gain{Gain::Form::kDiagonal, {4, 4, 4}},
                             Gain{Gain::Form::kMatrix, {4, 0, 0, 0, 4, 0, 0, 0, 4}}}) {
        DenseCrf crf(9, 11, 3);
        crf.add_gaussian(3, 2, gain, Normalization::kAfter);
        results.push_back(infer(crf, unary, 3));
    }
    for (const auto& result : results) close(result, {results[0].begin(), results[0].end()}, 1e-6);
}

TEST(runs_do_without_prepare) {
    for (const auto& [side, labels] : {std::pair{2, 2}, std::pair{12, 21}, std::pair{66, 2}}) {  // 66: several tiles
        Scene prepared(side, side, labels), fresh(side, side, labels), stepped(side, side, labels),
            measured(side, side, labels);
        prepared.crf.prepare(2);
        check::that(infer(fresh.crf, fresh.unary, 1) == infer(prepared.crf, prepared.unary, 1), "infer differs");
        Workspace workspace;
        std::vector<float> q = infer(prepared.crf, prepared.unary, 0), again = q;
        prepared.crf.step(prepared.unary.data(), 1, q.data(), q.data(), 1, workspace);
        stepped.crf.step(stepped.unary.data(), 1, again.data(), again.data(), 1, workspace);
        check::that(q == again, "step differs");
        check::that(prepared.crf.kl_divergence(prepared.unary.data(), 1, q.data(), 1, workspace) ==
                        measured.crf.kl_divergence(measured.unary.data(), 1, q.data(), 1, workspace),
                    "kl_divergence differs");
    }
}

TEST(steps_equal_inference) {
    for (int side : {7, 66}) {
        Scene scene(side, side, 3);
        std::vector<float> q = infer(scene.crf, scene.unary, 0);
        Workspace workspace;
        for (int i = 0; i < 3; ++i) scene.crf.step(scene.unary.data(), 1, q.data(), q.data(), 2, workspace);
        close(infer(scene.crf, scene.unary, 3), {q.begin(), q.end()}, 1e-5);
    }
}

TEST(divergence_without_kernels_is_the_sum_it_says) {
    DenseCrf crf(3, 4, 2);
    Random random(5);
    const auto energies = random.many<float>(24, -1, 4);
    std::vector<float> q(24);
    double expected = 0;
    for (std::size_t i = 0; i < 24; ++i) {
        q[i] = i % 2 == 0 ? static_cast<float>(random.uniform(0.1, 0.9)) : 1 - q[i - 1];
        expected += q[i] * (std::log(static_cast<double>(q[i])) + energies[i]);
    }
    Workspace workspace;
    check::that(std::abs(crf.kl_divergence(energies.data(), -1, q.data(), 1, workspace) - expected) < 1e-4, "differs");
}

TEST(any_number_of_threads_gives_the_same_bits) {
    Scene scene(110, 60, 3);
    const auto one = infer(scene.crf, scene.unary, 2);
    for (int threads : {-3, 2, 100000}) {
        Scene again(110, 60, 3);
        check::that(infer(again.crf, again.unary, 2, threads) == one, std::to_string(threads) + " threads differ");
    }
}

TEST(a_kernel_added_later_counts) {
    Scene scene(30, 20, 3);
    const auto before = infer(scene.crf, scene.unary, 2);
    const auto features = scene.random.many<float>(20 * 600, 0, 1);
    scene.crf.add_features(20, features.data(), potts(3), kSymmetric);  // 20 dimensions: smaller tiles
    const auto after = infer(scene.crf, scene.unary, 2);
    check::that(before != after, "the third kernel had no effect");
}

TEST(what_is_wrong_is_refused_by_name) {
    refused("size", [] { DenseCrf(0, 1, 1); });
    refused("size", [] { DenseCrf(1, 1, 0); });
    refused("size", [] { DenseCrf(1 << 20, 1 << 20, 2); });
    refused("size", [] { DenseCrf(1, 1, 1 << 20); });
    Scene scene(4, 5, 2);
    const auto nan = std::nanf("");
    const float colors[3] = {1, 0, 1};
    refused("sxy", [&] { scene.crf.add_gaussian(-1, 1, potts(1), kSymmetric); });
    refused("sxy", [&] { scene.crf.add_gaussian(1, nan, potts(1), kSymmetric); });
    refused("srgb", [&] { scene.crf.add_bilateral(1, 1, colors, scene.image.data(), potts(1), kSymmetric); });
    refused("compat", [&] { scene.crf.add_gaussian(1, 1, potts(nan), kSymmetric); });
    refused("compat", [&] { scene.crf.add_gaussian(1, 1, {Gain::Form::kMatrix, {1, 2}}, kSymmetric); });
    refused("normalization", [&] { scene.crf.add_gaussian(1, 1, potts(1), static_cast<Normalization>(4)); });
    const std::vector<float> broken(65 * 20, nan);
    refused("features", [&] { scene.crf.add_features(1, broken.data(), potts(1), kSymmetric); });
    refused("features", [&] { scene.crf.add_features(65, broken.data(), potts(1), kSymmetric); });
    refused("features", [&] { scene.crf.add_features(0, broken.data(), potts(1), kSymmetric); });
    std::vector<float> q = infer(scene.crf, scene.unary, 0);
    Workspace workspace;
    refused("unary", [&] { scene.crf.infer(broken.data(), 1, 1, q.data(), 1, workspace); });
    refused("iterations", [&] { scene.crf.infer(scene.unary.data(), 1, -1, q.data(), 1, workspace); });
    refused("sign", [&] { scene.crf.infer(scene.unary.data(), 0, 1, q.data(), 1, workspace); });
    refused("unary", [&] { scene.crf.step(broken.data(), 1, q.data(), q.data(), 1, workspace); });
    refused("Q", [&] { scene.crf.step(scene.unary.data(), 1, broken.data(), q.data(), 1, workspace); });
    refused("Q", [&] { scene.crf.kl_divergence(scene.unary.data(), 1, broken.data(), 1, workspace); });
    Scene untouched(4, 5, 2);
    check::that(infer(scene.crf, scene.unary, 2) == infer(untouched.crf, untouched.unary, 2),
                "the object differs after errors");
}

TEST(features_out_of_reach_are_refused_at_every_run) {
    DenseCrf crf(4, 5, 2);
    std::vector<float> far(20, 1e7f), unary(40), q(40);
    crf.add_features(1, far.data(), potts(1), kSymmetric);
    Workspace workspace;
    for (int i = 0; i < 2; ++i) {
        refused("features", [&] { crf.infer(unary.data(), 1, 1, q.data(), 1, workspace); });
        refused("features", [&] { crf.prepare(2); });
    }
}

// Where float32 has few digits left the lattice is coarse, but each pixel still has all its corners.
TEST(features_within_reach_give_probabilities) {
    Random random(6);
    for (int dims : {1, 2, 3, 5, 12, 30, 64}) {
        for (double range : {1e3, 3e4, 3e5, 1.5e6}) {
            const auto features = random.many<float>(static_cast<std::size_t>(dims) * 24, -range, range);
            const auto unary = random.many<float>(48, -1, 1);
            DenseCrf crf(6, 4, 2);
            crf.add_features(dims, features.data(), potts(2), kSymmetric);
            std::vector<float> q;
            try {
                q = infer(crf, unary, 2);
            } catch (const std::invalid_argument&) {
                check::that(range > 1e4, "refused within 1000 standard deviations");
                continue;
            }
            for (std::size_t i = 0; i < q.size(); i += 2) {
                check::that(q[i] >= 0 && std::abs(q[i] + q[i + 1] - 1) < 1e-5, "no probability");
            }
        }
    }
}

TEST(a_batch_equals_its_images) {
    Random random(7);
    constexpr int kCount = 5, kSide = 9, kLabels = 3;
    constexpr std::size_t kPixels = kSide * kSide;
    const auto images = random.many<std::uint8_t>(kCount * kPixels * 3, 0, 256);
    const auto unaries = random.many<float>(kCount * kPixels * kLabels, -2, 2);
    std::vector<float> all(unaries.size()), single(unaries.size());
    RefineParams params;
    params.iterations = 3;
    refine_batch(params, kCount, kSide, kSide, kLabels, images.data(), unaries.data(), all.data(), 3);
    for (std::size_t n = 0; n < kCount; ++n) {
        refine_batch(params, 1, kSide, kSide, kLabels, images.data() + n * kPixels * 3,
                     unaries.data() + n * kPixels * kLabels, single.data() + n * kPixels * kLabels, 1);
    }
    check::that(all == single, "differs");
    refine_batch(params, 0, kSide, kSide, kLabels, nullptr, nullptr, nullptr, 2);
    refused("size", [&] { refine_batch(params, 0, kSide, 0, kLabels, nullptr, nullptr, nullptr, 2); });
    refused("images", [&] { refine_batch(params, -1, kSide, kSide, kLabels, nullptr, nullptr, nullptr, 2); });
}

int main() {
    try {
        vector_kernels();
    } catch (const std::invalid_argument& error) {
        std::printf("skipped: %s\n", error.what());
        return 77;
    }
    return check::run_all();
}
