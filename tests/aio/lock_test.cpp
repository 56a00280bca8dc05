#include <aio/lock.hpp>

#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <mutex>
#include <stdexcept>

TEST_CASE("only one holds it, and it goes on in the order of asking") {
  aio::Lock lock;
  test::Log log;
  auto hold = [](aio::Lock& with, test::Log& to, std::string name) -> aio::task<> {
    CHECK(co_await with.acquire());
    const std::lock_guard guard(with, std::adopt_lock);
    to(name + "+");
    co_await aio::sleep(0.001);
    to(name + "-");
  };
  auto a = aio::create_task(hold(lock, log, "a"));
  auto b = green::spawn([&] { green::awaitlet(hold(lock, log, "b")); });
  auto c = aio::create_task(hold(lock, log, "c"));
  green::sleep(0);
  CHECK(lock.locked());
  b.wait();
  green::awaitlet(a);
  green::awaitlet(c);
  CHECK(log.text() == "a+ a- b+ b- c+ c-");
  CHECK(!lock.locked());
}

TEST_CASE("release of a lock that is not locked is logic_error") {
  aio::Lock lock;
  CHECK_THROWS_AS(lock.release(), std::logic_error);
  green::awaitlet(lock.acquire());
  lock.release();
  CHECK_THROWS_AS(lock.release(), std::logic_error);
}

TEST_CASE("who gives up leaves the lock to the next") {
  aio::Lock lock;
  green::awaitlet(lock.acquire());
  CHECK_THROWS_AS(aio::run(aio::wait_for(lock.acquire(), 0.001)), aio::TimeoutError);
  auto victim = green::spawn([&] { green::awaitlet(lock.acquire()); });
  auto next = green::spawn([&] { return green::awaitlet(lock.acquire()); });
  green::sleep(0);
  lock.release();
  victim.kill();
  CHECK(next.wait());
  CHECK(lock.locked());
}

TEST_CASE("an acquire that is never awaited takes nothing") {
  aio::Lock lock;
  { auto dropped = lock.acquire(); }
  CHECK(!lock.locked());
}
