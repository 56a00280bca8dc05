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

TEST_CASE("its exception is freed with it, whatever became of it") {
  int alive = 0;
  struct Heavy : Failure {
    explicit Heavy(int& counter) : Failure("heavy"), counted(counter) {}
    test::Counted counted;
  };
  {
    Timeout cancelled(long_time, Heavy(alive));
    CHECK(alive > 0);
    cancelled.cancel();
  }
  CHECK(alive == 0);
  {
    const Timeout delivered(0.001, Heavy(alive));
    CHECK_THROWS_AS(long_sleep(), Heavy);
  }
  CHECK(alive == 0);
  {
    const green::Shield shield;
    const Timeout undelivered(0, Heavy(alive));
  }
  CHECK(alive == 0);
  {
    auto limit = std::make_unique<std::optional<Timeout>>();
    green::spawn([&] { limit->emplace(0.001, Heavy(alive)); }).wait();
    green::sleep(0.002);  // who made it has ended
    CHECK((*limit)->expired());
  }
  CHECK(alive == 0);
  CHECK_NOTHROW(green::sleep(0));
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
