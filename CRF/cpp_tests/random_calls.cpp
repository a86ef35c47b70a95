// Random calls on random CRFs, good and bad, in any order, for as long as is asked for:
//
//   random_calls SECONDS [SEED]
//
// Meant for a build with sanitizers. Checks that whatever is accepted gives probabilities and the same bits for
// two numbers of threads; what is refused must be refused with std::invalid_argument.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "check.h"
#include "dense_crf/dense_crf.h"
#include "dense_crf/vector_kernels.h"

using namespace dense_crf;
using check::Random;

namespace {

struct Counts {
    long crfs = 0, calls = 0, refused = 0;
};

// Magnitudes from tiny to infinite, mostly usable ones.
float odd_number(Random& random) {
    static const float kOdd[] = {0.0f, -0.0f, 1e-45f, 1e-38f, 1e-10f, 1e10f, 3e38f, -1.0f, INFINITY, -INFINITY, NAN};
    if (random.below(8) == 0) return kOdd[random.below(11)];
    return static_cast<float>(std::pow(10.0, random.uniform(-2, 3)));
}

int odd_size(Random& random, int most) {
    static const int kOdd[] = {0, -1, 1, 2, 64, 65, 1 << 30, std::numeric_limits<int>::max(), -(1 << 30)};
    return random.below(12) == 0 ? kOdd[random.below(9)] : 1 + random.below(most);
}

class Session {
  public:
    Session(Random& random, Counts& counts) : random_(random), counts_(counts) {}

    void run() {
        const int most = random_.below(12) == 0 ? 90 : 16;  // above 64 x 64 pixels there are several tiles
        const int height = odd_size(random_, most), width = odd_size(random_, most);
        const int labels = odd_size(random_, random_.below(4) == 0 ? 140 : 20);
        attempt([&] { crf_ = std::make_unique<DenseCrf>(height, width, labels); });
        if (crf_ == nullptr || static_cast<std::int64_t>(crf_->variables()) * labels > 100000) return;
        ++counts_.crfs;
        unary_ = random_.many<float>(crf_->values(), -4, 4);
        q_.assign(crf_->values(), 1.0f / static_cast<float>(labels));
        for (int calls = 1 + random_.below(6); calls > 0; --calls) call();
    }

  private:
    template <class Call>
    bool attempt(Call&& call) {
        ++counts_.calls;
        try {
            call();
            return true;
        } catch (const std::invalid_argument&) {
            ++counts_.refused;
            return false;
        }
    }

    void call() {
        switch (random_.below(7)) {
            case 0:
                return add_grid();
            case 1:
                return add_features();
            case 2:
                attempt([&] { crf_->prepare(random_.below(5) - 1); });
                return;
            case 3:
                return break_something();
            case 4:
                return step();
            default:
                return infer();
        }
    }

    Gain gain() {
        const std::size_t labels = static_cast<std::size_t>(crf_->labels());
        const int form = random_.below(3);
        std::size_t count = form == 0 ? 1 : form == 1 ? labels : labels * labels;
        if (random_.below(20) == 0) count += 1;
        Gain gain{static_cast<Gain::Form>(form), random_.many<float>(count, -3, 6)};
        if (random_.below(10) == 0) gain.values[0] = odd_number(random_);
        ordinary_ = ordinary_ && std::abs(gain.values[0]) < 1e6f;
        return gain;
    }
    Normalization normalization() { return static_cast<Normalization>(random_.below(20) == 0 ? 9 : random_.below(4)); }

    void add_grid() {
        const float sx = odd_number(random_), sy = odd_number(random_);
        if (random_.below(2) == 0) {
            attempt([&] { crf_->add_gaussian(sx, sy, gain(), normalization()); });
            return;
        }
        const auto image = random_.many<std::uint8_t>(crf_->variables() * 3, 0, random_.below(2) == 0 ? 256 : 3);
        const float colors[3] = {odd_number(random_), odd_number(random_), odd_number(random_)};
        attempt([&] { crf_->add_bilateral(sx, sy, colors, image.data(), gain(), normalization()); });
    }

    void add_features() {
        const int dims = random_.below(10) == 0 ? 60 + random_.below(8) : 1 + random_.below(9);
        const double range = std::pow(10.0, random_.uniform(-3, 7)), low = random_.below(2) == 0 ? -range : range / 2;
        auto features = random_.many<float>(static_cast<std::size_t>(dims) * crf_->variables(), low, range);
        if (random_.below(4) == 0) {  // the same points again and again
            for (std::size_t i = 1; i < features.size(); i += 2) features[i] = features[i - 1];
        }
        if (random_.below(10) == 0) features[0] = odd_number(random_);
        attempt([&] { crf_->add_features(dims, features.data(), gain(), normalization()); });
    }

    void break_something() {
        auto& values = random_.below(2) == 0 ? unary_ : q_;
        values[static_cast<std::size_t>(random_.below(static_cast<int>(values.size())))] = odd_number(random_);
        ordinary_ = false;
    }

    void infer() {
        const int iterations = random_.below(12) == 0 ? -1 : random_.below(4), threads = 1 + random_.below(3);
        std::vector<float> one(crf_->values()), other(crf_->values());
        if (!attempt([&] { crf_->infer(unary_.data(), 1, iterations, one.data(), 1, workspace_); })) return;
        Workspace fresh;
        crf_->infer(unary_.data(), 1, iterations, other.data(), threads, fresh);
        if (!ordinary_) return;
        check::that(one == other, "threads: results differ");
        check_probabilities(one);
        q_ = one;
    }

    void step() {
        if (attempt([&] { crf_->kl_divergence(unary_.data(), -1, q_.data(), 2, workspace_); })) {
            crf_->step(unary_.data(), -1, q_.data(), q_.data(), 2, workspace_);
            if (ordinary_) check_probabilities(q_);
        }
    }

    void check_probabilities(const std::vector<float>& q) const {
        const std::size_t labels = static_cast<std::size_t>(crf_->labels());
        for (std::size_t i = 0; i < q.size(); i += labels) {
            double sum = 0;
            for (std::size_t l = i; l < i + labels; ++l) {
                check::that(q[l] >= 0, "q: expected 0 or more, got " + std::to_string(q[l]));
                sum += q[l];
            }
            check::that(std::abs(sum - 1) < 1e-4, "q sums to " + std::to_string(sum));
        }
    }

    Random& random_;
    Counts& counts_;
    std::unique_ptr<DenseCrf> crf_;
    std::vector<float> unary_, q_;
    Workspace workspace_;
    bool ordinary_ = true;  // no number so extreme that float32 sums overflow
};

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 5;
    unsigned seed = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)) : 1;
    try {
        vector_kernels();
    } catch (const std::invalid_argument& error) {
        std::printf("skipped: %s\n", error.what());
        return 77;
    }
    Counts counts;
    const auto start = std::chrono::steady_clock::now();
    for (; std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds; ++seed) {
        Random random(seed);
        try {
            Session(random, counts).run();
        } catch (const std::exception& error) {
            std::printf("FAILED  seed %u: %s\n", seed, error.what());
            return 1;
        }
    }
    std::printf("%ld CRFs, %ld calls, %ld of them refused, %s, last seed %u\n", counts.crfs, counts.calls,
                counts.refused, vector_kernels().name, seed - 1);
    return 0;
}
