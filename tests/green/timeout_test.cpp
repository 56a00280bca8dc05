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

TEST_CASE("a Timeout throws TimeoutExpired where its green thread waits") {
  const uvlet::Time start = uvlet::Hub::get().now();
  const Timeout timeout(0.01);
  try {
    long_sleep();
    FAIL("not interrupted");
  } catch (const TimeoutExpired& expired) {
    CHECK(expired.is(timeout));
    CHECK(expired.seconds() == 0.01);
    CHECK(std::string(expired.what()) == "0.01 seconds");
  }
  CHECK(uvlet::Hub::get().now() - start >= 10'000'000);
}

TEST_CASE("it takes any length of time, or none") {
  static_assert(std::is_constructible_v<Timeout, double>);
  static_assert(std::is_constructible_v<Timeout, int>);
  static_assert(std::is_constructible_v<Timeout, std::chrono::milliseconds>);
  static_assert(std::is_constructible_v<Timeout, std::nullopt_t>);
  static_assert(std::is_constructible_v<Timeout, std::optional<green::Duration>>);
  static_assert(!std::is_constructible_v<Timeout, bool>);
  static_assert(!std::is_convertible_v<double, Timeout>);
  static_assert(!std::is_copy_constructible_v<Timeout>);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS((Timeout{nan}), std::invalid_argument);
}

TEST_CASE("a Timeout whose scope ends first does nothing") {
  {
    const Timeout timeout(0.001);
    CHECK(timeout.pending());
  }
  green::sleep(0.003);
}

TEST_CASE("a Timeout of nullopt never fires and is not pending") {
  const Timeout timeout(std::nullopt);
  CHECK_FALSE(timeout.pending());
  green::sleep(0.001);
  const Timeout for_ever(std::numeric_limits<double>::infinity());
  green::sleep(0.001);
}

TEST_CASE("with an exception it throws that instead") {
  auto with = [](auto exception) {
    const Timeout timeout(0.001, exception);
    long_sleep();
  };
  CHECK_THROWS_WITH_AS(with(Failure("mine")), "mine", Failure);
  CHECK_THROWS_AS(with(5), int);
  CHECK_THROWS_WITH_AS(with(std::make_exception_ptr(Failure("held"))), "held", Failure);
  const Timeout never(std::nullopt, Failure("never"));
  CHECK_FALSE(never.pending());
  green::sleep(0);
}

TEST_CASE("cancel stops it, twice is fine, start begins anew") {
  Timeout timeout(0.001);
  timeout.cancel();
  CHECK_FALSE(timeout.pending());
  timeout.cancel();
  green::sleep(0.003);
  timeout.start();
  CHECK(timeout.pending());
  CHECK_THROWS_AS(long_sleep(), TimeoutExpired);
  CHECK_FALSE(timeout.pending());
  timeout.start();  // after it fired, too
  CHECK_THROWS_AS(long_sleep(), TimeoutExpired);
}

TEST_CASE("start while pending is a logic_error, and leaves it pending") {
  Timeout timeout(0.005);
  CHECK_THROWS_AS(timeout.start(), std::logic_error);
  CHECK(timeout.pending());
  CHECK_THROWS_AS(long_sleep(), TimeoutExpired);
}

TEST_CASE("a Timeout of zero interrupts the next wait, also a yield") {
  auto zero = [](auto wait) {
    const Timeout timeout(0);
    wait();
  };
  CHECK_THROWS_AS(zero([] { green::sleep(0); }), TimeoutExpired);
  CHECK_THROWS_AS(zero(long_sleep), TimeoutExpired);
  CHECK_THROWS_AS(zero([] { green::Event<>().wait(); }), TimeoutExpired);
  CHECK_THROWS_AS(zero([] { green::spawn([] {}).wait(); }), TimeoutExpired);
  const Timeout negative(-1);
  CHECK_THROWS_AS(green::sleep(0), TimeoutExpired);
}

TEST_CASE("an operation that does not switch is not interrupted") {
  const Timeout timeout(0);
  green::Event<int> event;
  event.send(1);
  CHECK(event.wait() == 1);
  CHECK(green::awaitlet([]() -> aio::task<int> { co_return 2; }()) == 2);
  CHECK_THROWS_AS(green::sleep(0), TimeoutExpired);
}

TEST_CASE("it fires once: the green thread goes on after it") {
  const Timeout timeout(0.001);
  CHECK_THROWS_AS(long_sleep(), TimeoutExpired);
  green::sleep(0.003);
}

TEST_CASE("it fires into the green thread that made it, and no other") {
  test::Log log;
  auto made = green::spawn([&] {
    const Timeout timeout(0.002);
    try {
      long_sleep();
    } catch (const TimeoutExpired&) {
      log("mine");
    }
  });
  auto other = green::spawn([&] {
    green::sleep(0.01);
    log("other");
  });
  made.wait();
  other.wait();
  CHECK(log.text() == "mine other");
}

TEST_CASE("nested timeouts: the earliest fires first, whichever is outside") {
  for (const bool outer_first : {true, false}) {
    CAPTURE(outer_first);
    const Timeout outer(outer_first ? 0.001 : test::watchdog);
    const Timeout inner(outer_first ? test::watchdog : 0.001);
    try {
      long_sleep();
      FAIL("not interrupted");
    } catch (const TimeoutExpired& expired) {
      CHECK(expired.is(outer_first ? outer : inner));
      CHECK_FALSE(expired.is(outer_first ? inner : outer));
    }
  }
}

TEST_CASE("three nested timeouts that expire one after the other are each told apart") {
  std::vector<int> seen;
  auto note = [&](const TimeoutExpired& expired, const Timeout& a, const Timeout& b,
                  const Timeout& c) {
    seen.push_back(expired.is(a) ? 1 : expired.is(b) ? 2 : expired.is(c) ? 3 : 0);
  };
  const Timeout a(0.006);
  const Timeout b(0.002);
  const Timeout c(0.004);
  for (int i = 0; i < 3; ++i) try {
      long_sleep();
    } catch (const TimeoutExpired& expired) {
      note(expired, a, b, c);
    }
  CHECK(seen == std::vector<int>{2, 3, 1});
}

TEST_CASE("timeouts that are due at the same time are all delivered, one a wait") {
  const Timeout a(0);
  const Timeout b(0);
  int seen = 0;
  for (int i = 0; i < 2; ++i) try {
      green::sleep(0);
    } catch (const TimeoutExpired&) {
      ++seen;
    }
  CHECK(seen == 2);
  green::sleep(0);
}

TEST_CASE("a TimeoutExpired is not a std::exception") {
  auto swallow = [] {
    const Timeout timeout(0.001);
    try {
      long_sleep();
    } catch (const std::exception&) {
    }
  };
  CHECK_THROWS_AS(swallow(), TimeoutExpired);
}

TEST_CASE("it interrupts who was woken by a result and has not run since; the result stays") {
  const test::Quiet quiet;
  green::Event<int> event;
  auto thread = green::spawn([&] {
    const Timeout timeout(0.001);
    return event.wait();
  });
  green::sleep(0);
  event.send(4);
  test::overdue_before_the_next(0.001);
  CHECK_THROWS_AS(thread.wait(), TimeoutExpired);
  CHECK(event.wait() == 4);
}

TEST_CASE("it waits for the next wait of who has its result already") {
  green::Event<int> event;
  event.send(4);
  const Timeout timeout(0.001);
  test::overdue_before_the_next(0.001);
  CHECK(event.wait() == 4);
  CHECK_THROWS_AS(long_sleep(), TimeoutExpired);
}

// --- with_timeout and its kin --------------------------------------------------------------------

TEST_CASE("with_timeout gives the result, or throws TimeoutExpired") {
  CHECK(green::with_timeout(test::watchdog, [] { return 3; }) == 3);
  CHECK(green::with_timeout(
            1, [](int a, int b) { return a + b; }, 1, 2) == 3);
  CHECK(green::with_timeout(std::nullopt, [] { return 4; }) == 4);
  CHECK_THROWS_AS(green::with_timeout(0.001, long_sleep), TimeoutExpired);
  CHECK_THROWS_AS(green::with_timeout(std::chrono::milliseconds(1), long_sleep), TimeoutExpired);
  static_assert(std::is_void_v<decltype(green::with_timeout(1, long_sleep))>);
}

TEST_CASE("with_timeout passes move-only arguments and results, and references") {
  auto moved = green::with_timeout(
      1, [](std::unique_ptr<int> value) { return value; }, std::make_unique<int>(5));
  CHECK(*moved == 5);
  int count = 0;
  green::with_timeout(
      1, [](int& counter) { ++counter; }, std::ref(count));
  green::with_timeout(
      1, [](int& counter) { ++counter; }, count);
  CHECK(count == 2);
  CHECK_THROWS_AS(green::with_timeout(1, []() -> int { throw Failure("own"); }), Failure);
}

TEST_CASE("with_timeout_or gives the value on expiry of its own limit") {
  CHECK(green::with_timeout_or(0.001, 7, [] {
          long_sleep();
          return 1;
        }) == 7);
  CHECK(green::with_timeout_or(1, 7, [] { return 1; }) == 1);
  CHECK(green::with_timeout_or(
            std::nullopt, 7, [](int a) { return a; }, 2) == 2);
  CHECK(green::with_timeout_or(0.001, "late", []() -> std::string {
          long_sleep();
          return "in time";
        }) == "late");
}

TEST_CASE("with_timeout_or of a void function gives an optional: the value means expiry") {
  const auto expired = green::with_timeout_or(0.001, 7, long_sleep);
  static_assert(std::is_same_v<decltype(expired), const std::optional<int>>);
  CHECK(expired == 7);
  CHECK(green::with_timeout_or(1, 7, [] {}) == std::nullopt);
}

TEST_CASE("the expiry of an outer limit passes through with_timeout_or and move_on_after") {
  auto value = [] {
    return green::with_timeout(0.001, [] {
      return green::with_timeout_or(test::watchdog, 7, [] {
        long_sleep();
        return 1;
      });
    });
  };
  CHECK_THROWS_AS(value(), TimeoutExpired);
  auto move_on = [] {
    const Timeout outer(0.001);
    return green::move_on_after(test::watchdog, long_sleep);
  };
  CHECK_THROWS_AS(move_on(), TimeoutExpired);
  CHECK(green::with_timeout_or(0.001, 8, [&] {
          return green::with_timeout_or(test::watchdog, 7, [] {
            long_sleep();
            return 1;
          });
        }) == 8);
}

TEST_CASE("move_on_after tells whether the function finished") {
  CHECK(green::move_on_after(1, [] {}));
  CHECK(green::move_on_after(std::chrono::seconds(1), [] { green::sleep(0); }));
  CHECK_FALSE(green::move_on_after(0.001, long_sleep));
  CHECK_FALSE(green::move_on_after(0, long_sleep));
  CHECK_THROWS_AS(green::move_on_after(1, [] { throw Failure("own"); }), Failure);
}

TEST_CASE("a TimeoutExpired thrown by hand passes through") {
  CHECK_THROWS_AS(green::move_on_after(1, [] { throw TimeoutExpired(3); }), TimeoutExpired);
  CHECK_THROWS_AS(green::with_timeout_or(1, 7, []() -> int { throw TimeoutExpired(3); }),
                  TimeoutExpired);
}

TEST_CASE("is_timeout knows every kind of timeout, and nothing else") {
  auto timeout = [](auto exception) {
    return green::is_timeout(std::make_exception_ptr(exception));
  };
  CHECK(timeout(TimeoutExpired(1)));
  CHECK(timeout(aio::TimeoutError("late")));
  CHECK(timeout(std::system_error(ETIMEDOUT, std::generic_category())));
  CHECK(timeout(std::system_error(ETIMEDOUT, std::system_category())));
  CHECK_FALSE(timeout(std::system_error(EAGAIN, std::generic_category())));
  CHECK_FALSE(timeout(Failure("no")));
  CHECK_FALSE(timeout(green::GreenletExit()));
  CHECK_FALSE(timeout(aio::CancelledError()));
  CHECK_FALSE(timeout(5));
  CHECK_FALSE(green::is_timeout(nullptr));
  static_assert(noexcept(green::is_timeout(nullptr)));
}

// --- through awaitlet and coroutines -------------------------------------------------------------

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
