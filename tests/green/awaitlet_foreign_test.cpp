#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/gather.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>
#include <green/awaitlet.hpp>
#include <green/event.hpp>
#include <green/timeout.hpp>

#include <coroutine>
#include <memory>
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

// --- awaitables and a coroutine type of another library ------------------------------------------

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

// Resumes who awaits it before await_suspend returns.
struct ResumesAtOnce {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const { handle.resume(); }
  int await_resume() const noexcept { return 11; }
};

// Decides in await_suspend that there is nothing to wait for.
struct NotSuspended {
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
  int await_resume() const noexcept { return 12; }
};

// Transfers to the coroutine it is given: back to who awaits.
struct Transfers {
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> handle) const noexcept {
    return handle;
  }
  int await_resume() const noexcept { return 13; }
};

struct ThrowsInSuspend {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const { throw std::runtime_error("in suspend"); }
  void await_resume() const noexcept {}
};

struct ThrowsOnAnotherThread : OnAnotherThread {
  int await_resume() const { throw std::runtime_error("from afar"); }
};

// Neither copied nor moved: it is awaited where it stands.
struct Pinned {
  explicit Pinned(int number) : value(number) {}
  Pinned(const Pinned&) = delete;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    std::thread([handle] { handle.resume(); }).detach();
  }
  int& await_resume() noexcept { return value; }
  int value;
};

struct ByMember {
  OnAnotherThread operator co_await() const { return {21}; }
};
struct ByFunction {};
NotSuspended operator co_await(ByFunction) { return {}; }

struct NoResult {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    std::thread([handle] { handle.resume(); }).detach();
  }
  void await_resume() const noexcept {}
};

}  // namespace

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

TEST_CASE("awaitables of other libraries that resume while they suspend") {
  CHECK(green::awaitlet(ResumesAtOnce()) == 11);
  CHECK(green::awaitlet(NotSuspended()) == 12);
  CHECK(green::awaitlet(Transfers()) == 13);
  CHECK_THROWS_WITH_AS(green::awaitlet(ThrowsInSuspend()), "in suspend", std::runtime_error);
  auto body = []() -> aio::task<int> {
    int sum = co_await ResumesAtOnce();
    sum += co_await NotSuspended();
    sum += co_await Transfers();
    try {
      co_await ThrowsInSuspend();
    } catch (const std::runtime_error&) {
      sum += 100;
    }
    co_return sum;
  };
  CHECK(green::awaitlet(body()) == 136);
  CHECK(aio::run(body()) == 136);
}

TEST_CASE("awaitables of other libraries: with an operator, without a result, that cannot move") {
  CHECK(green::awaitlet(ByMember()) == 21);
  CHECK(green::awaitlet(ByFunction()) == 12);
  green::awaitlet(NoResult());
  Pinned pinned(22);
  CHECK(green::awaitlet(pinned) == 22);
  static_assert(std::is_same_v<decltype(green::awaitlet(pinned)), int>);
  auto body = [](Pinned& on) -> aio::task<int> {
    co_await NoResult();
    int sum = co_await ByMember();
    sum += co_await ByFunction();
    sum += co_await on;
    co_return sum;
  };
  CHECK(aio::run(body(pinned)) == 55);
}

TEST_CASE("an exception of another library's awaitable crosses the threads") {
  CHECK_THROWS_WITH_AS(green::awaitlet(ThrowsOnAnotherThread{}), "from afar", std::runtime_error);
  auto catches = []() -> aio::task<std::string> {
    std::string text;
    try {
      co_await ThrowsOnAnotherThread{};
    } catch (const std::runtime_error& error) {
      text = error.what();
    }
    co_return text + co_await aio::sleep(0, std::string("!"));
  };
  CHECK(aio::run(catches()) == "from afar!");
}

TEST_CASE("many wait for other threads at once, others run meanwhile") {
  std::vector<green::GreenThread<int>> threads;
  std::vector<aio::Future<int>> tasks;
  auto body = [](int i) -> aio::task<int> {
    int sum = 0;
    for (int j = 0; j < 3; ++j) sum += co_await OnAnotherThread{i};
    co_return sum;
  };
  for (int i = 0; i < 20; ++i) {
    threads.push_back(green::spawn([i] { return green::awaitlet(OnAnotherThread{i}); }));
    tasks.push_back(aio::create_task(body(i)));
  }
  for (int i = 0; i < 20; ++i) {
    CHECK(threads[static_cast<std::size_t>(i)].wait() == i);
    CHECK(green::awaitlet(tasks[static_cast<std::size_t>(i)]) == 3 * i);
  }
}

TEST_CASE("who is killed in a foreign wait ends when that does, with the kill") {
  std::coroutine_handle<> place;
  bool after = false;
  auto victim = green::spawn([&] {
    green::awaitlet(ResumedByHand{&place});
    after = true;
  });
  green::sleep(0);
  victim.kill();
  CHECK_FALSE(victim.dead());  // the other library may hold references into its frames
  place.resume();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK_FALSE(after);
}

TEST_CASE("a cancelled task ends its foreign wait first") {
  std::coroutine_handle<> place;
  auto body = [](std::coroutine_handle<>* where) -> aio::task<> { co_await ResumedByHand{where}; };
  auto future = aio::create_task(body(&place));
  green::sleep(0);
  CHECK(future.cancel());
  green::sleep(0.002);
  CHECK_FALSE(future.done());
  place.resume();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
}

TEST_CASE("an exception reaches a coroutine of another library") {
  test::Log log;
  auto failing = aio::Future<int>::create();
  auto body = [](aio::Future<int> future, test::Log& l) -> Foreign {
    try {
      co_await fails();
    } catch (const std::runtime_error& error) {
      l(error.what());
    }
    try {
      co_await future;
    } catch (const aio::CancelledError&) {
      l("cancelled");
    }
    const auto failed = green::spawn([] { throw std::out_of_range("range"); });
    try {
      co_await failed;
    } catch (const std::out_of_range& error) {
      l(error.what());
    }
    throw std::logic_error("its own");
  };
  const test::Quiet quiet;
  Foreign foreign = body(failing, log);
  green::sleep(0.002);
  failing.cancel();
  green::sleep(0.002);
  CHECK(log.text() == "failed cancelled range");
  REQUIRE(foreign.handle.done());
  CHECK_THROWS_AS(std::rethrow_exception(foreign.handle.promise().error), std::logic_error);
}

TEST_CASE("a coroutine of another library needs no wait for what is there already") {
  test::Log log;
  auto future = aio::Future<int>::create();
  future.set_result(1);
  green::Event<int> event;
  event.send(2);
  auto body = [&]() -> Foreign {
    log(std::to_string(co_await future));
    log(std::to_string(co_await event.wait_async()));
  };
  Foreign foreign = body();
  CHECK(log.text() == "1 2");
  CHECK(foreign.handle.done());
}

TEST_CASE("coroutines of several libraries and green threads wait for the same event in turn") {
  test::Log log;
  green::Event<> event;
  auto native = [&]() -> aio::task<> {
    co_await event.wait_async();
    log("task");
  };
  auto foreign = [&]() -> Foreign {
    co_await event.wait_async();
    log("foreign");
  };
  auto first = green::spawn([&] {
    event.wait();
    log("thread");
  });
  green::sleep(0);
  Foreign second = foreign();
  auto third = aio::create_task(native());
  green::sleep(0);
  event.send();
  first.wait();
  green::awaitlet(third);
  CHECK(log.text() == "thread foreign task");
}

TEST_CASE("destroying a coroutine of another library leaves what it waited for usable") {
  green::Event<int> event;
  auto future = aio::Future<int>::create();
  auto thread = green::spawn([] {
    green::sleep(0.005);
    return 3;
  });
  int alive = 0;
  auto waits = [&](int kind) -> Foreign {
    const test::Counted counted(alive);
    if (kind == 0) co_await event.wait_async();
    if (kind == 1) co_await future;
    if (kind == 2) co_await thread.wait_async();
    if (kind == 3) co_await event.wait_async(100);
  };
  for (int kind = 0; kind < 4; ++kind) {
    Foreign foreign = waits(kind);
    green::sleep(0);
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
  event.send(1);
  future.set_result(2);
  CHECK(event.wait() == 1);
  CHECK(green::awaitlet(future) == 2);
  CHECK(thread.wait() == 3);
}

TEST_CASE("destroying one waiter of another library does not take the wake-up of the next") {
  green::Event<> event;
  auto foreign = [&]() -> Foreign { co_await event.wait_async(); };
  auto first = std::make_unique<Foreign>(foreign());
  auto second = green::spawn([&] { event.wait(); });
  green::sleep(0);
  first.reset();
  event.send();
  green::with_timeout(test::watchdog, [&] { second.wait(); });
}

TEST_CASE("a coroutine of another library awaits gather, wait_for and async_def of ours") {
  test::Log log;
  auto body = [&]() -> Foreign {
    const auto [a, b] = co_await aio::gather(sleeps_and_gives(0.001, 1), gives(2));
    log(std::to_string(a + b));
    try {
      co_await aio::wait_for(sleeps_and_gives(100, 1), 0.002);
    } catch (const aio::TimeoutError&) {
      log("timeout");
    }
    log(std::to_string(co_await aio::async_def([] {
      green::sleep(0.001);
      return 4;
    })));
  };
  Foreign foreign = body();
  for (int i = 0; i < 1000 && !foreign.handle.done(); ++i) green::sleep(0.001);
  CHECK(log.text() == "3 timeout 4");
}
