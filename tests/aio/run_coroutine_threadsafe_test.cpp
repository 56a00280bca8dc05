#include "../support.hpp"

#include <aio/run_coroutine_threadsafe.hpp>
#include <aio/sleep.hpp>
#include <aio/tasks.hpp>

#include <memory>
#include <stdexcept>
#include <thread>

namespace {

aio::task<int> doubled(int value) {
  co_await aio::sleep(0.001);
  co_return 2 * value;
}

// Runs `body` on an OS thread without a hub, while this hub goes on.
template <class F>
void elsewhere(F body) {
  bool done = false;
  uvlet::Hub& hub = uvlet::Hub::current();
  std::thread thread([&] {
    body(hub);
    hub.post([&] { done = true; });
  });
  while (!done) green::sleep(0.001);
  thread.join();
}

}  // namespace

TEST_CASE("an OS thread runs a task on a hub and waits for its result") {
  int result = 0;
  elsewhere(
      [&](uvlet::Hub& hub) { result = aio::run_coroutine_threadsafe(doubled(21), hub).get(); });
  CHECK(result == 42);
}

TEST_CASE("it runs on the hub's OS thread, as a task") {
  std::thread::id where;
  std::size_t tasks = 0;
  auto look = [](std::thread::id& id, std::size_t& count) -> aio::task<void> {
    id = std::this_thread::get_id();
    count = aio::all_tasks().size();
    co_return;
  };
  elsewhere([&](uvlet::Hub& hub) { aio::run_coroutine_threadsafe(look(where, tasks), hub).get(); });
  CHECK(where == std::this_thread::get_id());
  CHECK(tasks == 1);
}

TEST_CASE("what it throws is thrown by get") {
  auto fails = []() -> aio::task<int> {
    co_await aio::sleep(0);
    throw std::runtime_error("there");
  };
  std::string what;
  elsewhere([&](uvlet::Hub& hub) {
    try {
      aio::run_coroutine_threadsafe(fails(), hub).get();
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
  });
  CHECK(what == "there");
}

TEST_CASE("a task that is cancelled is CancelledError, started or not") {
  int cancelled = 0;
  auto forever = []() -> aio::task<> { co_await aio::sleep(uvlet::Duration::forever()); };
  elsewhere([&](uvlet::Hub& hub) {
    for (const double delay : {0.0, 0.003}) {
      auto future = aio::run_coroutine_threadsafe(forever(), hub);
      hub.post([delay] {
        if (delay > 0) green::sleep(delay);
        for (aio::AnyTask task : aio::all_tasks()) task.cancel();
      });
      try {
        future.get();
      } catch (const aio::CancelledError&) {
        ++cancelled;
      }
    }
  });
  CHECK(cancelled == 2);
}

TEST_CASE("move-only results, and many from many OS threads") {
  auto box = [](int value) -> aio::task<std::unique_ptr<int>> {
    co_await aio::sleep(0);
    co_return std::make_unique<int>(value);
  };
  std::atomic<int> sum{0};
  elsewhere([&](uvlet::Hub& hub) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int j = 0; j < 100; ++j) sum += *aio::run_coroutine_threadsafe(box(j), hub).get();
      });
    for (std::thread& thread : threads) thread.join();
  });
  CHECK(sum == 4 * 4950);
}
