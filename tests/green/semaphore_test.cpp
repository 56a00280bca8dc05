#include <green/semaphore.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>

namespace {

// Acquires, notes its name, and keeps the permit.
auto note(green::Semaphore& semaphore, test::Log& log, std::string name) {
  return green::spawn([&semaphore, &log, name = std::move(name)] {
    semaphore.acquire();
    log(name);
  });
}

}  // namespace

TEST_CASE("a permit is taken and given back") {
  green::Semaphore semaphore(2);
  CHECK(semaphore.counter() == 2);
  CHECK(semaphore.acquire());
  CHECK(semaphore.acquire());
  CHECK(semaphore.counter() == 0);
  CHECK(semaphore.locked());
  semaphore.release();
  CHECK_FALSE(semaphore.locked());
  CHECK(semaphore.counter() == 1);
  CHECK_FALSE(semaphore.bounded());
  CHECK(green::Semaphore().counter() == 1);
}

TEST_CASE("release beyond the first value adds permits") {
  green::Semaphore semaphore(0);
  semaphore.release();
  semaphore.release();
  CHECK(semaphore.balance() == 2);
}

// test_semaphore_type_check
TEST_CASE("a negative value is an invalid_argument that names it") {
  CHECK_NOTHROW(green::Semaphore(0));
  CHECK_NOTHROW(green::Semaphore(100));
  CHECK_THROWS_WITH_AS(green::Semaphore(-1), doctest::Contains("-1"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(green::BoundedSemaphore(-7), doctest::Contains("-7"), std::invalid_argument);
}

// test_non_blocking
TEST_CASE("try_acquire does not wait") {
  green::Semaphore semaphore(0);
  CHECK_FALSE(semaphore.try_acquire());
  semaphore.release();
  CHECK(semaphore.try_acquire());
  CHECK_FALSE(semaphore.try_acquire());
}

// test_timeout
TEST_CASE("try_acquire_for gives up when the time is over, never early") {
  green::Semaphore semaphore(0);
  const uvlet::Time start = uvlet::Hub::get().now();
  CHECK_FALSE(semaphore.try_acquire_for(0.01));
  CHECK(uvlet::Hub::get().now() - start >= 10'000'000);
  CHECK_FALSE(semaphore.try_acquire_for(std::chrono::milliseconds(1)));
  CHECK(semaphore.balance() == 0);
  semaphore.release();
  CHECK(semaphore.try_acquire_for(test::watchdog));
}

// test_timeout_non_blocking
TEST_CASE("a time of zero, or less, does not wait at all") {
  green::Semaphore semaphore(0);
  bool others_ran = false;
  auto other = green::spawn([&] { others_ran = true; });
  CHECK_FALSE(semaphore.try_acquire_for(0));
  CHECK_FALSE(semaphore.try_acquire_for(-1));
  CHECK_FALSE(others_ran);
  semaphore.release();
  CHECK(semaphore.try_acquire_for(0));
  CHECK_FALSE(others_ran);
  CHECK_THROWS_AS(semaphore.try_acquire_for(std::numeric_limits<double>::quiet_NaN()),
                  std::invalid_argument);
  other.wait();
}

TEST_CASE("try_acquire_for gets what is released in time, and waits for ever if told to") {
  green::Semaphore semaphore(0);
  auto timed = green::spawn([&] { return semaphore.try_acquire_for(test::watchdog); });
  auto patient = green::spawn(
      [&] { return semaphore.try_acquire_for(std::numeric_limits<double>::infinity()); });
  green::sleep(0.001);
  CHECK(semaphore.balance() == -2);
  semaphore.release();
  semaphore.release();
  CHECK(timed.wait());
  CHECK(patient.wait());
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("a permit that comes before the loop sees that the time is over is taken") {
  green::Semaphore semaphore(0);
  auto waiting = [&] { return green::spawn([&] { return semaphore.try_acquire_for(0.001); }); };
  auto waiter = waiting();
  for (test::overdue(0.001); semaphore.balance() == 0; test::overdue(0.001)) waiter = waiting();
  semaphore.release();
  CHECK(waiter.wait());
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("permits are granted in the order of asking, timed or not") {
  green::Semaphore semaphore(0);
  test::Log log;
  std::vector<green::GreenThread<void>> waiters;
  for (int i = 0; i < 6; ++i)
    waiters.push_back(green::spawn([&, i] {
      CHECK((i % 2 ? semaphore.acquire() : semaphore.try_acquire_for(test::watchdog)));
      log(std::to_string(i));
    }));
  green::sleep(0);
  for (int i = 0; i < 6; ++i) semaphore.release();
  for (auto& waiter : waiters) waiter.wait();
  CHECK(log.text() == "0 1 2 3 4 5");
}

TEST_CASE("release never switches, and grants one permit each") {
  green::Semaphore semaphore(0);
  test::Log log;
  auto a = note(semaphore, log, "a");
  auto b = note(semaphore, log, "b");
  green::sleep(0);
  semaphore.release();
  CHECK(log.text().empty());
  green::sleep(0);
  CHECK(log.text() == "a");
  semaphore.release();
  b.wait();
  CHECK(log.text() == "a b");
}

TEST_CASE("nobody overtakes who waits, not even who has just released") {
  green::Semaphore semaphore(0);
  test::Log log;
  auto waiter = note(semaphore, log, "waiter");
  green::sleep(0);
  semaphore.release();
  CHECK_FALSE(semaphore.try_acquire());
  CHECK_FALSE(semaphore.try_acquire_for(0));
  auto releaser = note(semaphore, log, "releaser");
  green::sleep(0);
  CHECK(log.text() == "waiter");
  semaphore.release();
  releaser.wait();
  CHECK(log.text() == "waiter releaser");
}

// test_semaphore_contention
TEST_CASE("two who contend take turns") {
  green::Semaphore mutex;
  int counts[2] = {0, 0};
  auto worker = [&](int number) {
    for (int i = 0; i < 200; ++i) {
      const std::lock_guard lock(mutex);
      ++counts[number];
      CHECK(counts[0] - counts[1] <= 1);
      CHECK(counts[1] - counts[0] <= 1);
      green::sleep(0);
    }
  };
  auto a = green::spawn(worker, 0);
  auto b = green::spawn(worker, 1);
  a.wait();
  b.wait();
}

TEST_CASE("balance counts who waits, and a killed waiter leaves it at once") {
  green::Semaphore semaphore(0);
  test::Log log;
  auto a = note(semaphore, log, "a");
  auto b = note(semaphore, log, "b");
  auto c = green::spawn(
      [&] { return green::with_timeout_or(0.001, false, [&] { return semaphore.acquire(); }); });
  green::sleep(0);
  CHECK(semaphore.balance() == -3);
  CHECK(semaphore.counter() == 0);
  a.kill();
  CHECK(semaphore.balance() == -2);
  CHECK_FALSE(c.wait());
  CHECK(semaphore.balance() == -1);
  semaphore.release();
  b.wait();
  CHECK(log.text() == "b");
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("a waiter that is killed after its grant leaves the permit to the next") {
  green::Semaphore semaphore(0);
  test::Log log;
  auto killed = note(semaphore, log, "killed");
  auto next = note(semaphore, log, "next");
  green::sleep(0);
  semaphore.release();
  killed.kill();
  next.wait();
  CHECK(log.text() == "next");
  CHECK(semaphore.balance() == 0);
  auto last = note(semaphore, log, "last");
  green::sleep(0);
  semaphore.release();
  last.kill();
  CHECK(semaphore.balance() == 1);
  CHECK(semaphore.try_acquire());
}

TEST_CASE("one that is killed before it starts takes nothing") {
  green::Semaphore semaphore(1);
  test::Log log;
  note(semaphore, log, "killed").kill();
  CHECK(semaphore.balance() == 1);
}

TEST_CASE("a Timeout that fires after the grant passes the permit on") {
  green::Semaphore semaphore(0);
  test::Log log;
  auto timed = green::spawn([&] {
    CHECK_FALSE(green::with_timeout_or(0.001, false, [&] { return semaphore.acquire(); }));
    log("timed out");
  });
  auto next = note(semaphore, log, "next");
  green::sleep(0);
  REQUIRE(semaphore.balance() == -2);
  semaphore.release();
  REQUIRE(semaphore.balance() == -1);  // it is the first one's
  test::overdue_before_the_next(0.001);
  timed.wait();
  next.wait();
  CHECK(log.text() == "timed out next");
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("a lock that is free is taken in a Timeout of zero: it does not switch") {
  green::Semaphore semaphore(1);
  const green::Timeout none(0);
  CHECK_NOTHROW(semaphore.acquire());
  CHECK_THROWS_AS(semaphore.acquire(), green::TimeoutExpired);
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("the standard locks work on it") {
  green::Semaphore semaphore(1);
  {
    const std::lock_guard lock(semaphore);
    CHECK(semaphore.locked());
    CHECK_FALSE(semaphore.try_lock());
  }
  {
    const std::unique_lock lock(semaphore, std::try_to_lock);
    CHECK(lock.owns_lock());
  }
  green::BoundedSemaphore bounded(1);
  {
    const std::scoped_lock locks(semaphore, bounded);
    CHECK(semaphore.locked());
    CHECK(bounded.locked());
  }
  CHECK(bounded.counter() == 1);
}

TEST_CASE("an exception gives the lock back") {
  green::Semaphore semaphore(1);
  CHECK_THROWS_AS(
      [&] {
        const std::lock_guard lock(semaphore);
        throw std::runtime_error("in the lock");
      }(),
      std::runtime_error);
  CHECK(semaphore.counter() == 1);
}

TEST_CASE("green threads and coroutines stand in one line") {
  green::Semaphore semaphore(0);
  test::Log log;
  auto coroutine = [](green::Semaphore& from, test::Log& to, std::string name) -> aio::task<bool> {
    const bool got = co_await from.acquire_async();
    to(name);
    co_return got;
  };
  auto timed = [](green::Semaphore& from, test::Log& to) -> aio::task<bool> {
    const bool early = co_await from.try_acquire_for_async(0);
    const bool got = co_await from.try_acquire_for_async(test::watchdog);
    to("timed");
    co_return !early && got;
  };
  auto a = aio::create_task(coroutine(semaphore, log, "a"));
  auto b = note(semaphore, log, "b");
  auto c = aio::create_task(coroutine(semaphore, log, "c"));
  auto d = aio::create_task(timed(semaphore, log));
  green::sleep(0.001);
  CHECK(semaphore.balance() == -4);
  auto releaser = aio::create_task([](green::Semaphore& to) -> aio::task<void> {
    for (int i = 0; i < 4; ++i) {
      to.release();
      co_await aio::sleep(0);
    }
  }(semaphore));
  CHECK(green::awaitlet(a));
  b.wait();
  CHECK(green::awaitlet(c));
  CHECK(green::awaitlet(d));
  green::awaitlet(releaser);
  CHECK(log.text() == "a b c timed");
}

TEST_CASE("a coroutine that is cancelled after its grant leaves the permit to a green thread") {
  green::Semaphore semaphore(0);
  test::Log log;
  auto cancelled = aio::create_task(
      [](green::Semaphore& from) -> aio::task<void> { co_await from.acquire_async(); }(semaphore));
  green::sleep(0.001);
  auto next = note(semaphore, log, "next");
  green::sleep(0);
  semaphore.release();
  cancelled.cancel();
  next.wait();
  CHECK_THROWS_AS(green::awaitlet(cancelled), aio::CancelledError);
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("a coroutine that is destroyed while it waits, or was granted, leaves nothing") {
  green::Semaphore semaphore(0);
  auto waits = [](green::Semaphore& from) -> aio::task<bool> {
    co_return co_await from.acquire_async();
  };
  for (const bool granted : {false, true}) {
    auto thread = green::spawn([&] { return green::awaitlet(waits(semaphore)); });
    green::sleep(0);
    CHECK(semaphore.balance() == -1);
    if (granted) semaphore.release();
    thread.kill();
    CHECK(semaphore.balance() == (granted ? 1 : 0));
  }
}

TEST_CASE("in a libuv callback what need not wait works") {
  green::Semaphore semaphore(1);
  test::in_libuv_callback([&] {
    CHECK(semaphore.acquire());
    CHECK_FALSE(semaphore.try_acquire());
    CHECK_FALSE(semaphore.try_acquire_for(0));
    CHECK_THROWS_AS(semaphore.acquire(), green::NoAwaitletContext);
    CHECK_THROWS_AS(semaphore.try_acquire_for(1), green::NoAwaitletContext);
    semaphore.release();
  });
  CHECK(semaphore.balance() == 1);
}

TEST_CASE("a BoundedSemaphore that is released too often throws, and stays usable") {
  green::BoundedSemaphore semaphore(2);
  CHECK_THROWS_WITH_AS(semaphore.release(), doctest::Contains("too many times"),
                       std::invalid_argument);
  CHECK(semaphore.counter() == 2);
  CHECK(semaphore.acquire());
  semaphore.release();
  CHECK_THROWS_AS(semaphore.unlock(), std::invalid_argument);
  green::Semaphore& base = semaphore;
  CHECK_THROWS_AS(base.release(), std::invalid_argument);
  CHECK(semaphore.acquire());
  CHECK(semaphore.acquire());
  CHECK_FALSE(semaphore.try_acquire());
  auto waiter = green::spawn([&] { return semaphore.acquire(); });
  green::sleep(0);
  semaphore.release();
  CHECK(waiter.wait());
  CHECK(semaphore.balance() == 0);
  CHECK_THROWS_AS(green::BoundedSemaphore(0).release(), std::invalid_argument);
}

TEST_CASE("release beyond the largest int is refused") {
  green::Semaphore semaphore(std::numeric_limits<int>::max());
  CHECK_THROWS_AS(semaphore.release(), std::invalid_argument);
  CHECK(semaphore.acquire());
  CHECK_NOTHROW(semaphore.release());
}

TEST_CASE("who waits for a semaphore that is destroyed can still be killed") {
  auto semaphore = std::make_unique<green::Semaphore>(0);
  auto waiter = green::spawn([source = semaphore.get()] { source->acquire(); });
  green::sleep(0);
  semaphore.reset();
  waiter.kill();
  CHECK_THROWS_AS(waiter.wait(), green::GreenletExit);
}
