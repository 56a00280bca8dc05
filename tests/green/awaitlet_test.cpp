#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/gather.hpp>
#include <aio/sleep.hpp>
#include <green/event.hpp>

#include <chrono>
#include <coroutine>
#include <memory>
#include <optional>
#include <thread>

namespace {

aio::task<int> gives(int value) { co_return value; }
aio::task<int> fails() {
  throw std::runtime_error("failed");
  co_return 0;
}
aio::task<int> sleeps_and_gives(double seconds, int value) {
  co_await aio::sleep(seconds);
  co_return value;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// --- awaitables and a coroutine type of another library ----------------------------------------

struct OnAnotherThread {
  int value;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    std::thread([handle] { handle.resume(); }).detach();
  }
  int await_resume() const noexcept { return value; }
};

struct ResumedByHand {
  std::coroutine_handle<>* place;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { *place = handle; }
  std::string await_resume() const { return "by hand"; }
};

struct ReadyAtOnce {
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  std::unique_ptr<int> await_resume() const { return std::make_unique<int>(3); }
};

struct Throws {
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  int await_resume() const { throw std::runtime_error("third party"); }
};

// An eager coroutine that owns its frame.
struct Foreign {
  struct promise_type {
    Foreign get_return_object() {
      return Foreign(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() { error = std::current_exception(); }
    std::exception_ptr error;
  };
  explicit Foreign(std::coroutine_handle<promise_type> h) : handle(h) {}
  Foreign(Foreign&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Foreign() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};

}  // namespace

TEST_CASE("awaitlet gives a task's result, or its exception, without a switch if it is ready") {
  bool other_ran = false;
  auto other = green::spawn([&] { other_ran = true; });
  CHECK(green::awaitlet(gives(4)) == 4);
  CHECK_FALSE(other_ran);
  CHECK_THROWS_WITH_AS(green::awaitlet(fails()), "failed", std::runtime_error);
  CHECK_FALSE(other_ran);
  other.wait();
  auto task = gives(6);
  CHECK(green::awaitlet(std::move(task)) == 6);
}

TEST_CASE("a task that was consumed is a logic error, and the green thread stays usable") {
  auto task = gives(1);
  CHECK(green::awaitlet(std::move(task)) == 1);
  CHECK_THROWS_AS(green::awaitlet(std::move(task)), std::logic_error);
  CHECK(green::awaitlet(gives(2)) == 2);
}

TEST_CASE("ten green threads that each await 100 ms finish together, none before") {
  const auto start = std::chrono::steady_clock::now();
  std::vector<green::GreenThread<double>> threads;
  for (int i = 0; i < 10; ++i)
    threads.push_back(green::spawn([start] {
      green::awaitlet(sleeps_and_gives(0.1, 0));
      return seconds_since(start);
    }));
  for (auto& thread : threads) {
    const double ended = thread.wait();
    CHECK(ended >= 0.1);
    CHECK(ended < 0.5);
  }
}

TEST_CASE("a coroutine that calls green::sleep delays no other") {
  auto blocks = [](int i) -> aio::task<int> {
    green::sleep(0.1);
    co_return i;
  };
  const auto start = std::chrono::steady_clock::now();
  std::vector<aio::task<int>> tasks;
  for (int i = 0; i < 10; ++i) tasks.push_back(blocks(i));
  auto quick = aio::create_task(sleeps_and_gives(0.001, 9));
  auto all = aio::create_task(aio::gather(std::move(tasks)));
  CHECK(aio::run(quick) == 9);
  CHECK(seconds_since(start) < 0.1);
  CHECK(aio::run(all).size() == 10);
  CHECK(seconds_since(start) < 0.5);
}

TEST_CASE("awaitlet nested in a coroutine inside awaitlet") {
  auto outer = []() -> aio::task<int> {
    const int inner = green::awaitlet(sleeps_and_gives(0.001, 1));
    const int awaited = co_await sleeps_and_gives(0.001, 2);
    co_return inner + awaited + green::awaitlet(gives(3));
  };
  CHECK(green::awaitlet(outer()) == 6);
  CHECK(aio::run(outer()) == 6);
}

TEST_CASE("awaitlet takes Futures, operations of ours and green threads") {
  auto future = aio::create_task(sleeps_and_gives(0.001, 5));
  CHECK(green::awaitlet(future) == 5);
  CHECK(green::awaitlet(future) == 5);
  green::awaitlet(aio::sleep(0.001));
  CHECK(green::awaitlet(aio::sleep(0.001, 8)) == 8);
  green::awaitlet(green::sleep_async(0));
  green::Event<int> event;
  auto sender = green::spawn([&] { event.send(2); });
  CHECK(green::awaitlet(event.wait_async()) == 2);
  auto thread = green::spawn([] { return 7; });
  CHECK(green::awaitlet(thread) == 7);
  CHECK(*green::awaitlet(green::spawn([] { return std::make_unique<int>(1); })) == 1);
}

TEST_CASE("awaitables of other libraries may resume at once, later, or on another thread") {
  CHECK(*green::awaitlet(ReadyAtOnce()) == 3);
  CHECK(green::awaitlet(OnAnotherThread{4}) == 4);
  std::coroutine_handle<> place;
  auto resumer = green::spawn([&] { place.resume(); });
  CHECK(green::awaitlet(ResumedByHand{&place}) == "by hand");
  CHECK_THROWS_WITH_AS(green::awaitlet(Throws()), "third party", std::runtime_error);
  for (int i = 0; i < 100; ++i) CHECK(green::awaitlet(OnAnotherThread{i}) == i);
}

TEST_CASE("a task that awaits another library stays on its own hub") {
  auto body = []() -> aio::task<bool> {
    const auto before = std::this_thread::get_id();
    const OnAnotherThread other{1};
    co_await OnAnotherThread(other);
    co_return before == std::this_thread::get_id();
  };
  CHECK(green::awaitlet(body()));
  CHECK(aio::run(body()));
}

TEST_CASE("a coroutine of another library awaits ours") {
  green::Event<int> event;
  test::Log log;
  auto future = aio::create_task(sleeps_and_gives(0.001, 3));
  auto body = [](green::Event<int>& e, aio::Future<int> f, test::Log& l) -> Foreign {
    l(std::to_string(co_await e.wait_async()));
    l(std::to_string(co_await sleeps_and_gives(0.001, 2)));
    l(std::to_string(co_await f));
    auto thread = green::spawn([] { return 4; });
    l(std::to_string(co_await thread));
    green::sleep(0.001);  // its code may block as well
    l("end");
  };
  Foreign foreign = body(event, future, log);
  CHECK(log.entries().empty());
  event.send(1);
  green::sleep(0.05);
  CHECK(log.text() == "1 2 3 4 end");
  CHECK(foreign.handle.done());
}

TEST_CASE("a suspended coroutine of another library can be destroyed") {
  green::Event<> event;
  int alive = 0;
  auto inner = [](int& counter) -> aio::task<void> {
    const test::Counted counted(counter);
    co_await aio::sleep(100);
  };
  auto waits = [&](int kind) -> Foreign {
    const test::Counted counted(alive);
    if (kind == 0) co_await event.wait_async();
    if (kind == 1) co_await inner(alive);
    if (kind == 2) co_await aio::sleep(100);
  };
  for (int kind = 0; kind < 3; ++kind) {
    {
      Foreign foreign = waits(kind);
      green::sleep(0.001);
      CHECK(alive > 0);
    }
    CHECK(alive == 0);
  }
  {  // woken, but not resumed yet
    Foreign foreign = waits(0);
    event.send();
  }
  green::sleep(0.001);
  CHECK(alive == 0);
}

TEST_CASE("a task destroyed while its code is inside a green call is cancelled and waited for") {
  int alive = 0;
  auto blocks = [](int& counter) -> aio::task<void> {
    const test::Counted counted(counter);
    green::sleep(100);
    co_return;
  };
  auto waits = [&]() -> Foreign { co_await blocks(alive); };
  {
    Foreign foreign = waits();
    green::sleep(0.001);
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

TEST_CASE("async_def runs a plain function that may block") {
  auto plain = [](int a, std::unique_ptr<int> b) {
    green::sleep(0.001);
    return a + *b + green::awaitlet(gives(1));
  };
  CHECK(aio::run(aio::async_def(plain, 2, std::make_unique<int>(3))) == 6);
  CHECK_THROWS_AS(aio::run(aio::async_def([] { throw std::runtime_error("x"); })),
                  std::runtime_error);
}

TEST_CASE("cancelling async_def kills the function, which cleans up first") {
  int alive = 0;
  auto future = aio::create_task(aio::async_def([&] {
    const test::Counted counted(alive);
    green::sleep(100);
  }));
  green::sleep(0.001);
  CHECK(alive == 1);
  future.cancel();
  CHECK_THROWS_AS(aio::run(future), aio::CancelledError);
  CHECK(alive == 0);
}

TEST_CASE("sync makes an ordinary function of a coroutine function") {
  auto blocking = green::sync(sleeps_and_gives);
  CHECK(blocking(0.001, 4) == 4);
}

TEST_CASE("spawn_for_awaitable waits for a task, and a kill cancels it") {
  CHECK(green::spawn_for_awaitable(sleeps_and_gives(0.001, 4)).wait() == 4);
  const test::Quiet quiet;
  int alive = 0;
  auto task = [](int& counter) -> aio::task<int> {
    const test::Counted counted(counter);
    co_await aio::sleep(100);
    co_return 1;
  };
  auto thread = green::spawn_for_awaitable(task(alive));
  green::sleep(0.001);
  CHECK(alive == 1);
  thread.kill(std::runtime_error("any"));
  CHECK(alive == 0);
  CHECK_THROWS_AS(thread.wait(), std::runtime_error);
  auto future = aio::create_task(task(alive));
  auto waits = green::spawn_for_awaitable(future);
  green::sleep(0.001);
  waits.kill();
  CHECK_THROWS_AS(waits.wait(), green::GreenletExit);
  CHECK(future.cancelled());
}

TEST_CASE("a coroutine driven by awaitlet is part of the green thread, a top-level task is not") {
  const auto self = green::getcurrent();
  auto current = []() -> aio::task<green::Greenlet> { co_return green::getcurrent(); };
  CHECK(green::awaitlet(current()) == self);
  CHECK_FALSE(aio::run(current()) == self);
}

TEST_CASE("a million ready co_awaits and a deep recursion fit on a small stack") {
  auto loop = [](int n) -> aio::task<int> {
    int sum = 0;
    for (int i = 0; i < n; ++i) sum += co_await gives(1);
    co_return sum;
  };
  struct Deep {
    static aio::task<int> down(int n) {
      if (n == 0) co_return 0;  // not ?:, whose branches g++ 12 awaits both
      co_return 1 + co_await down(n - 1);
    }
  };
  CHECK(green::spawn([&] { return green::awaitlet(loop(1'000'000)); }).wait() == 1'000'000);
  CHECK(green::spawn([] { return green::awaitlet(Deep::down(10'000)); }).wait() == 10'000);
}
