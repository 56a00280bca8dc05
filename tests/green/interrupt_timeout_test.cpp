#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>
#include <green/awaitlet.hpp>
#include <green/timeout.hpp>

#include <cerrno>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace {

// Says when it is destroyed.
struct Marker {
  Marker(test::Log& to, std::string called) : log(&to), name(std::move(called)) {}
  ~Marker() { (*log)("~" + name); }
  test::Log* log;
  std::string name;
};

// What it sees of an interrupt, and passes it on.
template <class F>
void watch(test::Log& log, const std::string& where, F body) {
  try {
    body();
  } catch (const green::GreenletExit&) {
    log(where + ":exit");
    throw;
  } catch (const green::TimeoutExpired&) {
    log(where + ":timeout");
    throw;
  } catch (const aio::CancelledError&) {
    log(where + ":cancelled");
    throw;
  }
}

aio::task<void> sleeps(test::Log& log, std::string where) {
  const Marker marker(log, where);
  try {
    co_await aio::sleep(100);
  } catch (const aio::CancelledError&) {
    log(where + ":cancelled");
    throw;
  } catch (const green::BaseException& other) {
    log(where + ":" + other.what());
    throw;
  }
}

aio::task<void> calls_green(test::Log& log) {
  const Marker marker(log, "outer-task");
  watch(log, "outer-task",
        [&] { watch(log, "inner-green", [&] { green::awaitlet(sleeps(log, "inner-task")); }); });
  co_return;
}

aio::task<void> swallows() {
  try {
    co_await aio::sleep(100);
  } catch (const aio::CancelledError&) {
  }
}

// Waits in its destructor, as code that closes a connection does.
struct SlowEnd {
  test::Log& log;
  std::string name;
  ~SlowEnd() {
    log(name + ":begins");
    green::sleep(0.005);
    log(name + ":ends");
  }
};

aio::task<std::string> what_it_sees(uvlet::Duration length) {
  try {
    co_await aio::sleep(length);
  } catch (const aio::CancelledError&) {
    co_return "cancelled";
  } catch (const green::GreenletExit&) {
    co_return "exit";
  } catch (const green::TimeoutExpired&) {
    co_return "timeout";
  }
  co_return "nothing";
}

// Which of some Timeouts it was that fired: its index, or -1.
int which(const green::TimeoutExpired& expired,
          std::initializer_list<const green::Timeout*> timeouts) {
  int index = 0;
  for (const green::Timeout* timeout : timeouts) {
    if (expired.is(*timeout)) return index;
    ++index;
  }
  return -1;
}

}  // namespace

TEST_CASE("a Timeout made outside is CancelledError in the task, and itself after the awaitlet") {
  test::Log log;
  watch(log, "never", [] {});
  CHECK_THROWS_AS(
      green::with_timeout(0.005,
                          [&] { watch(log, "green", [&] { green::awaitlet(calls_green(log)); }); }),
      green::TimeoutExpired);
  CHECK(log.text() ==
        "inner-task:cancelled ~inner-task inner-green:timeout outer-task:timeout ~outer-task "
        "green:timeout");
}

TEST_CASE("a Timeout made inside a coroutine is itself at that coroutine's suspension point") {
  auto body = []() -> aio::task<std::string> {
    const green::Timeout timeout(0.005);
    try {
      co_await aio::sleep(100);
    } catch (const green::TimeoutExpired& expired) {
      co_return expired.is(timeout) ? "its own" : "another";
    }
    co_return "none";
  };
  CHECK(green::awaitlet(body()) == "its own");
}

TEST_CASE("a second kill waits while the first unwinds; a Timeout made there works") {
  test::Log log;
  struct Cleanup {
    test::Log& log;
    ~Cleanup() {
      green::sleep(0.005);
      log(green::move_on_after(0.005, [] { green::sleep(100); }) ? "finished" : "timed-out");
      log("cleaned");
    }
  };
  auto victim = green::spawn([&] {
    const Cleanup cleanup{log};
    green::sleep(100);
  });
  green::sleep(0);
  victim.kill();
  victim.kill();
  CHECK_FALSE(victim.dead());
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "timed-out cleaned");
}

TEST_CASE("nested Timeouts: the earliest fires first, each caught by its owner alone") {
  for (const double inner : {0.002, 0.02}) {
    const double outer = 0.022 - inner;
    std::string caught;
    try {
      const green::Timeout first(outer);
      try {
        const green::Timeout second(inner);
        try {
          green::sleep(100);
        } catch (const green::TimeoutExpired& expired) {
          caught = expired.is(second) ? "inner" : expired.is(first) ? "outer" : "neither";
        }
      } catch (const green::TimeoutExpired&) {
        caught += " again";
      }
    } catch (const green::TimeoutExpired&) {
      caught += " again";
    }
    CHECK(caught == (inner < outer ? "inner" : "outer"));
  }
}

TEST_CASE("an outer Timeout that fires while the task cleans up after an inner one is not lost") {
  auto cleans_slowly = []() -> aio::task<void> {
    try {
      co_await aio::sleep(100);
    } catch (const aio::CancelledError&) {
    }
    co_await aio::sleep(0.05);
  };
  std::string seen = "none";
  try {
    const green::Timeout outer(0.02);
    green::with_timeout_or(0.005, 0, [&] { green::awaitlet(cleans_slowly()); });
    green::sleep(100);
  } catch (const green::TimeoutExpired& expired) {
    seen = expired.what();
  }
  CHECK(seen == "0.02 seconds");
}

TEST_CASE("a Timeout of zero interrupts the next wait, a yield included") {
  const green::Timeout timeout(0);
  CHECK_THROWS_AS(green::sleep(0), green::TimeoutExpired);
}

TEST_CASE("a Timeout that outlives its green thread fires into nobody") {
  std::unique_ptr<green::Timeout> timeout;
  green::spawn([&] { timeout = std::make_unique<green::Timeout>(0.001); }).wait();
  green::sleep(0.01);
  CHECK_FALSE(timeout->pending());
}

TEST_CASE("wait_for inside awaitlet inside with_timeout: each limit is thrown where it was made") {
  auto limited = [](double inner) -> aio::task<std::string> {
    try {
      co_await aio::wait_for(swallows(), inner);
    } catch (const aio::TimeoutError&) {
      co_return "wait_for";
    }
    co_return "none";
  };
  CHECK(green::with_timeout(10, [&] { return green::awaitlet(limited(0.005)); }) == "wait_for");
  CHECK_THROWS_AS(green::with_timeout(0.005, [&] { return green::awaitlet(limited(10)); }),
                  green::TimeoutExpired);
}

TEST_CASE("catch of std::exception swallows neither kill nor Timeout nor cancel") {
  int swallowed = 0;
  auto stubborn = [&]() -> aio::task<> {
    try {
      co_await aio::sleep(100);
    } catch (const std::exception&) {
      ++swallowed;
    }
  };
  auto in_green = [&] {
    try {
      green::awaitlet(stubborn());
    } catch (const std::exception&) {
      ++swallowed;
    }
  };
  auto victim = green::spawn(in_green);
  green::sleep(0);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK_THROWS_AS(green::with_timeout(0.002, in_green), green::TimeoutExpired);
  auto future = aio::create_task(stubborn());
  green::sleep(0);
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(swallowed == 0);
}

TEST_CASE("a Timeout with an exception of one's own throws that, around tasks too") {
  auto limited = [](auto body) {
    const green::Timeout timeout(0.002, std::runtime_error("too slow"));
    body();
  };
  CHECK_THROWS_WITH_AS(limited([] { green::sleep(100); }), "too slow", std::runtime_error);
  CHECK_THROWS_WITH_AS(limited([] { green::awaitlet(swallows()); }), "too slow",
                       std::runtime_error);
  const auto held = std::make_exception_ptr(std::out_of_range("held"));
  const auto with_pointer = [&] {
    const green::Timeout timeout(0.002, held);
    green::sleep(100);
  };
  CHECK_THROWS_WITH_AS(with_pointer(), "held", std::out_of_range);
}

TEST_CASE("a Timeout of a coroutine around an awaitlet: cancelled below, itself in the coroutine") {
  test::Log log;
  auto body = [&]() -> aio::task<> {
    const green::Timeout timeout(0.002);
    try {
      green::awaitlet(sleeps(log, "inner"));
    } catch (const green::TimeoutExpired& expired) {
      log(expired.is(timeout) ? "own" : "other");
    }
    co_await aio::sleep(0);
    log("goes on");
  };
  green::awaitlet(body());
  CHECK(log.text() == "inner:cancelled ~inner own goes on");
  aio::run(body());
}

TEST_CASE("a Timeout of a coroutine is itself in the coroutines that it awaits") {
  auto outer = []() -> aio::task<std::string> {
    const green::Timeout timeout(0.002);
    co_return co_await what_it_sees(100);
  };
  CHECK(green::awaitlet(outer()) == "timeout");
  CHECK(aio::run(outer()) == "timeout");
}

TEST_CASE("a Timeout that is over within a Shield is thrown at the first wait after it") {
  test::Log log;
  const auto body = [&] {
    const green::Timeout timeout(0.001);
    {
      const green::Shield shield;
      green::sleep(0.01);
      log("shielded");
    }
    log("between");
    green::sleep(0);
  };
  CHECK_THROWS_AS(body(), green::TimeoutExpired);
  CHECK(log.text() == "shielded between");
}

TEST_CASE("a Timeout that is over within a Shield is forgotten when its scope ends first") {
  {
    const green::Shield shield;
    const green::Timeout timeout(0.001);
    green::sleep(0.005);
  }
  green::sleep(0.001);
}

TEST_CASE("a Timeout around waits until an unwinding under it is over, and is still thrown") {
  test::Log log;
  const auto body = [&] {
    const green::Timeout outer(0.003);
    try {
      const SlowEnd end{log, "end"};
      throw std::runtime_error("error");
    } catch (const std::runtime_error&) {
      log("caught");
    }
    green::sleep(100);
  };
  CHECK_THROWS_AS(body(), green::TimeoutExpired);
  CHECK(log.text() == "end:begins end:ends caught");
}

TEST_CASE("three nested Timeouts, whichever is first: its owner alone catches it") {
  for (int first = 0; first < 3; ++first) {
    double after[3] = {100, 100, 100};
    after[first] = 0.002;
    const green::Timeout outer(after[0]);
    int caught = -1;
    const auto body = [&]() -> aio::task<> {
      const green::Timeout middle(after[1]);
      const green::Timeout inner(after[2]);
      try {
        co_await aio::sleep(200);
      } catch (const green::TimeoutExpired& expired) {
        caught = which(expired, {&outer, &middle, &inner});
      } catch (const aio::CancelledError&) {
        caught = 0;  // made outside this awaitlet
      }
    };
    if (first == 0) {
      try {
        green::awaitlet(body());
        FAIL("the outer one was lost");
      } catch (const green::TimeoutExpired& expired) {
        CHECK(expired.is(outer));
      }
    } else {
      green::awaitlet(body());
    }
    CHECK(caught == first);
  }
}

TEST_CASE("two nested Timeouts that are due together are both thrown, each once") {
  test::Log log;
  const auto body = [&] {
    const green::Timeout outer(0.002);
    try {
      const green::Timeout inner(0.001);
      {
        const green::Shield shield;
        green::sleep(0.01);
      }
      try {
        green::sleep(100);
      } catch (const green::TimeoutExpired& expired) {
        log(expired.is(inner) ? "inner" : "outer");
      }
      green::sleep(100);
    } catch (const green::TimeoutExpired& expired) {
      log(expired.is(outer) ? "outer" : "inner");
    }
    green::sleep(0.001);
  };
  body();
  CHECK(log.text() == "inner outer");
}

TEST_CASE("move_on_after and with_timeout_or take their own expiry only") {
  CHECK_THROWS_AS(
      green::with_timeout(0.002, [] { green::move_on_after(100, [] { green::sleep(200); }); }),
      green::TimeoutExpired);
  CHECK(green::move_on_after(
      100, [] { CHECK_FALSE(green::move_on_after(0.002, [] { green::awaitlet(swallows()); })); }));
  CHECK(green::with_timeout_or(0.002, 7, [] { return green::awaitlet(aio::sleep(100, 1)); }) == 7);
  CHECK(green::with_timeout_or(100, 7, [] { return green::awaitlet(aio::sleep(0, 1)); }) == 1);
  CHECK_THROWS_AS(green::with_timeout_or(100, 7, []() -> int { throw green::TimeoutExpired(1); }),
                  green::TimeoutExpired);
}

TEST_CASE("a Timeout that is cancelled or over can be started again") {
  green::Timeout timeout(0.002);
  CHECK(timeout.pending());
  CHECK_THROWS_AS(timeout.start(), std::logic_error);
  timeout.cancel();
  CHECK_FALSE(timeout.pending());
  green::sleep(0.005);
  timeout.start();
  CHECK_THROWS_AS(green::sleep(100), green::TimeoutExpired);
  CHECK_FALSE(timeout.pending());
  timeout.start();
  CHECK_THROWS_AS(green::awaitlet(swallows()), green::TimeoutExpired);
  const green::Timeout never(std::nullopt);
  green::sleep(0.001);
}

TEST_CASE("of an outer limit and an inner wait_for, both over, the outer one wins in the end") {
  auto slow_to_end = []() -> aio::task<> {
    try {
      co_await aio::sleep(100);
    } catch (const aio::CancelledError&) {
    }
    co_await aio::sleep(0.01);
  };
  auto limited = [&]() -> aio::task<std::string> {
    try {
      co_await aio::wait_for(slow_to_end(), 0.001);
    } catch (const aio::TimeoutError&) {
    }
    co_await aio::sleep(100);
    co_return "not reached";
  };
  CHECK_THROWS_AS(green::with_timeout(0.005, [&] { green::awaitlet(limited()); }),
                  green::TimeoutExpired);
}

TEST_CASE("wait_for inside awaitlet: a kill is CancelledError at both, and a kill outside") {
  test::Log log;
  auto limited = [&]() -> aio::task<> {
    try {
      co_await aio::wait_for(sleeps(log, "inner"), 100);
    } catch (const aio::CancelledError&) {
      log("outer:cancelled");
      throw;
    }
  };
  auto victim = green::spawn([&] { green::awaitlet(limited()); });
  green::sleep(0);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "inner:cancelled ~inner outer:cancelled");
}

TEST_CASE("is_timeout tells what means that time was over") {
  const auto of = [](auto error) { return green::is_timeout(std::make_exception_ptr(error)); };
  CHECK(of(green::TimeoutExpired(1)));
  CHECK(of(aio::TimeoutError()));
  CHECK(of(std::system_error(ETIMEDOUT, std::generic_category())));
  CHECK_FALSE(of(std::system_error(EBADF, std::generic_category())));
  CHECK_FALSE(of(std::runtime_error("timed out")));
  CHECK_FALSE(of(green::GreenletExit()));
  CHECK_FALSE(green::is_timeout(nullptr));
}
