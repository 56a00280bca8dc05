#include <green/latch.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <memory>
#include <stdexcept>

TEST_CASE("those who wait go on when it is at zero, and for good") {
  green::latch latch(3);
  test::Log log;
  auto waiter = green::spawn([&] {
    latch.wait();
    log("waiter");
  });
  auto task = aio::create_task([](green::latch& door, test::Log& to) -> aio::task<void> {
    co_await door.wait_async();
    to("task");
  }(latch, log));
  green::sleep(0);
  latch.count_down();
  latch.count_down(0);
  green::sleep(0);
  CHECK_FALSE(latch.try_wait());
  CHECK(log.text().empty());
  latch.count_down(2);
  CHECK(latch.try_wait());
  CHECK(log.text().empty());
  waiter.wait();
  green::awaitlet(task);
  CHECK(log.text() == "waiter task");
  latch.wait();
  latch.arrive_and_wait(0);
}

TEST_CASE("arrive_and_wait counts down and waits, green or not") {
  green::latch latch(3);
  test::Log log;
  auto one = green::spawn([&] {
    latch.arrive_and_wait();
    log("one");
  });
  auto two = aio::create_task(aio::as_task(latch.arrive_and_wait_async()));
  green::sleep(0);
  CHECK(log.text().empty());
  latch.arrive_and_wait();
  green::awaitlet(two);
  one.wait();
  CHECK(log.text() == "one");
}

TEST_CASE("a latch of nothing is open") {
  const green::latch latch(0);
  CHECK(latch.try_wait());
  latch.wait();
  CHECK(green::latch::max() > 1'000'000);
}

TEST_CASE("one that is interrupted has arrived; others are not disturbed") {
  green::latch latch(2);
  auto killed = green::spawn([&] { latch.arrive_and_wait(); });
  auto waiter = green::spawn([&] { latch.wait(); });
  green::sleep(0);
  killed.kill();
  CHECK_FALSE(green::move_on_after(0.001, [&] { latch.wait(); }));
  CHECK_FALSE(latch.try_wait());
  latch.count_down();
  waiter.wait();
  CHECK(latch.try_wait());
}

TEST_CASE("it may be destroyed when it is open, before those who waited have run") {
  auto latch = std::make_unique<green::latch>(1);
  auto waiter = green::spawn([&] { latch->wait(); });
  auto killed = green::spawn([&] { latch->wait(); });
  green::sleep(0);
  latch->count_down();
  latch.reset();
  killed.kill();
  waiter.wait();
}

TEST_CASE("misuse is an invalid_argument that names the number, and changes nothing") {
  CHECK_THROWS_WITH_AS(green::latch(-1), doctest::Contains("-1"), std::invalid_argument);
  green::latch latch(2);
  CHECK_THROWS_WITH_AS(latch.count_down(3), doctest::Contains("3 of 2"), std::invalid_argument);
  CHECK_THROWS_AS(latch.count_down(-1), std::invalid_argument);
  CHECK_THROWS_AS(latch.arrive_and_wait(3), std::invalid_argument);
  latch.count_down(2);
  CHECK(latch.try_wait());
  CHECK_THROWS_AS(latch.count_down(), std::invalid_argument);
}

TEST_CASE("in a libuv callback it can be counted down, not waited for") {
  green::latch latch(1);
  auto waiter = green::spawn([&] { latch.wait(); });
  green::sleep(0);
  test::in_libuv_callback([&] {
    CHECK_THROWS_AS(latch.wait(), green::NoAwaitletContext);
    latch.count_down();
    latch.wait();
  });
  waiter.wait();
}
