#include <green/greenthread.hpp>

#include "sleeper.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <memory>
#include <stdexcept>
#include <string>

namespace {

using green::GreenletExit;

using test::Failure;
using test::sleeper;

}  // namespace

TEST_CASE("a coroutine waits with wait_async as a green thread does with wait") {
  const test::Quiet quiet;
  auto thread = green::spawn([] {
    green::sleep(0.001);
    return std::string("value");
  });
  auto failing = green::spawn([]() -> int { throw Failure("async"); });
  auto body = [&]() -> aio::task<std::string> {
    std::string text = co_await thread.wait_async();
    try {
      co_await failing.wait_async();
    } catch (const Failure& failure) {
      text += failure.what();
    }
    const auto moved = co_await green::spawn([] { return std::make_unique<int>(3); }).wait_async();
    co_return text + std::to_string(*moved);
  };
  CHECK(green::awaitlet(body()) == "valueasync3");
  CHECK(aio::run(body()) == "valueasync3");
}

TEST_CASE("co_await of a green thread gives its result") {
  auto body = []() -> aio::task<int> {
    auto kept = green::spawn([] {
      green::sleep(0.001);
      return 4;
    });
    const int first = co_await kept;
    const int again = co_await kept;
    const auto moved = co_await green::spawn([] { return std::make_unique<int>(5); });
    co_await green::spawn([] {});
    co_return first + again + *moved;
  };
  CHECK(green::awaitlet(body()) == 13);
  CHECK(green::awaitlet(green::spawn([] { return 7; })) == 7);
}

TEST_CASE("a green thread's GreenletExit is CancelledError to co_await, itself to wait_async") {
  auto thread = sleeper();
  green::sleep(0);
  thread.kill();
  auto body = [&]() -> aio::task<std::string> {
    std::string seen;
    try {
      co_await thread;
    } catch (const aio::CancelledError&) {
      seen += "cancelled ";
    }
    try {
      co_await thread.wait_async();
    } catch (const GreenletExit&) {
      seen += "exit";
    }
    co_return seen;
  };
  CHECK(green::awaitlet(body()) == "cancelled exit");
}

TEST_CASE("cancelling who co_awaits a green thread kills it; who wait_asyncs leaves it alone") {
  auto killed = sleeper();
  auto left = green::spawn([] {
    green::sleep(0.005);
    return 3;
  });
  auto first = aio::create_task([](auto target) -> aio::task<void> { co_await target; }(killed));
  auto second =
      aio::create_task([](auto target) -> aio::task<void> { co_await target.wait_async(); }(left));
  green::sleep(0.001);
  first.cancel();
  second.cancel();
  CHECK_THROWS_AS(green::awaitlet(first), aio::CancelledError);
  CHECK_THROWS_AS(green::awaitlet(second), aio::CancelledError);
  CHECK(killed.dead());
  CHECK(left.wait() == 3);
}

TEST_CASE("a green thread that is killed while it awaits a coroutine: CancelledError in there") {
  test::Log log;
  auto thread = green::spawn([&] {
    try {
      green::awaitlet([](test::Log& where) -> aio::task<void> {
        try {
          co_await aio::sleep(test::watchdog);
        } catch (const aio::CancelledError&) {
          where("cancelled");
          throw;
        }
      }(log));
    } catch (const GreenletExit&) {
      log("exit");
      throw;
    }
  });
  green::sleep(0);
  thread.kill();
  CHECK(log.text() == "cancelled exit");
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
}

TEST_CASE("sleep has an async twin") {
  auto body = []() -> aio::task<int> {
    co_await green::sleep_async(0.001);
    co_await green::sleep_async();
    co_return 1;
  };
  CHECK(green::awaitlet(body()) == 1);
}

TEST_CASE("a green sleep inside a coroutine suspends just that coroutine") {
  test::Log log;
  auto slow = aio::create_task([](test::Log& where) -> aio::task<void> {
    green::sleep(0.01);
    where("slow");
    co_return;
  }(log));
  auto fast = aio::create_task([](test::Log& where) -> aio::task<void> {
    co_await aio::sleep(0.001);
    where("fast");
  }(log));
  green::awaitlet(slow);
  green::awaitlet(fast);
  CHECK(log.text() == "fast slow");
}
