// Every order of green threads and coroutines that wait for each other across the bridge.

#include "harness.hpp"

#include <aio/aio.hpp>

namespace {

using sim::require;
using uvlet::testing::explore;

struct Tracked {
  explicit Tracked(int& counter) : alive(&counter) { ++*alive; }
  Tracked(const Tracked&) = delete;
  Tracked& operator=(const Tracked&) = delete;
  ~Tracked() { --*alive; }
  int* alive;
};

aio::task<int> twice(int value, int& alive) {
  const Tracked tracked(alive);
  co_await aio::sleep(0);
  co_return value * 2;
}

aio::task<int> through_green(int value, int& alive) {
  const Tracked tracked(alive);
  const int half = green::awaitlet(twice(value, alive));  // a green call in a coroutine
  co_return half + co_await green::spawn([value] {
    green::sleep(0);
    return value;
  });
}

}  // namespace

TEST_CASE("three green threads that awaitlet four tasks each get their own results") {
  const auto result = explore([] {
    int alive = 0;
    auto ready = [](int value) -> aio::task<int> { co_return value; };
    auto step = [&](int value) {
      return [&, value] { require(green::awaitlet(ready(value)) == value, "another's result"); };
    };
    sim::act({{step(1), step(2), step(3), step(4)},
              {step(5), step(6), step(7), step(8)},
              {step(9), step(10), step(11), step(12)}},
             [&] { require(alive == 0, "a frame is left"); });
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
  CHECK(result.schedules == sim::orders({4, 4, 4}));
}

TEST_CASE("tasks that suspend give their results to who awaits them, in every order") {
  const auto result = explore([] {
    int alive = 0;
    auto step = [&](int value) {
      return [&, value] { require(green::awaitlet(twice(value, alive)) == 2 * value, "result"); };
    };
    sim::act({{step(1), step(2)}, {step(3), step(4)}, {step(5), step(6)}}, [] {});
    require(alive == 0, "a frame is left");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
  CHECK(result.schedules >= sim::orders({4, 4, 4}));
}

TEST_CASE("a kill at any moment unwinds green, task, green, in every order") {
  int completed = 0, killed = 0;
  const auto result = explore([&] {
    int alive = 0;
    auto victim = green::spawn([&] { return green::awaitlet(through_green(3, alive)); });
    auto killer = green::spawn([&] {
      green::sleep(0);
      victim.kill();
    });
    killer.wait();
    try {
      require(victim.wait() == 9, "a wrong result");
      ++completed;
    } catch (const green::GreenletExit&) {
      ++killed;
    }
    require(alive == 0, "a frame is left");
    green::sleep(0);
  });
  MESSAGE("schedules: ", result.schedules, ", completed ", completed, ", killed ", killed);
  CHECK(result.complete);
  CHECK(completed > 0);
  CHECK(killed > 0);
}

TEST_CASE("gather gives all results or the first error, in every order") {
  const auto result = explore([] {
    int alive = 0;
    auto fails = [](int& counter) -> aio::task<int> {
      const Tracked tracked(counter);
      co_await aio::sleep(0);
      throw std::runtime_error("mine");
    };
    const auto [a, b] = green::awaitlet(aio::gather(twice(1, alive), twice(2, alive)));
    require(a == 2 && b == 4, "results in another's place");
    bool thrown = false;
    try {
      green::awaitlet(aio::gather(twice(1, alive), fails(alive)));
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    require(thrown, "an error was lost");
    uvlet::testing::wait_all_blocked();  // the first error cancels nothing
    require(alive == 0, "a frame is left");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
}

TEST_CASE("cancelling one task of two reaches that one alone, in every order") {
  const auto result = explore([] {
    int alive = 0;
    auto first = aio::create_task(twice(1, alive));
    auto second = aio::create_task(twice(2, alive));
    green::sleep(0);
    first.cancel();
    require(green::awaitlet(second) == 4, "the other was disturbed");
    try {
      require(green::awaitlet(first) == 2, "a wrong result");
    } catch (const aio::CancelledError&) {
    }
    require(first.done(), "cancelled and not done");
    require(alive == 0, "a frame is left");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
}
