#include <aio/semaphore.hpp>

#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <stdexcept>

using test::Log;

TEST_CASE("no more than its value are inside, in the order of asking, in both worlds") {
  aio::Semaphore semaphore(2);
  Log log;
  int inside = 0;
  auto worker = [](aio::Semaphore& with, Log& to, int& count, std::string name) -> aio::task<> {
    CHECK(co_await with.acquire());
    to(name);
    CHECK(++count <= 2);
    co_await aio::sleep(0.001);
    --count;
    with.release();
  };
  auto a = aio::create_task(worker(semaphore, log, inside, "a"));
  auto b = green::spawn([&] { green::awaitlet(worker(semaphore, log, inside, "b")); });
  auto c = aio::create_task(worker(semaphore, log, inside, "c"));
  auto d = green::spawn([&] {
    green::awaitlet(semaphore.acquire());
    log("d");
    semaphore.release();
  });
  green::sleep(0);
  CHECK(semaphore.locked());
  green::awaitlet(a);
  green::awaitlet(c);
  b.wait();
  d.wait();
  CHECK(log.text() == "a b c d");
  CHECK(!semaphore.locked());
}

TEST_CASE("a cancelled waiter, woken or not, takes no permit along") {
  aio::Semaphore semaphore(0);
  auto take = [](aio::Semaphore& from) -> aio::task<> { co_await from.acquire(); };
  auto waiting = aio::create_task(take(semaphore));
  auto woken = aio::create_task(take(semaphore));
  auto last = aio::create_task(take(semaphore));
  green::sleep(0);
  waiting.cancel();
  semaphore.release();  // for `woken`, which is cancelled before it runs
  woken.cancel();
  green::awaitlet(last);
  CHECK(waiting.cancelled());
  CHECK(woken.cancelled());
}

TEST_CASE("misuse") {
  CHECK_THROWS_AS(aio::Semaphore(-1), std::invalid_argument);
  aio::BoundedSemaphore bounded(1);
  CHECK_THROWS_AS(bounded.release(), std::invalid_argument);
  green::awaitlet(bounded.acquire());
  bounded.release();
  CHECK_THROWS_AS(bounded.release(), std::invalid_argument);
  aio::Semaphore semaphore(1);
  semaphore.release();
  green::awaitlet(semaphore.acquire());
  CHECK(!semaphore.locked());
}
