#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/sleep.hpp>
#include <green/awaitlet.hpp>
#include <green/event.hpp>
#include <green/mutex.hpp>
#include <green/queue.hpp>
#include <green/semaphore.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <vector>

TEST_CASE("async_def_strict refuses a function that never waited") {
  const test::Quiet quiet;
  auto ready = [](int value) -> aio::task<int> { co_return value; };
  CHECK(aio::run(aio::async_def_strict([&] { return green::awaitlet(ready(3)); })) == 3);
  aio::run(aio::async_def_strict([] { green::sleep(0); }));
  aio::run(aio::async_def_strict([](int) { green::spawn([] {}).wait(); }, 5));
  CHECK_THROWS_AS(aio::run(aio::async_def_strict([] { return 1; })), green::NoAwaitOccurred);
  CHECK_THROWS_AS(aio::run(aio::async_def_strict([] {})), green::NoAwaitOccurred);
  CHECK_THROWS_AS(aio::run(aio::async_def_strict([] { throw std::runtime_error("mine"); })),
                  std::runtime_error);
  auto owned = aio::async_def_strict([] {
    green::sleep(0.001);
    return std::make_unique<int>(7);
  });
  CHECK(*aio::run(std::move(owned)) == 7);
}

TEST_CASE("for async_def_strict a blocking call that needed no wait is one too") {
  const test::Quiet quiet;
  green::Queue<int> queue;
  queue.put(1);
  green::Semaphore semaphore;
  green::mutex mutex;
  green::shared_mutex shared;
  green::recursive_mutex recursive;
  green::Event<int> event;
  event.send(1);
  auto finished = green::spawn([] {});
  finished.wait();
  auto done = aio::Future<int>::create();
  done.set_result(1);
  auto strict = [](std::function<void()> f) { aio::run(aio::async_def_strict(std::move(f))); };
  strict([] { green::sleep(0); });
  strict([&] { queue.get(); });
  strict([&] { queue.put(1); });
  strict([&] { semaphore.acquire(); });
  strict([&] { const std::lock_guard lock(mutex); });
  strict([&] { const std::lock_guard lock(shared); });
  strict([&] { const std::shared_lock lock(shared); });
  strict([&] { const std::lock_guard lock(recursive); });
  strict([&] { event.wait(); });
  strict([&] { finished.wait(); });
  strict([&] { finished.kill(); });
  strict([&] { green::awaitlet(done); });
  auto refused = [&](std::function<void()> f) {
    CHECK_THROWS_AS(strict(f), green::NoAwaitOccurred);
  };
  refused([&] { CHECK(semaphore.try_acquire() == false); });
  refused([&] { CHECK(queue.try_get() == 1); });
  refused([&] { CHECK(done.result() == 1); });
  refused([&] { green::spawn([] { green::sleep(0); }); });
}

TEST_CASE("async_def_strict functions side by side are watched one by one") {
  const test::Quiet quiet;
  auto calm = aio::async_def_strict([] { return 1; });
  auto waits = aio::async_def_strict([] {
    green::sleep(0);
    return 2;
  });
  auto inner = aio::async_def_strict([] {
    auto never = aio::async_def_strict([] { return 3; });
    CHECK_THROWS_AS(green::awaitlet(std::move(never)), green::NoAwaitOccurred);
    return 4;
  });
  std::vector<aio::Future<int>> all;
  all.push_back(aio::create_task(std::move(waits)));
  all.push_back(aio::create_task(std::move(calm)));
  all.push_back(aio::create_task(std::move(inner)));
  CHECK(aio::run(all[0]) == 2);
  CHECK_THROWS_AS(aio::run(all[1]), green::NoAwaitOccurred);
  CHECK(aio::run(all[2]) == 4);
}
