// The little that the tests of the core need: cases by name, checks that say what differed, and an exit status.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace check {

struct Failed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline std::vector<std::pair<const char*, std::function<void()>>>& cases() {
    static std::vector<std::pair<const char*, std::function<void()>>> all;
    return all;
}
struct Register {
    Register(const char* name, std::function<void()> body) { cases().emplace_back(name, std::move(body)); }
};

inline void that(bool condition, const std::string& what) {
    if (!condition) throw Failed(what);
}

inline void close(const std::vector<float>& got, const std::vector<double>& expected, double bound) {
    that(got.size() == expected.size(), "sizes differ");
    for (std::size_t i = 0; i < got.size(); ++i) {
        that(std::abs(got[i] - expected[i]) <= bound,  // false for NaN
             "element " + std::to_string(i) + ": got " + std::to_string(got[i]) + ", expected " +
                 std::to_string(expected[i]));
    }
}

// Runs `call`, which must throw std::invalid_argument with a message that starts with `name`.
template <class Call>
void refused(const std::string& name, Call&& call) {
    try {
        call();
    } catch (const std::invalid_argument& error) {
        that(std::string(error.what()).rfind(name, 0) == 0, "refused, but with: " + std::string(error.what()));
        return;
    }
    throw Failed(name + ": was not refused");
}

inline int run_all() {
    int failures = 0;
    for (const auto& [name, body] : cases()) {
        try {
            const auto start = std::chrono::steady_clock::now();
            body();
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
            std::printf("ok      %-60s %6.2f s\n", name, taken.count());
        } catch (const std::exception& error) {
            std::printf("FAILED  %s: %s\n", name, error.what());
            ++failures;
        }
    }
    std::printf("%zu cases, %d failed\n", cases().size(), failures);
    return failures == 0 ? 0 : 1;
}

// Numbers within [low, high), the same on every platform: <random> fixes its engines but not its distributions.
class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    double uniform(double low, double high) { return low + (high - low) * (engine_() / 4294967296.0); }
    int below(int end) { return static_cast<int>(uniform(0, end)); }
    template <class T>
    std::vector<T> many(std::size_t count, double low, double high) {
        std::vector<T> values(count);
        for (T& value : values) value = static_cast<T>(uniform(low, high));
        return values;
    }

  private:
    std::mt19937 engine_;
};

}  // namespace check

#define TEST(name)                                              \
    static void name();                                         \
    static const check::Register register_##name{#name, &name}; \
    static void name()
