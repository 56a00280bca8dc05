#include <green/semaphore.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <mutex>
#include <stdexcept>

namespace {

auto acquire(green::CappedSemaphore& semaphore) {
  return green::spawn([&] { semaphore.acquire(); });
}
auto release(green::CappedSemaphore& semaphore) {
  return green::spawn([&] { semaphore.release(); });
}

}  // namespace

TEST_CASE("a count below zero, or above the limit, is an invalid_argument that names it") {
  CHECK_THROWS_WITH_AS(green::CappedSemaphore(-1, 3), doctest::Contains("-1"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(green::CappedSemaphore(7, 5), doctest::Contains("7"), std::invalid_argument);
  CHECK_THROWS_AS(green::CappedSemaphore(0, -1), std::invalid_argument);
  CHECK_NOTHROW(green::CappedSemaphore(0, 0));
  CHECK_NOTHROW(green::CappedSemaphore(3, 3));
}

// test_bounded
TEST_CASE("acquire waits at zero, release waits at the limit") {
  green::CappedSemaphore semaphore(2, 3);
  CHECK(semaphore.acquire());
  CHECK(semaphore.acquire());
  auto first = release(semaphore);
  CHECK(semaphore.acquire());
  CHECK(semaphore.balance() == -3);
  semaphore.release();
  semaphore.release();
  semaphore.release();
  CHECK(semaphore.bounded());
  auto second = acquire(semaphore);
  semaphore.release();
  CHECK(semaphore.balance() == 3);
  first.wait();
  second.wait();
}

// test_bounded_with_zero_limit
TEST_CASE("with a limit of zero acquire and release wait for each other") {
  green::CappedSemaphore semaphore(0, 0);
  CHECK(semaphore.locked());
  CHECK(semaphore.bounded());
  auto thread = acquire(semaphore);
  semaphore.release();
  thread.wait();
  CHECK(semaphore.balance() == 0);
  auto other = release(semaphore);
  CHECK(semaphore.acquire());
  other.wait();
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("release returns only when there is room") {
  green::CappedSemaphore semaphore(1, 1);
  auto releaser = release(semaphore);
  green::sleep(0.001);
  CHECK_FALSE(releaser.dead());
  CHECK(semaphore.balance() == 3);  // two to acquire, one who waits to release
  CHECK(semaphore.acquire());
  releaser.wait();
  CHECK(semaphore.balance() == 1);
}

TEST_CASE("balance: what can be acquired minus what can be released, and who waits counts") {
  green::CappedSemaphore semaphore(1, 3);
  CHECK(semaphore.balance() == -1);
  CHECK(semaphore.acquire());
  CHECK(semaphore.balance() == -3);
  auto a = acquire(semaphore);
  auto b = acquire(semaphore);
  green::sleep(0);
  CHECK(semaphore.balance() == -7);
  a.kill();
  CHECK(semaphore.balance() == -5);
  b.kill();
  CHECK(semaphore.balance() == -3);
}

TEST_CASE("locked and bounded tell what would wait") {
  green::CappedSemaphore semaphore(0, 1);
  CHECK(semaphore.locked());
  CHECK_FALSE(semaphore.bounded());
  semaphore.release();
  CHECK_FALSE(semaphore.locked());
  CHECK(semaphore.bounded());
}

TEST_CASE("what does not wait: try_acquire, try_release, and a time of zero") {
  green::CappedSemaphore semaphore(0, 1);
  CHECK_FALSE(semaphore.try_acquire());
  CHECK_FALSE(semaphore.try_acquire_for(0));
  CHECK(semaphore.try_release());
  CHECK_FALSE(semaphore.try_release());
  CHECK(semaphore.try_acquire_for(0));
  CHECK(semaphore.try_release());
  CHECK(semaphore.try_acquire());
  CHECK(semaphore.balance() == -1);
}

TEST_CASE("try_acquire frees the first who waits to release, and the other way round") {
  green::CappedSemaphore semaphore(1, 1);
  auto releaser = release(semaphore);
  green::sleep(0);
  CHECK(semaphore.try_acquire());
  releaser.wait();
  CHECK(semaphore.try_acquire());
  auto acquirer = acquire(semaphore);
  green::sleep(0);
  CHECK(semaphore.try_release());
  acquirer.wait();
  CHECK(semaphore.locked());
}

TEST_CASE("try_acquire_for gives up when the time is over, and leaves nothing") {
  green::CappedSemaphore semaphore(0, 1);
  const uvlet::Time start = uvlet::Hub::get().now();
  CHECK_FALSE(semaphore.try_acquire_for(0.01));
  CHECK(uvlet::Hub::get().now() - start >= 10'000'000);
  CHECK(semaphore.balance() == -1);
  auto waiter = green::spawn([&] { return semaphore.try_acquire_for(test::watchdog); });
  green::sleep(0);
  semaphore.release();
  CHECK(waiter.wait());
  CHECK(semaphore.balance() == -1);
  green::CappedSemaphore rendezvous(0, 0);
  CHECK_FALSE(rendezvous.try_acquire_for(0.001));
  CHECK(rendezvous.balance() == 0);
  CHECK_FALSE(rendezvous.try_release());
}

TEST_CASE("both sides are served in the order of coming") {
  green::CappedSemaphore semaphore(0, 0);
  test::Log log;
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 4; ++i)
    threads.push_back(green::spawn([&, i] {
      semaphore.acquire();
      log("a" + std::to_string(i));
    }));
  green::sleep(0);
  for (int i = 0; i < 4; ++i) semaphore.release();
  for (auto& thread : threads) thread.wait();
  threads.clear();
  for (int i = 0; i < 4; ++i)
    threads.push_back(green::spawn([&, i] {
      semaphore.release();
      log("r" + std::to_string(i));
    }));
  green::sleep(0);
  CHECK_FALSE(threads[0].dead());
  for (int i = 0; i < 4; ++i) semaphore.acquire();
  for (auto& thread : threads) thread.wait();
  CHECK(log.text() == "a0 a1 a2 a3 r0 r1 r2 r3");
}

TEST_CASE("a killed acquirer that was granted leaves its permit to the next") {
  green::CappedSemaphore semaphore(0, 2);
  auto killed = acquire(semaphore);
  auto next = acquire(semaphore);
  green::sleep(0);
  semaphore.release();
  killed.kill();
  next.wait();
  CHECK(semaphore.balance() == -2);
  auto last = acquire(semaphore);
  green::sleep(0);
  semaphore.release();
  last.kill();
  CHECK(semaphore.balance() == 0);
  CHECK(semaphore.try_acquire());
}

TEST_CASE("in a rendezvous too: the permit waits for the next, and releases wait meanwhile") {
  green::CappedSemaphore semaphore(0, 0);
  auto killed = acquire(semaphore);
  green::sleep(0);
  semaphore.release();
  killed.kill();
  CHECK_FALSE(semaphore.locked());
  auto releaser = release(semaphore);
  green::sleep(0);
  CHECK_FALSE(releaser.dead());
  CHECK(semaphore.acquire());
  green::sleep(0);
  CHECK_FALSE(releaser.dead());  // it still waits for one who takes what it brings
  CHECK(semaphore.acquire());
  releaser.wait();
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("a release that is killed while it waits has not happened") {
  green::CappedSemaphore semaphore(1, 1);
  auto killed = release(semaphore);
  auto timed = green::spawn([&] {
    return green::with_timeout_or(0.001, 1, [&] {
      semaphore.release();
      return 0;
    });
  });
  green::sleep(0);
  CHECK(semaphore.balance() == 5);
  killed.kill();
  CHECK(timed.wait() == 1);
  CHECK(semaphore.balance() == 1);
  CHECK(semaphore.acquire());
  CHECK_FALSE(semaphore.try_acquire());
}

TEST_CASE("a release whose permit has been taken has happened: a kill comes after it") {
  green::CappedSemaphore semaphore(0, 0);
  bool released = false;
  auto releaser = green::spawn([&] {
    semaphore.release();
    released = true;
    green::sleep(test::watchdog);
  });
  green::sleep(0);
  CHECK(semaphore.acquire());
  releaser.kill();
  CHECK_THROWS_AS(releaser.wait(), green::GreenletExit);
  CHECK(released);
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("the standard locks work on it") {
  green::CappedSemaphore semaphore(1, 1);
  {
    const std::lock_guard lock(semaphore);
    CHECK(semaphore.locked());
    CHECK_FALSE(semaphore.try_lock());
  }
  CHECK_FALSE(semaphore.locked());
  CHECK(semaphore.try_lock());
  semaphore.unlock();
}

TEST_CASE("a coroutine and a green thread meet, either way") {
  green::CappedSemaphore semaphore(0, 0);
  auto acquiring = aio::create_task([](green::CappedSemaphore& from) -> aio::task<bool> {
    co_return co_await from.acquire_async();
  }(semaphore));
  semaphore.release();
  CHECK(green::awaitlet(acquiring));
  auto releasing = aio::create_task([](green::CappedSemaphore& to) -> aio::task<bool> {
    co_await to.release_async();
    co_return co_await to.try_acquire_for_async(0.001);
  }(semaphore));
  CHECK(semaphore.acquire());
  CHECK_FALSE(green::awaitlet(releasing));
  CHECK(semaphore.balance() == 0);
}

TEST_CASE("cancelled coroutines leave nothing on either side") {
  green::CappedSemaphore semaphore(0, 0);
  auto acquiring = aio::create_task([](green::CappedSemaphore& from) -> aio::task<void> {
    co_await from.acquire_async();
  }(semaphore));
  green::sleep(0.001);
  acquiring.cancel();
  CHECK_THROWS_AS(green::awaitlet(acquiring), aio::CancelledError);
  CHECK(semaphore.balance() == 0);
  auto releasing = aio::create_task([](green::CappedSemaphore& to) -> aio::task<void> {
    co_await to.release_async();
  }(semaphore));
  green::sleep(0.001);
  releasing.cancel();
  CHECK_THROWS_AS(green::awaitlet(releasing), aio::CancelledError);
  CHECK(semaphore.balance() == 0);
  CHECK_FALSE(semaphore.try_acquire());
  CHECK_FALSE(semaphore.try_release());
}

TEST_CASE("who may not wait changes nothing") {
  green::CappedSemaphore semaphore(1, 1);
  const green::Timeout none(0);
  CHECK_THROWS_AS(semaphore.release(), green::TimeoutExpired);
  CHECK(semaphore.balance() == 1);
  CHECK(semaphore.acquire());
  const green::Timeout again(0);
  CHECK_THROWS_AS(semaphore.acquire(), green::TimeoutExpired);
  CHECK(semaphore.balance() == -1);
}
