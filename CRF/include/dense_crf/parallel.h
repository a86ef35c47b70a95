// Threads for one call: started when it begins, joined when it ends. No pool, so the library may be used from any
// thread and after a fork.
#pragma once

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace dense_crf {

// Waits politely: a few hundred pauses while the other side is likely running, then gives the core away, which
// matters where more threads run than there are cores.
class Backoff {
  public:
    void wait() {
        if (++spins_ < 256) {
#if defined(__x86_64__) || defined(__i386__)
            _mm_pause();
#endif
        } else {
            std::this_thread::yield();
        }
    }

  private:
    int spins_ = 0;
};

// All `threads` workers meet here; reusable.
class Barrier {
  public:
    explicit Barrier(int threads) : threads_(threads) {}

    void wait() {
        const int phase = phase_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
            arrived_.store(0, std::memory_order_relaxed);
            phase_.store(phase + 1, std::memory_order_release);
            return;
        }
        Backoff backoff;
        while (phase_.load(std::memory_order_acquire) == phase) backoff.wait();
    }

  private:
    const int threads_;
    std::atomic<int> arrived_{0};
    std::atomic<int> phase_{0};
};

// Hands out 0, 1, 2, ... and lets their holders through in that order. Sums formed behind it have one order of
// terms whatever the number of threads: that is what makes results independent of it.
class Turnstile {
  public:
    int take() { return next_.fetch_add(1, std::memory_order_relaxed); }
    void wait_for(int ticket) {
        Backoff backoff;
        while (turn_.load(std::memory_order_acquire) != ticket) backoff.wait();
    }
    void leave(int ticket) { turn_.store(ticket + 1, std::memory_order_release); }
    void reset() {
        next_.store(0, std::memory_order_relaxed);
        turn_.store(0, std::memory_order_relaxed);
    }

  private:
    std::atomic<int> next_{0};
    alignas(64) std::atomic<int> turn_{0};
};

// Runs work(worker) for worker = 0..threads-1, the last of them on the calling thread. An exception of any
// worker is thrown again here after all have ended; workers that meet at a barrier must not throw.
template <class Work>
void run_team(int threads, Work&& work) {
    if (threads <= 1) {
        work(0);
        return;
    }
    std::vector<std::exception_ptr> errors(threads);
    auto guarded = [&](int worker) noexcept {
        try {
            work(worker);
        } catch (...) {
            errors[worker] = std::current_exception();
        }
    };
    std::vector<std::thread> team;
    team.reserve(threads - 1);
    for (int worker = 0; worker + 1 < threads; ++worker) team.emplace_back(guarded, worker);
    guarded(threads - 1);
    for (std::thread& thread : team) thread.join();
    for (const std::exception_ptr& error : errors) {
        if (error) std::rethrow_exception(error);
    }
}

// Calls body(i) for i in [0, count), each once, in no given order.
template <class Body>
void parallel_for(int threads, int count, Body&& body) {
    std::atomic<int> next{0};
    run_team(threads < count ? threads : count, [&](int) {
        for (int i = next.fetch_add(1); i < count; i = next.fetch_add(1)) body(i);
    });
}

}  // namespace dense_crf
