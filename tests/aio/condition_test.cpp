#include <aio/condition.hpp>

#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <mutex>
#include <stdexcept>

namespace {

using test::Log;

aio::task<> waiter(aio::Condition& on, Log& log, std::string name) {
  co_await on.acquire();
  const std::lock_guard guard(on, std::adopt_lock);
  const bool notified = co_await on.wait();  // a CHECK would swallow a cancellation
  CHECK(notified);
  CHECK(on.locked());
  log(name);
}
void notify(aio::Condition& condition, int count) {
  green::awaitlet(condition.acquire());
  const std::lock_guard guard(condition, std::adopt_lock);
  condition.notify(count);
}

}  // namespace

TEST_CASE("notify wakes the first of those who wait, notify_all all of them") {
  aio::Condition condition;
  Log log;
  auto a = aio::create_task(waiter(condition, log, "a"));
  auto b = green::spawn([&] { green::awaitlet(waiter(condition, log, "b")); });
  auto c = aio::create_task(waiter(condition, log, "c"));
  auto d = aio::create_task(waiter(condition, log, "d"));
  green::sleep(0.001);
  CHECK(!condition.locked());
  notify(condition, 1);
  green::sleep(0.001);
  CHECK(log.text() == "a");
  notify(condition, 2);
  green::sleep(0.001);
  CHECK(log.text() == "a b c");
  green::awaitlet(condition.acquire());
  condition.notify_all();
  condition.notify_all();
  green::sleep(0.001);
  CHECK(log.text() == "a b c");  // it has to wait for the lock
  condition.release();
  green::awaitlet(d);
  CHECK(log.text() == "a b c d");
  CHECK(!condition.locked());
}

TEST_CASE("wait and notify without the lock are logic_error") {
  aio::Condition condition;
  CHECK_THROWS_AS(condition.notify(), std::logic_error);
  CHECK_THROWS_AS(condition.notify_all(), std::logic_error);
  CHECK_THROWS_AS(condition.release(), std::logic_error);
  CHECK_THROWS_AS(green::awaitlet(condition.wait()), std::logic_error);
}

TEST_CASE("notify of none wakes nobody, of fewer is invalid_argument") {
  aio::Condition condition;
  Log log;
  auto waiting = aio::create_task(waiter(condition, log, "only"));
  green::sleep(0);
  notify(condition, 0);
  green::awaitlet(condition.acquire());
  CHECK_THROWS_AS(condition.notify(-1), std::invalid_argument);
  condition.release();
  green::sleep(0);
  CHECK(log.text().empty());
  notify(condition, 1);
  green::awaitlet(waiting);
  CHECK(log.text() == "only");
}

TEST_CASE("wait_for waits until the predicate holds, and gives what it gave") {
  aio::Condition condition;
  int value = 0;
  auto body = [](aio::Condition& on, int& at) -> aio::task<int> {
    co_await on.acquire();
    const std::lock_guard guard(on, std::adopt_lock);
    co_return co_await on.wait_for([&at] { return at >= 2 ? at : 0; });
  };
  auto result = aio::create_task(body(condition, value));
  green::sleep(0.001);
  value = 1;
  notify(condition, 1);
  green::sleep(0.001);
  CHECK(!result.done());
  value = 2;
  notify(condition, 1);
  CHECK(green::awaitlet(result) == 2);
}

TEST_CASE("a cancelled waiter has the lock when it goes, and gives it back") {
  aio::Condition condition;
  bool had_it = false;
  auto body = [](aio::Condition& on, bool& locked) -> aio::task<> {
    co_await on.acquire();
    try {
      co_await on.wait();
    } catch (const aio::CancelledError&) {
      locked = on.locked();
      on.release();
      throw;
    }
  };
  auto cancelled = aio::create_task(body(condition, had_it));
  green::sleep(0);
  green::awaitlet(condition.acquire());
  cancelled.cancel();
  green::sleep(0.001);
  CHECK(!cancelled.done());  // the lock is held here
  condition.release();
  CHECK_THROWS_AS(green::awaitlet(cancelled), aio::CancelledError);
  CHECK(had_it);
  CHECK(!condition.locked());
}

TEST_CASE("a notification that its waiter did not live to use goes to the next") {
  aio::Condition condition;
  Log log;
  auto first = aio::create_task(waiter(condition, log, "first"));
  auto second = aio::create_task(waiter(condition, log, "second"));
  green::sleep(0);
  notify(condition, 1);
  first.cancel();
  green::awaitlet(second);
  CHECK(first.cancelled());
  CHECK(log.text() == "second");
}

TEST_CASE("several conditions of one lock") {
  aio::Lock lock;
  aio::Condition full(lock);
  aio::Condition empty(lock);
  int item = 0;
  auto producer = [](aio::Lock& with, aio::Condition& to_fill, aio::Condition& to_take,
                     int& place) -> aio::task<> {
    for (int i = 1; i <= 3; ++i) {
      co_await with.acquire();
      const std::lock_guard guard(with, std::adopt_lock);
      co_await to_fill.wait_for([&place] { return place == 0; });
      place = i;
      to_take.notify();
    }
  };
  auto task = aio::create_task(producer(lock, empty, full, item));
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    green::awaitlet(lock.acquire());
    green::awaitlet(full.wait_for([&item] { return item != 0; }));
    sum += std::exchange(item, 0);
    empty.notify();
    lock.release();
  }
  green::awaitlet(task);
  CHECK(sum == 6);
}
