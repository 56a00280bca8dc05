#include <green/debug.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/event.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <limits>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
constexpr double resolution = 0.05;
constexpr bool signals_come_late =
#if defined(UVLET_TSAN)
    true;  // that sanitizer holds them back until the next system call
#else
    false;
#endif

// What is written to stderr for as long as it lives.
class Stderr {
 public:
  Stderr() : memory_(memfd_create("stderr", 0)), before_(dup(STDERR_FILENO)) {
    dup2(memory_, STDERR_FILENO);
  }
  ~Stderr() {
    dup2(before_, STDERR_FILENO);
    close(before_);
    close(memory_);
  }
  std::string text() const {
    std::string all(static_cast<std::size_t>(lseek(memory_, 0, SEEK_END)), '\0');
    const auto bytes = pread(memory_, all.data(), all.size(), 0);
    all.resize(static_cast<std::size_t>(std::max<ssize_t>(bytes, 0)));
    return all;
  }
  bool has(const std::string& part) const { return text().find(part) != std::string::npos; }
  int lines() const {
    const std::string all = text();
    return static_cast<int>(std::count(all.begin(), all.end(), '\n'));
  }

 private:
  int memory_;
  int before_;
};

struct Detection {
  Detection(double seconds = resolution) { green::debug::hub_blocking_detection(true, seconds); }
  ~Detection() { green::debug::hub_blocking_detection(false); }
};

volatile sig_atomic_t users_signals = 0;
void users_handler(int) { users_signals = users_signals + 1; }

// Holds the hub until it is told on, or the watchdog bites.
template <class F>
void hold_until(const Stderr& out, const std::string& expected, F pass_time) {
  const auto start = Clock::now();
  while (!out.has(expected) && Clock::now() - start < std::chrono::seconds(20)) pass_time();
}

[[gnu::noinline]] void hog(const Stderr& out, const std::string& expected) {
  hold_until(out, expected, [] {});
  __asm__ volatile("");
}
[[gnu::noinline]] void hog_in_system_calls(const Stderr& out, const std::string& expected) {
  hold_until(out, expected, [] { ::usleep(10'000'000); });
  __asm__ volatile("");
}
aio::task<void> hog_as_task(const Stderr& out, const std::string& expected) {
  co_await aio::sleep(0);
  hog(out, expected);
}

}  // namespace

// First, for the signal is chosen once.
TEST_CASE("a handler of the user's keeps its signal") {
  std::signal(SIGRTMAX - 1, users_handler);
  const Stderr out;
  {
    const Detection on;
    auto thread = green::spawn([&] { hog(out, "\n"); });
    thread.wait();
  }
  CHECK(out.lines() >= 1);
  CHECK(users_signals == 0);
  std::raise(SIGRTMAX - 1);
  CHECK(users_signals == 1);
}

TEST_CASE("who holds the hub is reported with id, name and backtrace, while it holds it") {
  const Stderr out;
  const Detection on;
  auto thread = green::spawn([&] { hog(out, "\n"); });
  thread.set_name("piggy");
  thread.wait();
  const std::string text = out.text();
  CAPTURE(text);
  if (!signals_come_late) {
    CHECK(out.has("uvlet: green thread " + std::to_string(thread.id()) + " 'piggy' has held"));
    CHECK(out.has("hog("));
  }
  CHECK(out.has(std::to_string(thread.id())));
  CHECK(out.text().back() == '\n');
}

TEST_CASE("one that has no name is reported by its number") {
  const Stderr out;
  const Detection on;
  const std::uint64_t id = green::spawn([&] {
                             const std::uint64_t own = green::getcurrent().id();
                             hog(out, "\n");
                             return own;
                           }).wait();
  CHECK(out.has(std::to_string(id) + " '"));
}

TEST_CASE("one that sits in a system call is reported") {
  const Stderr out;
  const Detection on;
  auto thread = green::spawn([&] { hog_in_system_calls(out, "\n"); });
  thread.wait();
  CHECK(out.has(" has held the hub for "));
  if (!signals_come_late) CHECK(out.has("hog_in_system_calls"));
}

TEST_CASE("main is reported from the moment on when it is switched on") {
  const Stderr out;
  const Detection on;
  hog(out, "\n");
  if (!signals_come_late) CHECK(out.has("uvlet: the main green thread "));
}

TEST_CASE("a task is reported") {
  const Stderr out;
  const Detection on;
  const std::string newline = "\n";
  green::awaitlet(aio::create_task(hog_as_task(out, newline)));
  if (!signals_come_late) {
    CHECK(out.has("uvlet: task "));
    CHECK(out.has("hog("));
    CHECK(out.has("hog_as_task"));
  }
}

TEST_CASE("a thread that blocks the signal is reported without a backtrace") {
  const Stderr out;
  const Detection on;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  auto thread = green::spawn([&] { hog(out, "\n"); });
  thread.wait();
  CHECK(out.has(" " + std::to_string(thread.id()) + " "));
  CHECK(out.has("no backtrace"));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("a run is reported once, and the next one again") {
  const Stderr out;
  const Detection on;
  auto thread = green::spawn([&] {
    hog(out, "\n");
    const auto start = Clock::now();
    while (Clock::now() - start < std::chrono::duration<double>(resolution * 4)) continue;
    CHECK(out.lines() == 1);
    green::sleep(0);
    hold_until(out, "\nuvlet", [] {});
  });
  thread.wait();
  CHECK(out.lines() >= 2);
}

TEST_CASE("those who take turns are not reported, however long it goes on") {
  constexpr double patience = 0.5;
  const Stderr out;
  const Detection on(patience);
  const auto start = Clock::now();
  double longest = 0;
  auto work = [&] {
    while (Clock::now() - start < std::chrono::duration<double>(patience * 2)) {
      const auto step = Clock::now();
      while (Clock::now() - step < std::chrono::milliseconds(1)) continue;
      longest = std::max(longest, std::chrono::duration<double>(Clock::now() - step).count());
      green::sleep(0);
    }
  };
  auto one = green::spawn(work);
  auto other = green::spawn(work);
  one.wait();
  other.wait();
  green::sleep(patience * 1.5);  // nor is a hub that waits for the time to pass
  if (longest < patience / 2) CHECK(out.text().empty());
}

TEST_CASE("every hub is looked at, and may end while it is") {
  const Stderr out;
  const Detection on;
  std::thread([&] {
    auto thread = green::spawn([&] { hog(out, "elsewhere"); });
    thread.set_name(signals_come_late ? "" : "elsewhere");
    if (!signals_come_late) thread.wait();
  }).join();
  if (!signals_come_late) CHECK(out.has("'elsewhere'"));
  for (int i = 0; i < 100; ++i)
    std::thread([] { green::spawn([] { green::sleep(0); }).wait(); }).join();
}

TEST_CASE("switched off it is silent, and can be switched on and off over and over") {
  const Stderr out;
  for (int i = 0; i < 50; ++i) const Detection briefly(0.001);
  green::debug::hub_blocking_detection(false);
  const int before = out.lines();
  const auto start = Clock::now();
  while (Clock::now() - start < std::chrono::duration<double>(resolution * 4)) continue;
  green::sleep(0);
  CHECK(out.lines() == before);
}

TEST_CASE("a deadlock is found while it is on") {
  const Detection on(100);
  green::Event<> event;
  CHECK_THROWS_AS(event.wait(), uvlet::Deadlock);
}

TEST_CASE("a child forked at any moment has a detection of its own to switch") {
  const Stderr out;
  const Detection on(0.001);
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(static_cast<unsigned>(test::watchdog));
      green::debug::hub_blocking_detection(true, 0.001);
      green::spawn([] { green::sleep(0.002); }).wait();
      green::debug::hub_blocking_detection(false);
      _exit(0);
    }
    const auto start = Clock::now();
    while (Clock::now() - start < std::chrono::milliseconds(i % 5)) continue;  // is reported
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
}

TEST_CASE("a resolution that is no time is refused") {
  CHECK_THROWS_AS(green::debug::hub_blocking_detection(true, 0), std::invalid_argument);
  CHECK_THROWS_AS(green::debug::hub_blocking_detection(true, -1), std::invalid_argument);
  CHECK_THROWS_AS(
      green::debug::hub_blocking_detection(true, std::numeric_limits<double>::quiet_NaN()),
      std::invalid_argument);
}
