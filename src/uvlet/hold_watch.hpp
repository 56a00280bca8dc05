#pragma once

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/list.hpp>
#include <uvlet/root.hpp>

#include <atomic>
#include <cstdint>
#include <pthread.h>

namespace uvlet::inline UVLET_ABI {

// What the OS thread that looks for long runs knows of one hub: since when somebody runs. A hub
// makes it on its own thread.
class HoldWatch : public Link {
 public:
  HoldWatch();
  ~HoldWatch();

  // Whether anybody looks.
  static bool on() noexcept { return enabled.load(std::memory_order_relaxed); }

  // The loop lets one run, and runs again itself.
  void resume(const Root& next) noexcept {
    if (on()) [[unlikely]]
      begin(next);
  }
  void pause() noexcept {
    if (since_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      since_.store(0, std::memory_order_relaxed);
  }
  UVLET_COLD void begin(const Root& running) noexcept;

  Time since() const noexcept { return since_.load(std::memory_order_relaxed); }
  std::uint64_t holder() const noexcept { return holder_.load(std::memory_order_relaxed); }

  // Around fork(): a child gets no list that a thread it does not have was changing.
  static void before_fork();
  static void after_fork() noexcept;
  static void after_fork_in_child() noexcept;

  const pthread_t thread;
  Time reported = 0;  // since() of the run that was reported last; the watcher's

 private:
  friend void detect_blocking(bool on, Duration resolution);
  static std::atomic<bool> enabled;

  std::atomic<Time> since_{0};  // CLOCK_MONOTONIC; 0: the loop runs, or nobody looks
  std::atomic<std::uint64_t> holder_{0};
};

}  // namespace uvlet::inline UVLET_ABI
