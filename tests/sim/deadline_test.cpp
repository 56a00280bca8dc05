// What comes a nanosecond before the end of a time limit, exactly at its end, or a nanosecond after
// it: it is there or it is not, and is never lost.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <chrono>
#include <mutex>
#include <sys/socket.h>

namespace {

using sim::require;
using std::chrono::nanoseconds;

constexpr nanoseconds limit(1'000'000);
constexpr std::uint64_t seeds = 20;

// Each of them: wait() gives whether it got what give() gives, within a limit or without one;
// is_left() takes it if it is still there.

struct OfEvent {
  bool wait() { return event.wait() == 1; }
  bool wait(green::Duration within) { return event.wait(within).has_value(); }
  void give() { event.send(1); }
  bool is_left(bool got) { return !got && event.poll() == 1; }
  green::Event<int> event;
};

template <std::size_t size>
struct OfQueue {
  bool wait() { return queue.get() == 1; }
  bool wait(green::Duration within) {
    try {
      return queue.get(within) == 1;
    } catch (const green::Empty&) {
      return false;
    }
  }
  void give() { queue.put(1); }
  bool is_left(bool) { return queue.try_get().has_value(); }
  green::Queue<int> queue{size};
};

struct OfSemaphore {
  bool wait() { return semaphore.acquire(); }
  bool wait(green::Duration within) { return semaphore.try_acquire_for(within); }
  void give() { semaphore.release(); }
  bool is_left(bool) { return semaphore.try_acquire(); }
  green::Semaphore semaphore{0};
};

struct OfMutex {
  OfMutex() { held.wait(); }
  bool wait() {
    mutex.lock();
    mutex.unlock();
    return true;
  }
  bool wait(green::Duration within) {
    if (!mutex.try_lock_for(within)) return false;
    mutex.unlock();
    return true;
  }
  void give() { go.send(); }
  bool is_left(bool got) { return !got && mutex.try_lock(); }
  green::timed_mutex mutex;
  green::Event<> held, go;
  green::GreenThread<void> holder = green::spawn([this] {
    const std::lock_guard lock(mutex);
    held.send();
    go.wait();
  });
};

struct OfCondition {
  bool wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return there; });
    return take();
  }
  bool wait(green::Duration within) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, within, [&] { return there; }) && take();
  }
  void give() {
    there = true;
    changed.notify_one();
  }
  bool is_left(bool) { return take(); }
  bool take() { return std::exchange(there, false); }
  green::mutex mutex;
  green::condition_variable changed;
  bool there = false;
};

struct OfSocket {
  OfSocket() : OfSocket(uvlet::testing::stream_pair()) {}
  explicit OfSocket(std::pair<int, int> ends)
      : reader(green::Socket::from_fd(ends.first)), writer(green::Socket::from_fd(ends.second)) {}
  bool wait() { return reader.recv(10) == "x"; }
  bool wait(green::Duration within) {
    reader.settimeout(within);
    try {
      return wait();
    } catch (const std::system_error& error) {
      require(error.code().value() == ETIMEDOUT, "another error than ETIMEDOUT");
      return false;
    }
  }
  void give() { writer.sendall("x"); }
  bool is_left(bool) {
    char byte = 0;
    return ::recv(reader.fileno(), &byte, 1, MSG_DONTWAIT) == 1;
  }
  green::Socket reader;
  green::Socket writer;
};

struct OfFuture {
  bool wait() { return green::awaitlet(aio::shield(future)) == 1; }
  bool wait(green::Duration within) {
    try {
      return green::awaitlet(aio::wait_for(aio::shield(future), within)) == 1;
    } catch (const aio::TimeoutError&) {
      return false;
    }
  }
  void give() { future.set_result(1); }
  bool is_left(bool got) { return !got && future.done() && future.result() == 1; }
  aio::Future<int> future = aio::Future<int>::create();
};

// Whether it got what was given `after` the wait's start.
template <class Kind, class Wait>
bool gets(nanoseconds after, bool giver_first, Wait wait) {
  Kind kind;
  bool given = false;
  auto start = [&](bool giver) {
    return giver ? green::spawn([&] {
      green::sleep(after);
      given = true;
      kind.give();
      return false;
    })
                 : green::spawn([&] { return wait(kind); });
  };
  auto first = start(giver_first);
  green::sleep(0);
  auto second = start(!giver_first);
  green::sleep(0);
  const bool got = giver_first ? second.wait() : first.wait();
  while (!given) green::sleep(limit);
  uvlet::testing::wait_all_blocked();
  require(got != kind.is_left(got), "it is lost, or came twice");
  require(!kind.is_left(true), "it came twice");
  (giver_first ? first : second).wait();
  return got;
}

template <class Kind>
bool within_its_limit(Kind& kind) {
  return kind.wait(limit);
}
template <class Kind>
bool within_a_timeout(Kind& kind) {
  return green::with_timeout_or(limit, false, [&] { return kind.wait(); });
}

// With `delays` the time may be over before who was given something runs.
template <class Kind, class Wait>
void try_the_edge(std::uint64_t seed, bool delays, bool giver_first, Wait wait) {
  uvlet::testing::SimulationOptions options(seed);
  options.faults.early_timeouts = delays ? 0.5 : 0;
  uvlet::testing::simulate(options, [&] {
    const bool before = gets<Kind>(limit - nanoseconds(1), giver_first, wait);
    require(before || delays, "it came in time");
    gets<Kind>(limit, giver_first, wait);
    const bool after = gets<Kind>(limit + nanoseconds(1), giver_first, wait);
    require(!after || delays, "it came too late");
  });
}

template <class Kind>
void at_the_edge() {
  for (std::uint64_t seed = 0; seed < seeds; ++seed)
    for (const bool delays : {false, true})
      for (const bool giver_first : {false, true})
        for (auto wait : {within_its_limit<Kind>, within_a_timeout<Kind>})
          try_the_edge<Kind>(seed, delays, giver_first, wait);
}

}  // namespace

TEST_CASE("an Event that is sent at the end of a time limit is heard or still there") {
  at_the_edge<OfEvent>();
}

TEST_CASE("an item that is put at the end of a time limit is got or still there") {
  at_the_edge<OfQueue<green::unbounded>>();
  at_the_edge<OfQueue<1>>();
  at_the_edge<OfQueue<0>>();
}

TEST_CASE("a permit that is released at the end of a time limit is taken or still there") {
  at_the_edge<OfSemaphore>();
}

TEST_CASE("a mutex that is unlocked at the end of a time limit is locked or free") {
  at_the_edge<OfMutex>();
}

TEST_CASE("a notification at the end of a time limit is heard, or what it tells of still there") {
  at_the_edge<OfCondition>();
}

TEST_CASE("a byte that comes at the end of a time limit is received or still there") {
  at_the_edge<OfSocket>();
}

TEST_CASE("a result that is set at the end of a time limit is given or still there") {
  at_the_edge<OfFuture>();
}

TEST_CASE("time limits of seven weeks, whose milliseconds do not fit in 32 bits, end in order") {
  uvlet::testing::simulate({}, [] {
    const std::chrono::milliseconds weeks(std::int64_t{1} << 32);
    const std::chrono::milliseconds second(1000);
    std::vector<int> ended;
    const uvlet::Time start = uvlet::Hub::get().now();
    auto sleeps = [&](int number, std::chrono::milliseconds time) {
      return green::spawn([&ended, start, number, time] {
        green::sleep(time);
        require(nanoseconds(uvlet::Hub::get().now() - start) >= time, "it ended early");
        ended.push_back(number);
      });
    };
    auto last = sleeps(3, weeks + second);
    auto first = sleeps(0, second);
    auto third = sleeps(2, weeks);
    auto second_one = sleeps(1, weeks - second);
    require(!green::move_on_after(2 * weeks, [&] { green::sleep(3 * weeks); }), "it never ended");
    require(ended == std::vector{0, 1, 2, 3}, "another order");
  });
}
