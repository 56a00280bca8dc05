#include <green/condition_variable.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/semaphore.hpp>

#include <memory>
#include <shared_mutex>
#include <system_error>

namespace {

struct Shared {
  green::mutex mutex;
  green::condition_variable condition;
  int ready = 0;
  test::Log log;

  auto waiter(std::string name) {
    return green::spawn([this, name = std::move(name)] {
      std::unique_lock lock(mutex);
      condition.wait(lock);
      CHECK(lock.owns_lock());
      log(name);
    });
  }
};

// Whether the caller has it: nobody else does, and it may unlock.
bool owns(green::mutex& mutex) {
  if (green::spawn([&] { return mutex.try_lock(); }).wait()) return false;
  mutex.unlock();
  mutex.lock();
  return true;
}

aio::task<void> wait_in_task(Shared& shared, std::string name) {
  co_await shared.mutex.lock_async();
  std::unique_lock lock(shared.mutex, std::adopt_lock);
  co_await shared.condition.wait_async(lock);
  shared.log(name);
}

}  // namespace

TEST_CASE("wait releases the lock, and has it again when it returns") {
  Shared shared;
  auto waiter = green::spawn([&] {
    std::unique_lock lock(shared.mutex);
    shared.condition.wait(lock, [&] { return shared.ready == 2; });
    CHECK(owns(shared.mutex));
    return shared.ready;
  });
  for (int i = 0; i < 2; ++i) {
    green::sleep(0);
    const std::lock_guard lock(shared.mutex);
    ++shared.ready;
    shared.condition.notify_one();
  }
  CHECK(waiter.wait() == 2);
  CHECK(shared.mutex.try_lock());
  shared.mutex.unlock();
}

TEST_CASE("notify_one wakes the first who came, notify_all all, neither switches") {
  Shared shared;
  auto a = shared.waiter("a");
  auto b = shared.waiter("b");
  auto c = shared.waiter("c");
  green::sleep(0);
  shared.condition.notify_one();
  CHECK(shared.log.text().empty());
  green::sleep(0);
  CHECK(shared.log.text() == "a");
  shared.condition.notify_all();
  c.wait();
  CHECK(shared.log.text() == "a b c");
  shared.condition.notify_one();  // nobody keeps it
  auto d = shared.waiter("d");
  green::sleep(0.001);
  CHECK(shared.log.text() == "a b c");
  shared.condition.notify_all();
  d.wait();
}

TEST_CASE("wait_for says whether the time was over, never early") {
  Shared shared;
  std::unique_lock lock(shared.mutex);
  const auto start = std::chrono::steady_clock::now();
  CHECK(shared.condition.wait_for(lock, std::chrono::milliseconds(3)) == std::cv_status::timeout);
  CHECK(shared.condition.wait_until(lock, start + std::chrono::milliseconds(6)) ==
        std::cv_status::timeout);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(6));
  CHECK_FALSE(shared.condition.wait_for(lock, 0.001, [] { return false; }));
  CHECK(shared.condition.wait_for(lock, 0, [] { return true; }));
  CHECK_FALSE(shared.condition.wait_until(lock, start, [] { return false; }));
  auto notifier = green::spawn([&] {
    const std::lock_guard inner(shared.mutex);
    shared.ready = 1;
    shared.condition.notify_all();
  });
  CHECK(shared.condition.wait_for(lock, test::watchdog) == std::cv_status::no_timeout);
  CHECK(shared.condition.wait_for(lock, std::numeric_limits<double>::infinity(),
                                  [&] { return shared.ready == 1; }));
  CHECK(owns(shared.mutex));
}

TEST_CASE("an interrupted wait has the lock again, even if it must wait for it") {
  Shared shared;
  bool owned = false;
  auto waiter = green::spawn([&] {
    std::unique_lock lock(shared.mutex);
    try {
      shared.condition.wait(lock);
    } catch (const green::GreenletExit&) {
      shared.log("exit");
      owned = lock.owns_lock() && !shared.mutex.try_lock();
      throw;
    }
  });
  auto timed = green::spawn([&] {
    std::unique_lock lock(shared.mutex);
    CHECK_FALSE(green::move_on_after(0.001, [&] { shared.condition.wait(lock); }));
    CHECK(owns(shared.mutex));
    shared.log("timeout");
  });
  green::sleep(0);
  shared.mutex.lock();
  waiter.kill();
  waiter.kill();  // waits for the end of the shield
  green::sleep(0.005);
  CHECK(shared.log.text().empty());
  CHECK_FALSE(waiter.dead());
  shared.mutex.unlock();
  CHECK_THROWS_AS(waiter.wait(), green::GreenletExit);
  timed.wait();
  CHECK(owned);
  CHECK(shared.log.entries().size() == 2);
  CHECK(shared.mutex.try_lock());
  shared.mutex.unlock();
}

TEST_CASE("a waiter that is killed after its notification leaves it to the next") {
  Shared shared;
  auto a = shared.waiter("a");
  auto b = shared.waiter("b");
  green::sleep(0);
  shared.condition.notify_one();
  a.kill();
  b.wait();
  CHECK(shared.log.text() == "b");
}

TEST_CASE("it may be destroyed when all were notified, though some are killed before they run") {
  green::mutex mutex;
  for (const bool all : {true, false}) {
    auto condition = std::make_unique<green::condition_variable>();
    auto wait = [&] {
      std::unique_lock lock(mutex);
      condition->wait(lock);
    };
    auto a = green::spawn(wait);
    auto b = green::spawn(wait);
    green::sleep(0);
    if (all) {
      condition->notify_all();
    } else {
      condition->notify_one();
      condition->notify_one();
    }
    condition.reset();
    a.kill();
    b.wait();
    CHECK_THROWS_AS(a.wait(), green::GreenletExit);
  }
}

TEST_CASE("any lock will do") {
  green::Semaphore semaphore;
  green::recursive_mutex recursive;
  green::shared_mutex shared;
  green::condition_variable_any condition;
  int woken = 0;
  auto a = green::spawn([&] {
    semaphore.lock();
    condition.wait(semaphore);
    ++woken;
    semaphore.unlock();
  });
  auto b = green::spawn([&] {
    std::unique_lock lock(recursive);
    condition.wait(lock);
    ++woken;
  });
  auto c = green::spawn([&] {
    std::shared_lock lock(shared);
    condition.wait(lock);
    ++woken;
  });
  green::sleep(0);
  condition.notify_all();
  a.wait();
  b.wait();
  c.wait();
  CHECK(woken == 3);
}

TEST_CASE("coroutines wait as well, and are cancelled with the lock") {
  Shared shared;
  auto task = aio::create_task(wait_in_task(shared, "task"));
  auto cancelled = aio::create_task(wait_in_task(shared, "never"));
  auto thread = shared.waiter("thread");
  green::sleep(0);
  cancelled.cancel();
  green::sleep(0);
  shared.condition.notify_all();
  green::awaitlet(task);
  thread.wait();
  CHECK_THROWS_AS(green::awaitlet(cancelled), aio::CancelledError);
  CHECK(shared.log.text() == "task thread");
  std::unique_lock lock(shared.mutex);
  CHECK(green::awaitlet(shared.condition.wait_for_async(lock, 0.001)) == std::cv_status::timeout);
  CHECK(lock.owns_lock());
  shared.ready = 1;
  green::awaitlet(shared.condition.wait_async(lock, [&] { return shared.ready == 1; }));
}

TEST_CASE("to wait without the lock is a system_error") {
  Shared shared;
  std::unique_lock lock(shared.mutex, std::defer_lock);
  auto code_of = [&](auto call) {
    try {
      call();
    } catch (const std::system_error& error) {
      return static_cast<std::errc>(error.code().value());
    }
    return std::errc();
  };
  const auto refused = std::errc::operation_not_permitted;
  CHECK(code_of([&] { shared.condition.wait(lock); }) == refused);
  CHECK(code_of([&] { shared.condition.wait(shared.mutex); }) == refused);
  CHECK(code_of([&] { shared.condition.wait_for(lock, 1); }) == refused);
  shared.condition.notify_one();
  shared.condition.notify_all();
}

TEST_CASE("in a libuv callback a wait is NoAwaitletContext, and the lock is kept") {
  Shared shared;
  auto waiter = shared.waiter("woken");
  green::sleep(0);
  test::in_libuv_callback([&] {
    std::unique_lock lock(shared.mutex);
    CHECK_THROWS_AS(shared.condition.wait(lock), green::NoAwaitletContext);
    CHECK(lock.owns_lock());
    shared.condition.notify_all();
  });
  waiter.wait();
  CHECK(shared.log.text() == "woken");
}
