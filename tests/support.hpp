#pragma once

#include <green/awaitlet.hpp>
#include <green/greenthread.hpp>
#include <green/timeout.hpp>

#include <doctest/doctest.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace test {

// Seconds after which something that should have happened long ago counts as hung: a watchdog.
inline constexpr double watchdog = 20;

// How many green threads a test may have alive at a time: ThreadSanitizer dies of 8,128.
#if defined(UVLET_TSAN)
inline constexpr int green_threads_max = 4'000;
#else
inline constexpr int green_threads_max = 100'000;
#endif

// How many operations a storm may do: `usual` times UVLET_STORM, if that is set.
std::uint64_t operations(std::uint64_t usual);

// Runs `body` in a green thread under the watchdog; a failing REQUIRE in it ends the test case.
template <class F>
void in_green_thread(F body) {
  green::GreenThread<void> thread = green::spawn(std::move(body));
  green::with_timeout(watchdog, [&] { thread.wait(); });
}

// Runs `function` in a raw libuv callback.
template <class F>
void in_libuv_callback(F function) {
  struct Call {
    F* function;
    bool done = false;
  } call{&function};
  auto* timer = new uv_timer_t;
  uv_timer_init(uvlet::Hub::current().loop(), timer);
  timer->data = &call;
  uv_timer_start(
      timer,
      [](uv_timer_t* handle) {
        auto* self = static_cast<Call*>(handle->data);
        (*self->function)();
        self->done = true;
        uv_close(reinterpret_cast<uv_handle_t*>(handle),
                 [](uv_handle_t* closed) { delete reinterpret_cast<uv_timer_t*>(closed); });
      },
      0, 0);
  while (!call.done) green::sleep(0.001);
}

// Lets those who are ready run, then lets `seconds` go by without a turn of the loop.
inline void overdue(double seconds) {
  green::sleep(0);
  const uvlet::Time start = uvlet::Hub::get().now();
  while (static_cast<double>(uvlet::Hub::get().now() - start) <= seconds * 1e9) continue;
}

// Lets `seconds` go by; what is due then expires before any of those who are ready runs.
inline void overdue_before_the_next(double seconds) {
  const uvlet::Time start = uvlet::Hub::get().now();
  while (static_cast<double>(uvlet::Hub::get().now() - start) <= seconds * 1e9) continue;
  uvlet::Hub::get().step_by_turns();
}

// What happened, in order.
class Log {
 public:
  void operator()(std::string entry) { entries_.push_back(std::move(entry)); }
  const std::vector<std::string>& entries() const noexcept { return entries_; }
  std::string text() const {
    std::string all;
    for (const std::string& entry : entries_) all += (all.empty() ? "" : " ") + entry;
    return all;
  }

 private:
  std::vector<std::string> entries_;
};

// Counts objects that are alive.
struct Counted {
  explicit Counted(int& counter) : alive(&counter) { ++*alive; }
  Counted(const Counted& other) : alive(other.alive) { ++*alive; }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --*alive; }
  int* alive;
};

// Whether a program of others is there to be tested against: whether this shell command succeeds.
// If not, a line says so, or the test fails where the environment says UVLET_TEST_PEERS=required.
bool peer_works(const std::string& command);
inline bool peer_installed(const std::string& program) {
  return peer_works("command -v " + program);
}

// The memory of this process that is in use.
std::size_t resident_bytes();

// Silences the report of exceptions that a test throws on purpose.
struct Quiet {
  Quiet();
  ~Quiet();
};

}  // namespace test
