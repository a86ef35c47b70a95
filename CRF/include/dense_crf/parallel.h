// Threads for one call: started when it begins, joined when it ends. No pool, so the library may be used from any
// thread and after a fork.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <system_error>
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

// All `team` workers meet here; reusable.
class Barrier {
  public:
    void wait(int team) {
        const int phase = phase_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == team) {
            arrived_.store(0, std::memory_order_relaxed);
            phase_.store(phase + 1, std::memory_order_release);
            return;
        }
        Backoff backoff;
        while (phase_.load(std::memory_order_acquire) == phase) backoff.wait();
    }

  private:
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

inline constexpr int kMaxThreads = 1024;  // of one call; asking for more gives this many

// Threads that run body(0), body(1)... and end with this object. Where the system has no more to give there are
// fewer than asked for: size() says how many.
class ThreadGroup {
  public:
    template <class Body>
    ThreadGroup(int count, const Body& body) {
        try {
            const int most = std::max(0, std::min(count, kMaxThreads - 1));
            threads_.reserve(static_cast<std::size_t>(most));
            for (int worker = 0; worker < most; ++worker) threads_.emplace_back(body, worker);
        } catch (const std::system_error&) {  // no more threads, or no memory for one: do with those there are
        } catch (const std::bad_alloc&) {
        }
    }
    ~ThreadGroup() { join(); }
    ThreadGroup(const ThreadGroup&) = delete;
    ThreadGroup& operator=(const ThreadGroup&) = delete;

    int size() const { return static_cast<int>(threads_.size()); }
    void join() {
        for (std::thread& thread : threads_) {
            if (thread.joinable()) thread.join();
        }
    }

  private:
    std::vector<std::thread> threads_;
};

// The first exception of any thread, to be thrown again where all have ended.
class FirstError {
  public:
    template <class Work>
    void guard(Work&& work) noexcept {
        try {
            work();
        } catch (...) {
            if (!taken_.test_and_set()) error_ = std::current_exception();
        }
    }
    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }

  private:
    std::atomic_flag taken_ = ATOMIC_FLAG_INIT;
    std::exception_ptr error_;
};

// Runs work(worker, team) for worker = 0..team-1 with a team of up to `threads`, the last of them on the calling
// thread. Work starts once the size of the team is known, so that its members may meet at a barrier; those that
// do must not throw. Other exceptions are thrown again here after all have ended.
template <class Work>
void run_team(int threads, Work&& work) {
    if (threads <= 1) {
        work(0, 1);
        return;
    }
    FirstError error;
    std::atomic<int> known_size{0};
    const auto member = [&](int worker) {
        Backoff backoff;
        int team = 0;
        while ((team = known_size.load(std::memory_order_acquire)) == 0) backoff.wait();
        error.guard([&] { work(worker, team); });
    };
    ThreadGroup others(threads - 1, member);
    known_size.store(others.size() + 1, std::memory_order_release);
    member(others.size());
    others.join();
    error.rethrow();
}

// Calls body(i, worker) for i in [0, count), each once, in no given order, on up to `threads` threads: workers 0,
// 1... below min(threads, kMaxThreads). After an exception, which is thrown again at the end, calls may be left out.
template <class Body>
void parallel_for_workers(int threads, int count, Body&& body) {
    FirstError error;
    std::atomic<int> next{0};
    const auto member = [&](int worker) {
        error.guard([&] {
            for (int i = next.fetch_add(1); i < count; i = next.fetch_add(1)) body(i, worker);
        });
    };
    ThreadGroup others(std::min(threads, count) - 1, member);
    member(others.size());
    others.join();
    error.rethrow();
}

// The same where it does not matter who calls.
template <class Body>
void parallel_for(int threads, int count, Body&& body) {
    parallel_for_workers(threads, count, [&](int i, int) { body(i); });
}

}  // namespace dense_crf
