// How deep and how long chains of tasks may be on the stack of one green thread, 256 KiB. Compiled
// a second time without optimisation, where no call becomes a jump.

#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>
#include <green/awaitlet.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

constexpr int rounds = 1'000'000;
constexpr int depth = 100'000;

aio::task<int> one() { co_return 1; }
aio::task<> nothing() { co_return; }

// Awaits itself so deep, and at the bottom a Future; counts the frames.
aio::task<int> down(int levels, aio::Future<int> bottom, int& alive) {
  const test::Counted counted(alive);
  if (levels == 0) co_return co_await bottom;
  co_return 1 + co_await down(levels - 1, bottom, alive);
}

// The same, but each level catches what comes up, and lets it go on.
aio::task<int> down_catching(int levels, aio::Future<int> bottom, int& caught) {
  try {
    if (levels == 0) co_return co_await bottom;
    co_return 1 + co_await down_catching(levels - 1, bottom, caught);
  } catch (...) {
    ++caught;
    throw;
  }
}

// Tasks made first and then awaited, each owned by the next.
aio::task<int> wrap(std::optional<aio::task<int>> inner) {
  if (!inner) co_return 0;
  co_return 1 + co_await std::move(*inner);
}
aio::task<int> wrapped(int levels) {
  auto chain = wrap(std::nullopt);
  for (int i = 0; i < levels; ++i) chain = wrap(std::move(chain));
  return chain;
}

// A loop in a green thread, by awaitlet, and in a top-level task.
template <class F>
void in_both(F work) {
  test::in_green_thread([&] { green::awaitlet(work()); });
  test::in_green_thread([&] { aio::run(work()); });
}

}  // namespace

TEST_CASE("a million co_awaits of ready tasks in a loop") {
  auto loop = []() -> aio::task<> {
    int sum = 0;
    for (int i = 0; i < rounds; ++i) {
      sum += co_await one();
      co_await nothing();
    }
    CHECK(sum == rounds);
  };
  in_both(loop);
}

TEST_CASE("a million co_awaits of Futures that are done, and of operations that need no wait") {
  auto done = aio::Future<int>::create();
  done.set_result(1);
  auto finished = green::spawn([] { return 1; });
  finished.wait();
  auto loop = [&]() -> aio::task<> {
    int sum = 0;
    for (int i = 0; i < rounds; ++i) sum += co_await done + co_await finished;
    CHECK(sum == 2 * rounds);
  };
  in_both(loop);
}

TEST_CASE("a million awaitlets in one coroutine") {
  auto done = aio::Future<int>::create();
  done.set_result(1);
  auto loop = [&]() -> aio::task<> {
    int sum = 0;
    for (int i = 0; i < rounds; ++i) sum += green::awaitlet(one()) + green::awaitlet(done);
    CHECK(sum == 2 * rounds);
    co_return;
  };
  in_both(loop);
}

TEST_CASE("a million waits in one coroutine, and in a task below it") {
  auto pause = []() -> aio::task<> { co_await aio::sleep(0); };
  auto loop = [&]() -> aio::task<> {
    for (int i = 0; i < rounds / 2; ++i) {
      co_await aio::sleep(0);
      co_await pause();
    }
  };
  in_both(loop);
}

TEST_CASE("a hundred thousand tasks that await each other give their result") {
  int alive = 0;
  auto bottom = aio::Future<int>::create();
  auto work = [&]() -> aio::task<> { CHECK(co_await down(depth, bottom, alive) == depth + 7); };
  test::in_green_thread([&] {
    auto thread = green::spawn([&] { green::awaitlet(work()); });
    auto task = aio::create_task(work());
    green::sleep(0);
    CHECK(alive == 2 * (depth + 1));
    bottom.set_result(7);
    thread.wait();
    aio::run(task);
  });
  CHECK(alive == 0);
  test::in_green_thread([&] { CHECK(green::awaitlet(down(depth, bottom, alive)) == depth + 7); });
}

TEST_CASE("an exception goes up through a hundred thousand tasks") {
  const test::Quiet quiet;
  int alive = 0, caught = 0;
  auto bottom = aio::Future<int>::create();
  test::in_green_thread([&] {
    auto thread = green::spawn([&] { green::awaitlet(down(depth, bottom, alive)); });
    auto task = aio::create_task(down_catching(depth, bottom, caught));
    green::sleep(0);
    bottom.set_exception(std::make_exception_ptr(std::runtime_error("bottom")));
    CHECK_THROWS_WITH_AS(thread.wait(), "bottom", std::runtime_error);
    CHECK_THROWS_WITH_AS(aio::run(task), "bottom", std::runtime_error);
  });
  CHECK(alive == 0);
  CHECK(caught == depth + 1);
}

TEST_CASE("a cancellation goes up through a hundred thousand tasks") {
  int alive = 0, caught = 0;
  test::in_green_thread([&] {
    const auto never = aio::Future<int>::create(), never_either = aio::Future<int>::create();
    auto task = aio::create_task(down_catching(depth, never, caught));
    auto thread = green::spawn([&] { green::awaitlet(down(depth, never_either, alive)); });
    green::sleep(0);
    task.cancel();
    CHECK_THROWS_AS(aio::run(task), aio::CancelledError);
    thread.kill();
    CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
    auto limited = aio::wait_for(down(depth, aio::Future<int>::create(), alive), 0.001);
    CHECK_THROWS_AS(green::awaitlet(std::move(limited)), aio::TimeoutError);
  });
  CHECK(alive == 0);
  CHECK(caught == depth + 1);
}

TEST_CASE("a hundred thousand tasks that own each other are awaited") {
  test::in_green_thread([] { CHECK(green::awaitlet(wrapped(depth)) == depth); });
}

TEST_CASE("a hundred thousand top-level tasks that await each other's Futures") {
  auto link = [](aio::Future<int> before) -> aio::task<int> { co_return 1 + co_await before; };
  test::in_green_thread([&] {
    for (const bool cancelled : {false, true}) {
      const auto first = aio::Future<int>::create();
      aio::Future<int> last = first;
      for (int i = 0; i < depth; ++i) last = aio::create_task(link(last));
      green::sleep(0);
      if (cancelled) {
        last.cancel();
        CHECK_THROWS_AS(aio::run(last), aio::CancelledError);
      } else {
        auto copy = first;
        copy.set_result(0);
        CHECK(aio::run(last) == depth);
      }
    }
  });
}

namespace {

// A coroutine of another library, which owns what it awaits.
struct Foreign {
  struct promise_type {
    Foreign get_return_object() {
      return Foreign(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  explicit Foreign(std::coroutine_handle<promise_type> h) noexcept : handle(h) {}
  Foreign(Foreign&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Foreign() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};
Foreign owner(aio::task<int> work) { co_await std::move(work); }

}  // namespace

TEST_CASE("a chain of a hundred thousand tasks is destroyed while it is suspended") {
  int alive = 0;
  test::in_green_thread([&] {
    {
      const Foreign suspended = owner(down(depth, aio::Future<int>::create(), alive));
      green::sleep(0);
      CHECK(alive == depth + 1);
    }
    CHECK(alive == 0);
  });
}
