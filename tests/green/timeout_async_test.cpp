#include <green/timeout.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <chrono>
#include <limits>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <type_traits>

namespace {

using green::Timeout;
using green::TimeoutExpired;

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr double long_time = test::watchdog;

void spin(double seconds) {
  const uvlet::Time end = uvlet::deadline_after(uvlet::Hub::get().now(), seconds);
  while (uvlet::Hub::get().now() < end) {
  }
}

void long_sleep() { green::sleep(test::watchdog); }

}  // namespace

TEST_CASE(
    "a Timeout made outside an awaitlet is CancelledError in its coroutines, itself outside") {
  test::Log log;
  auto body = [](test::Log& where) -> aio::task<void> {
    try {
      co_await aio::sleep(test::watchdog);
    } catch (const aio::CancelledError&) {
      where("cancelled");
      throw;
    }
  };
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { green::awaitlet(body(log)); }), TimeoutExpired);
  CHECK(log.text() == "cancelled");
}

TEST_CASE("whatever the coroutines made of it, each awaitlet throws the interrupt itself") {
  auto swallow = []() -> aio::task<int> {
    try {
      co_await aio::sleep(test::watchdog);
    } catch (const aio::CancelledError&) {
    }
    co_return 5;
  };
  auto replace = []() -> aio::task<int> {
    try {
      co_await aio::sleep(test::watchdog);
    } catch (const aio::CancelledError&) {
    }
    throw Failure("instead");
  };
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { return green::awaitlet(swallow()); }),
                  TimeoutExpired);
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { return green::awaitlet(replace()); }),
                  TimeoutExpired);
}

TEST_CASE("a green call among coroutines throws the interrupt itself") {
  test::Log log;
  auto body = [](test::Log& where) -> aio::task<void> {
    try {
      green::sleep(test::watchdog);
    } catch (const TimeoutExpired&) {
      where("expired");
      throw;
    }
    co_return;
  };
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { green::awaitlet(body(log)); }), TimeoutExpired);
  CHECK(log.text() == "expired");
}

TEST_CASE("a Timeout made inside a coroutine throws at that coroutine's suspension point") {
  auto body = []() -> aio::task<std::string> {
    const Timeout timeout(0.001);
    try {
      co_await aio::sleep(test::watchdog);
    } catch (const TimeoutExpired& expired) {
      co_return expired.is(timeout) ? "mine" : "other";
    }
    co_return "none";
  };
  CHECK(green::awaitlet(body()) == "mine");
  CHECK(aio::run(body()) == "mine");
  CHECK(green::awaitlet(aio::create_task(body())) == "mine");
}

TEST_CASE("a Timeout made in a coroutine reaches through the coroutines it awaits") {
  test::Log log;
  auto inner = [](test::Log& where) -> aio::task<void> {
    try {
      co_await aio::sleep(test::watchdog);
    } catch (const green::BaseException& exception) {
      where(exception.what());
      throw;
    }
  };
  auto outer = [&](test::Log& where) -> aio::task<void> {
    const Timeout timeout(0.001);
    co_await inner(where);
  };
  CHECK_THROWS_AS(green::awaitlet(outer(log)), TimeoutExpired);
  CHECK_FALSE(log.text().empty());
}

TEST_CASE("an expired Timeout around the wait for a Future cancels that Future") {
  auto future = aio::create_task([]() -> aio::task<int> {
    co_await aio::sleep(test::watchdog);
    co_return 1;
  }());
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { return green::awaitlet(future); }),
                  TimeoutExpired);
  CHECK(future.done());
  CHECK(future.cancelled());
}

TEST_CASE("a Timeout around the wait for a green thread leaves that alone") {
  auto thread = green::spawn([] {
    green::sleep(0.01);
    return 6;
  });
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { return thread.wait(); }), TimeoutExpired);
  CHECK_FALSE(thread.dead());
  CHECK(thread.wait() == 6);
}

TEST_CASE("a Timeout waits while more exceptions are unwound than when it was made") {
  test::Log log;
  struct Closing {
    ~Closing() {
      green::sleep(0.005);
      (*log)("closed");
    }
    test::Log* log;
  };
  auto body = [&] {
    const Timeout timeout(0.001);
    try {
      const Closing closing{&log};
      throw Failure("first");
    } catch (const Failure&) {
      log("caught");
    }
    long_sleep();
  };
  CHECK_THROWS_AS(body(), TimeoutExpired);
  CHECK(log.text() == "closed caught");
}

TEST_CASE("a Timeout made in a destructor during unwinding fires in there") {
  test::Log log;
  struct Closing {
    ~Closing() { (*log)(green::move_on_after(0.001, long_sleep) ? "finished" : "expired"); }
    test::Log* log;
  };
  try {
    const Closing closing{&log};
    throw Failure("first");
  } catch (const Failure&) {
    log("caught");
  }
  CHECK(log.text() == "expired caught");
}

TEST_CASE("a Timeout that outlives the green thread that made it does no harm") {
  std::unique_ptr<Timeout> kept;
  green::spawn([&] { kept = std::make_unique<Timeout>(0.001); }).wait();
  green::sleep(0.003);
  kept.reset();
  green::spawn([&] { kept = std::make_unique<Timeout>(0); }).wait();
  kept->cancel();
  CHECK_FALSE(kept->pending());
}

TEST_CASE("a Timeout that is due and cancelled before the wait is not delivered") {
  {
    Timeout timeout(0);
    timeout.cancel();
    green::sleep(0);
  }
  { const Timeout timeout(0); }
  green::sleep(0);
}

TEST_CASE("many timeouts, most of them cancelled") {
  int expired = 0;
  for (int i = 0; i < 2'000; ++i) {
    const Timeout timeout(i % 100 == 0 ? 0 : test::watchdog);
    try {
      green::sleep(0);
    } catch (const TimeoutExpired&) {
      ++expired;
    }
  }
  CHECK(expired == 20);
  CHECK(uvlet::Hub::get().stats().timers == 0);
}

TEST_CASE("a Timeout takes numbers, std::chrono's durations, Duration, nullopt") {
  using namespace std::chrono_literals;
  CHECK_THROWS_AS(
      [] {
        const Timeout timeout(1ms);
        green::sleep(long_time);
      }(),
      TimeoutExpired);
  CHECK_THROWS_AS(
      [] {
        const Timeout timeout(green::Duration(0.001));
        green::sleep(long_time);
      }(),
      TimeoutExpired);
  const Timeout whole(100);
  const Timeout single(100.0f);
  const Timeout optional(std::optional<green::Duration>(100));
  CHECK(whole.pending());
  CHECK(single.pending());
  CHECK(optional.pending());
  const Timeout none(std::nullopt);
  CHECK_FALSE(none.pending());
  const Timeout never(std::numeric_limits<double>::infinity());
  green::sleep(0.002);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS((Timeout{nan}), std::invalid_argument);
}

TEST_CASE("one that has fired is not pending, and can be started again, also one of zero") {
  for (const double length : {0.002, 0.0}) {
    CAPTURE(length);
    Timeout timeout(length);
    CHECK_THROWS_AS(green::sleep(long_time), TimeoutExpired);
    CHECK_FALSE(timeout.pending());
    timeout.start();
    CHECK_THROWS_AS(green::sleep(long_time), TimeoutExpired);
    green::sleep(0);
    timeout.cancel();
    CHECK_FALSE(timeout.pending());
  }
}

TEST_CASE("one that expired in a Shield, was cancelled and started again throws once") {
  Timeout timeout(0.002);
  int thrown = 0;
  {
    const green::Shield shield;
    green::sleep(0.01);
    timeout.cancel();
    timeout.start();
    green::sleep(0.01);
  }
  for (int i = 0; i < 2; ++i) try {
      green::sleep(0.005);
    } catch (const TimeoutExpired& expired) {
      thrown += expired.is(timeout);
    }
  CHECK(thrown == 1);
}

TEST_CASE("start of one that expired and is not delivered yet is refused, or begins anew") {
  Timeout timeout(0.002);
  int thrown = 0;
  {
    const green::Shield shield;
    green::sleep(0.01);
    if (timeout.pending()) {
      CHECK_THROWS_AS(timeout.start(), std::logic_error);
    } else {
      timeout.start();
      green::sleep(0.01);
    }
  }
  for (int i = 0; i < 3; ++i) try {
      green::sleep(0.005);
    } catch (const TimeoutExpired&) {
      ++thrown;
    }
  CHECK(thrown == 1);
  CHECK_FALSE(timeout.pending());
}

TEST_CASE("one that expired and is cancelled before its delivery does not throw") {
  {
    Timeout timeout(0.002);
    const green::Shield shield;
    green::sleep(0.01);
    timeout.cancel();
  }
  green::sleep(0);
  {
    const Timeout timeout(0.002);
    const green::Shield shield;
    green::sleep(0.01);
  }
  green::sleep(0.001);
}

TEST_CASE("one whose time was over while nothing waited interrupts the next wait") {
  const Timeout timeout(0.002);
  spin(0.01);  // not interrupted
  auto parks = [] {
    for (int i = 0; i < 1000; ++i) green::sleep(0);
    green::sleep(long_time);
  };
  CHECK_THROWS_AS(parks(), TimeoutExpired);
}

TEST_CASE("a negative Timeout is one of zero") {
  const Timeout timeout(-5);
  CHECK_THROWS_AS(green::sleep(long_time), TimeoutExpired);
}

TEST_CASE("a Timeout cuts every kind of wait short, and what was waited for stays usable") {
  green::Event<int> event;
  auto thread = green::spawn([&] { return event.wait(); });
  auto never = aio::Future<int>::create();
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { return event.wait(); }), TimeoutExpired);
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { return event.wait(100); }), TimeoutExpired);
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { return thread.wait(); }), TimeoutExpired);
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { return green::awaitlet(never); }),
                  TimeoutExpired);
  CHECK(never.cancelled());
  event.send(4);
  CHECK(thread.wait() == 4);
  CHECK(event.wait() == 4);
}

TEST_CASE("three nested Timeouts, in every order of expiry: each is caught by its owner") {
  const double lengths[] = {0.004, 0.012, 0.020};
  const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : orders) {
    test::Log log;
    auto level = [&](const char* name, double length, auto body) {
      const Timeout timeout(length);
      try {
        body();
      } catch (const TimeoutExpired& expired) {
        if (!expired.is(timeout)) throw;
        log(name);
      }
    };
    level("a", lengths[order[0]], [&] {
      level("b", lengths[order[1]], [&] {
        level("c", lengths[order[2]], [&] { green::sleep(long_time); });
        green::sleep(long_time);
      });
      green::sleep(long_time);
    });
    // One that is over before an inner one ends the inner ones with it.
    const double a = lengths[order[0]], b = lengths[order[1]], c = lengths[order[2]];
    std::string wanted;
    if (c < b && c < a) wanted += "c ";
    if (b < a) wanted += "b ";
    wanted += "a";
    CHECK(log.text() == wanted);
  }
}

TEST_CASE("a Timeout that another green thread cancels does not fire") {
  Timeout timeout(0.01);
  auto canceller = green::spawn([&] { timeout.cancel(); });
  green::sleep(0.03);
  canceller.wait();
  CHECK_FALSE(timeout.pending());
}

TEST_CASE("start is for who calls") {
  Timeout timeout(0.002);
  timeout.cancel();
  auto thread = green::spawn([&] {
    timeout.start();
    green::sleep(long_time);
  });
  CHECK_THROWS_AS(thread.wait(), TimeoutExpired);
}

TEST_CASE("a Timeout and a kill at the same time: both are delivered, one at each wait") {
  test::Log log;
  auto thread = green::spawn([&] {
    const Timeout timeout(0);
    for (int i = 0; i < 3; ++i) try {
        green::sleep(0.005);
        log("slept");
      } catch (const TimeoutExpired&) {
        log("timeout");
      } catch (const green::GreenletExit&) {
        log("exit");
      }
  });
  {
    auto killer = green::spawn([&] { thread.kill(); });
    killer.wait();
  }
  thread.wait();
  CHECK(log.text() == "timeout exit slept");
}

TEST_CASE("a kill passes through with_timeout_or and move_on_after") {
  auto thread = green::spawn([] {
    green::move_on_after(100,
                         [] { green::with_timeout_or(100, 1, [] { green::sleep(long_time); }); });
    return 1;
  });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
}

TEST_CASE("a thousand Timeouts that fire and a thousand that do not") {
  int fired = 0, finished = 0;
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 2000; ++i)
    threads.push_back(green::spawn([&, i] {
      const bool in_time = i % 2 != 0;
      ++(green::move_on_after(in_time ? 100 : 0.001 * (i % 10),
                              [&] { green::sleep(in_time ? 0.001 * (i % 10) : 100); })
             ? finished
             : fired);
    }));
  for (auto& thread : threads) thread.wait();
  CHECK(fired == 1000);
  CHECK(finished == 1000);
  CHECK(uvlet::Hub::current().stats().timers == 0);
}

TEST_CASE("a Timeout in a top-level task interrupts that task alone") {
  auto limited = []() -> aio::task<int> {
    const Timeout timeout(0.002);
    try {
      co_await aio::sleep(long_time);
    } catch (const TimeoutExpired& expired) {
      co_return expired.is(timeout) ? 1 : 2;
    }
    co_return 3;
  };
  auto slow = []() -> aio::task<int> {
    co_await aio::sleep(0.02);
    co_return 4;
  };
  auto first = aio::create_task(limited());
  auto second = aio::create_task(slow());
  CHECK(green::awaitlet(first) == 1);
  CHECK(green::awaitlet(second) == 4);
}

TEST_CASE("a Timeout in a task interrupts a green call that the task makes") {
  auto body = []() -> aio::task<bool> {
    co_return green::move_on_after(0.002, [] { green::sleep(long_time); });
  };
  CHECK_FALSE(aio::run(body()));
}
