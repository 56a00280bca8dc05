#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>

namespace {

using test::Log;

aio::task<int> number(int value) {
  co_await aio::sleep(0.001);
  co_return value;
}
aio::task<int> forever(Log& log) {
  try {
    co_await aio::sleep(uvlet::Duration::forever());
  } catch (const aio::CancelledError&) {
    log("cancelled");
    throw;
  }
  co_return 0;
}

static_assert(std::is_base_of_v<std::runtime_error, aio::TimeoutError>);

}  // namespace

TEST_CASE("wait_for gives the result of what is fast enough") {
  CHECK(aio::run(aio::wait_for(number(3), 10)) == 3);
  CHECK(green::awaitlet(aio::wait_for(number(4), std::chrono::seconds(10))) == 4);
  auto nothing = []() -> aio::task<> { co_return; };
  aio::run(aio::wait_for(nothing(), 10));
}

TEST_CASE("what is too slow is cancelled, and TimeoutError thrown") {
  Log log;
  CHECK_THROWS_AS(aio::run(aio::wait_for(forever(log), 0.005)), aio::TimeoutError);
  CHECK(log.text() == "cancelled");
  CHECK_THROWS_AS(green::awaitlet(aio::wait_for(forever(log), 0.005)), aio::TimeoutError);
  CHECK(log.text() == "cancelled cancelled");
}

TEST_CASE("the limit is not early") {
  Log log;
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(aio::run(aio::wait_for(forever(log), 0.02)), aio::TimeoutError);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(20));
}

TEST_CASE("is_timeout knows TimeoutError") {
  Log log;
  try {
    aio::run(aio::wait_for(forever(log), 0.001));
    FAIL("not reached");
  } catch (...) {
    CHECK(green::is_timeout(std::current_exception()));
  }
}

TEST_CASE("wait_for waits for the end of what it cancelled") {
  Log log;
  auto slow_to_end = [](Log& to) -> aio::task<int> {
    bool cancelled = false;
    try {
      co_await aio::sleep(uvlet::Duration::forever());
    } catch (const aio::CancelledError&) {
      cancelled = true;
    }
    co_await aio::sleep(0.01);
    to(cancelled ? "cleaned" : "?");
    throw aio::CancelledError();
  };
  CHECK_THROWS_AS(aio::run(aio::wait_for(slow_to_end(log), 0.001)), aio::TimeoutError);
  CHECK(log.text() == "cleaned");
}

TEST_CASE("the error of what failed in time is its own") {
  auto fails = []() -> aio::task<int> {
    co_await aio::sleep(0);
    throw std::runtime_error("broken");
  };
  CHECK_THROWS_WITH_AS(aio::run(aio::wait_for(fails(), 10)), "broken", std::runtime_error);
}

TEST_CASE("a task stays part of its caller") {
  auto who = []() -> aio::task<std::uint64_t> { co_return green::getcurrent().id(); };
  CHECK(green::awaitlet(aio::wait_for(who(), 10)) == green::getcurrent().id());
}

TEST_CASE("a limit of zero, or a negative one, is over at the first wait") {
  Log log;
  CHECK_THROWS_AS(aio::run(aio::wait_for(forever(log), 0)), aio::TimeoutError);
  CHECK_THROWS_AS(aio::run(aio::wait_for(forever(log), -1)), aio::TimeoutError);
}

TEST_CASE("a limit of zero lets through what needs no wait") {
  auto ready = []() -> aio::task<int> { co_return 1; };
  CHECK(aio::run(aio::wait_for(ready(), 0)) == 1);
}

TEST_CASE("infinity is no limit") {
  CHECK(aio::run(aio::wait_for(number(1), uvlet::Duration::forever())) == 1);
}

TEST_CASE("move-only results") {
  auto box = []() -> aio::task<std::unique_ptr<int>> { co_return std::make_unique<int>(2); };
  CHECK(*aio::run(aio::wait_for(box(), 10)) == 2);
}

TEST_CASE("wait_for a Future cancels it when the time is over") {
  auto future = aio::Future<int>::create();
  CHECK_THROWS_AS(aio::run(aio::wait_for(future, 0.001)), aio::TimeoutError);
  CHECK(future.cancelled());
}

TEST_CASE("wait_for takes a Future, a GreenThread and an operation") {
  auto future = aio::Future<int>::create();
  future.set_result(1);
  CHECK(aio::run(aio::wait_for(future, 10)) == 1);
  CHECK(aio::run(aio::wait_for(green::spawn([] { return 2; }), 10)) == 2);
  CHECK(aio::run(aio::wait_for(aio::sleep(0, 3), 10)) == 3);
}

TEST_CASE("wait_for a green thread kills it when the time is over") {
  Log log;
  auto thread = green::spawn([&] {
    try {
      green::sleep(uvlet::Duration::forever());
    } catch (const green::GreenletExit&) {
      log("killed");
      throw;
    }
  });
  CHECK_THROWS_AS(aio::run(aio::wait_for(thread, 0.001)), aio::TimeoutError);
  CHECK(thread.dead());
  CHECK(log.text() == "killed");
}

TEST_CASE("what blocks inside is interrupted too") {
  auto blocks = []() -> aio::task<int> {
    green::sleep(uvlet::Duration::forever());
    co_return 1;
  };
  CHECK_THROWS_AS(aio::run(aio::wait_for(blocks(), 0.001)), aio::TimeoutError);
}

TEST_CASE("of nested limits the earlier one is thrown") {
  Log log;
  auto inner_first = [](Log& to) -> aio::task<std::string> {
    try {
      co_await aio::wait_for(forever(to), 0.001);
    } catch (const aio::TimeoutError&) {
      co_return "inner";
    }
    co_return "?";
  };
  CHECK(aio::run(aio::wait_for(inner_first(log), 10)) == "inner");
  CHECK(log.text() == "cancelled");
}

TEST_CASE("an outer limit passes an inner one as a cancellation") {
  Log log;
  auto inner_last = [](Log& to) -> aio::task<int> {
    try {
      co_return co_await aio::wait_for(forever(to), 10);
    } catch (const aio::TimeoutError&) {
      to("inner");
      throw;
    } catch (const aio::CancelledError&) {
      to("outer");
      throw;
    }
  };
  CHECK_THROWS_AS(aio::run(aio::wait_for(inner_last(log), 0.001)), aio::TimeoutError);
  CHECK(log.text() == "cancelled outer");
}

TEST_CASE("cancelling who waits cancels what it waits for, and is no timeout") {
  Log log;
  auto future = aio::create_task(aio::wait_for(forever(log), 10));
  green::sleep(0);
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(log.text() == "cancelled");
}

TEST_CASE("after a timeout the caller goes on as before") {
  Log log;
  auto retry = [](Log& to) -> aio::task<int> {
    int timeouts = 0;
    for (int i = 0; i < 3; ++i) {
      try {
        co_await aio::wait_for(forever(to), 0.001);
      } catch (const aio::TimeoutError&) {
        ++timeouts;
      }
    }
    co_await aio::sleep(0.005);
    co_return timeouts;
  };
  CHECK(aio::run(retry(log)) == 3);
  CHECK(green::awaitlet(retry(log)) == 3);
}
