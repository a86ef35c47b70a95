// Threads of one call, where the system refuses to start them: pthread_create is replaced here by one that fails
// from the n-th call on.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <limits>

#include "check.h"
#include "dense_crf/dense_crf.h"
#include "dense_crf/parallel.h"

using namespace dense_crf;

namespace {

std::atomic<int> threads_left{std::numeric_limits<int>::max()};

struct Limit {
    explicit Limit(int threads) { threads_left = threads; }
    ~Limit() { threads_left = std::numeric_limits<int>::max(); }
};

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                              void* argument) noexcept {
    using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    static const Create real = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
    return threads_left.fetch_sub(1) <= 0 ? EAGAIN : real(thread, attributes, start, argument);
}

TEST(a_team_is_as_large_as_the_system_allows) {
    for (int allowed : {0, 1, 3, 7, 100}) {
        const Limit limit(allowed);
        std::atomic<int> members{0}, at_barrier{0};
        Barrier barrier;
        run_team(8, [&](int, int team) {
            check::that(team == std::min(allowed, 7) + 1, "size of the team");
            ++members;
            barrier.wait(team);
            if (members == team) ++at_barrier;
            barrier.wait(team);
        });
        check::that(members == std::min(allowed, 7) + 1 && at_barrier == members, "members");
    }
}

TEST(every_index_is_visited_once) {
    for (int allowed : {0, 2, 100}) {
        for (int count : {0, 1, 5, 1000}) {
            const Limit limit(allowed);
            std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
            parallel_for_workers(6, count, [&](int i, int worker) {
                check::that(worker >= 0 && worker < 6, "worker");
                ++visits[static_cast<std::size_t>(i)];
            });
            for (const auto& n : visits) check::that(n == 1, "visits");
        }
    }
}

TEST(an_exception_reaches_the_caller) {
    for (int allowed : {0, 3}) {
        const Limit limit(allowed);
        check::refused("seven", [] {
            parallel_for(4, 100, [](int i) {
                if (i == 7) throw std::invalid_argument("seven");
            });
        });
        check::refused("member", [] { run_team(4, [](int, int) { throw std::invalid_argument("member"); }); });
    }
}

TEST(inference_does_with_fewer_threads) {
    check::Random random(8);
    const auto image = random.many<std::uint8_t>(110 * 60 * 3, 0, 256);
    const auto unary = random.many<float>(110 * 60 * 2, -2, 2);
    std::vector<std::vector<float>> results;
    for (int allowed : {100, 0, 1, 2, 3, 4, 6, 9}) {
        const Limit limit(allowed);
        DenseCrf crf(110, 60, 2);
        const float colors[3] = {15, 15, 15};
        crf.add_bilateral(20, 20, colors, image.data(), {Gain::Form::kScalar, {5}}, Normalization::kSymmetric);
        crf.add_gaussian(3, 3, {Gain::Form::kScalar, {3}}, Normalization::kSymmetric);
        std::vector<float> q(unary.size());
        Workspace workspace;
        crf.infer(unary.data(), 1, 2, q.data(), 4, workspace);
        results.push_back(std::move(q));
    }
    for (const auto& result : results) check::that(result == results[0], "differs");
}

int main() { return check::run_all(); }
