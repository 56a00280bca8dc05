#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/gather.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>
#include <green/awaitlet.hpp>
#include <green/event.hpp>
#include <green/timeout.hpp>
#include <uvlet/hub.hpp>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <memory>
#include <thread>
#include <uv.h>

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

struct OnAnotherThread {
  int value;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    std::thread([handle] { handle.resume(); }).detach();
  }
  int await_resume() const noexcept { return value; }
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

// Calls a function from a raw libuv callback, and waits until that has been.
template <class F>
void in_a_callback(F body) {
  struct Once {
    uv_async_t async;
    F body;
    green::Event<> fired, closed;
  } once{{}, std::move(body), {}, {}};
  auto callback = [](uv_async_t* async) {
    auto* self = static_cast<Once*>(async->data);
    self->body();
    self->fired.send();
  };
  REQUIRE(uv_async_init(uvlet::Hub::current().loop(), &once.async, callback) == 0);
  once.async.data = &once;
  uv_async_send(&once.async);
  once.fired.wait();
  uv_close(reinterpret_cast<uv_handle_t*>(&once.async),
           [](uv_handle_t* handle) { static_cast<Once*>(handle->data)->closed.send(); });
  once.closed.wait();
}

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

TEST_CASE("awaitlet gives void, move-only and large results by value") {
  auto nothing = []() -> aio::task<> { co_await aio::sleep(0); };
  static_assert(std::is_void_v<decltype(green::awaitlet(nothing()))>);
  green::awaitlet(nothing());
  auto boxed = []() -> aio::task<std::unique_ptr<int>> {
    co_await aio::sleep(0);
    co_return std::make_unique<int>(4);
  };
  CHECK(*green::awaitlet(boxed()) == 4);
  auto text = []() -> aio::task<std::string> { co_return std::string(100'000, 'x'); };
  static_assert(std::is_same_v<decltype(green::awaitlet(text())), std::string>);
  CHECK(green::awaitlet(text()).size() == 100'000);
}

TEST_CASE("awaitlet rethrows the same exception object, whatever its type") {
  const auto error = std::make_exception_ptr(std::runtime_error("this one"));
  auto throws = [](std::exception_ptr thrown) -> aio::task<> {
    co_await aio::sleep(0);
    std::rethrow_exception(thrown);
  };
  try {
    green::awaitlet(throws(error));
    FAIL("did not throw");
  } catch (...) {
    CHECK(std::current_exception() == error);
  }
  CHECK_THROWS_AS(green::awaitlet(throws(std::make_exception_ptr(5))), int);
}

TEST_CASE("a task that throws after a wait has destroyed its locals before awaitlet throws") {
  int alive = 0;
  auto throws = [](int& counter) -> aio::task<> {
    const test::Counted counted(counter);
    co_await aio::sleep(0.001);
    throw std::runtime_error("late");
  };
  CHECK_THROWS_AS(green::awaitlet(throws(alive)), std::runtime_error);
  CHECK(alive == 0);
}

TEST_CASE("awaitlet of a done Future does not switch, of one that failed it throws") {
  auto done = aio::Future<int>::create();
  done.set_result(3);
  bool other_ran = false;
  auto other = green::spawn([&] { other_ran = true; });
  CHECK(green::awaitlet(done) == 3);
  const aio::Future<int>& constant = done;
  CHECK(green::awaitlet(constant) == 3);
  auto failed = aio::Future<>::create();
  failed.set_exception(std::make_exception_ptr(std::runtime_error("failed")));
  CHECK_THROWS_AS(green::awaitlet(failed), std::runtime_error);
  CHECK_FALSE(other_ran);
  other.wait();
}

TEST_CASE("awaitlet of a green thread that was killed is CancelledError, wait is GreenletExit") {
  auto killed = green::spawn([] { green::sleep(100); });
  green::sleep(0);
  killed.kill();
  CHECK_THROWS_AS(green::awaitlet(killed), aio::CancelledError);
  CHECK_THROWS_AS(green::awaitlet(killed.wait_async()), green::GreenletExit);
  CHECK_THROWS_AS(killed.wait(), green::GreenletExit);
}

TEST_CASE("awaitlet of an event with a limit gives what wait with one gives") {
  green::Event<int> event;
  CHECK_FALSE(green::awaitlet(event.wait_async(0.001)).has_value());
  event.send(4);
  CHECK(green::awaitlet(event.wait_async(0.001)) == 4);
  green::Event<> plain;
  CHECK_FALSE(green::awaitlet(plain.wait_async(0.001)));
}

TEST_CASE("awaitlet nests through fifty layers, and an exception comes back through all of them") {
  struct Layer {
    static int green_layer(int depth, bool fail) {
      return green::awaitlet(task_layer(depth, fail));
    }
    static aio::task<int> task_layer(int depth, bool fail) {
      if (depth > 0) co_return 1 + green_layer(depth - 1, fail);
      co_await aio::sleep(0.001);
      if (fail) throw std::runtime_error("innermost");
      co_return 0;
    }
  };
  test::in_green_thread([] {
    CHECK(Layer::green_layer(50, false) == 50);
    CHECK_THROWS_WITH_AS(Layer::green_layer(50, true), "innermost", std::runtime_error);
  });
  CHECK(aio::run(Layer::task_layer(50, false)) == 50);
}

TEST_CASE("green calls of every kind inside a coroutine suspend just that coroutine") {
  test::Log log;
  green::Event<> event;
  auto blocks = [&]() -> aio::task<> {
    log("waits");
    event.wait();
    log("sent");
    green::spawn([&] { log("thread"); }).wait();
    green::awaitlet(sleeps_and_gives(0.001, 1));
    log("slept");
    co_return;
  };
  auto task = aio::create_task(blocks());
  auto other = [&]() -> aio::task<> {
    co_await aio::sleep(0);
    log("other");
    event.send();
  };
  green::awaitlet(other());
  green::awaitlet(task);
  CHECK(log.text() == "waits other sent thread slept");
}

TEST_CASE("a coroutine awaits a green thread: its result, its exception, any number of times") {
  auto body = []() -> aio::task<std::string> {
    auto thread = green::spawn([] {
      green::sleep(0.001);
      return std::string("result");
    });
    const std::string first = co_await thread;
    std::string text = first + (co_await thread == first ? " again" : "");
    const auto failing = green::spawn([]() -> int { throw std::runtime_error("error"); });
    try {
      co_await failing;
    } catch (const std::runtime_error& error) {
      text += std::string(" ") + error.what();
    }
    auto nothing = green::spawn([] {});
    co_await nothing;
    co_return text;
  };
  const test::Quiet quiet;
  CHECK(aio::run(body()) == "result again error");
  CHECK(green::awaitlet(body()) == "result again error");
}

TEST_CASE("a coroutine takes a move-only result of a green thread by its only handle") {
  auto takes = []() -> aio::task<int> {
    auto box = co_await green::spawn([] { return std::make_unique<int>(5); });
    auto thread = green::spawn([] { return std::make_unique<int>(6); });
    auto second = co_await std::move(thread).wait_async();
    co_return *box * 10 + *second;
  };
  CHECK(aio::run(takes()) == 56);
  auto shared = []() -> aio::task<bool> {
    auto thread = green::spawn([] { return std::make_unique<int>(6); });
    auto other = thread;
    try {
      co_await std::move(thread);
    } catch (const std::logic_error&) {
      co_return true;
    }
    co_return false;
  };
  CHECK(aio::run(shared()));
}

TEST_CASE("a coroutine cancelled in wait_async leaves the green thread alone") {
  auto thread = green::spawn([] {
    green::sleep(0.01);
    return 8;
  });
  auto waits = [](green::GreenThread<int> on) -> aio::task<int> {
    co_return co_await on.wait_async();
  };
  auto future = aio::create_task(waits(thread));
  green::sleep(0.001);
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK_FALSE(thread.dead());
  CHECK(thread.wait() == 8);
}

TEST_CASE("an awaited green thread that was killed is CancelledError in the coroutine") {
  auto thread = green::spawn([] { green::sleep(100); });
  auto awaits = [](green::GreenThread<void> on) -> aio::task<std::string> {
    try {
      co_await on;
    } catch (const aio::CancelledError&) {
      co_return "cancelled";
    } catch (const green::GreenletExit&) {
      co_return "exit";
    }
    co_return "none";
  };
  auto future = aio::create_task(awaits(thread));
  green::sleep(0.001);
  thread.kill();
  CHECK(green::awaitlet(future) == "cancelled");
  CHECK_FALSE(future.cancelled());
}

TEST_CASE("async_def is lazy, takes references by std::ref, and may give nothing") {
  int calls = 0;
  auto adds = [](int& to, int by) { to += by; };
  {
    auto unused = aio::async_def(adds, std::ref(calls), 1);
    green::sleep(0);
  }
  CHECK(calls == 0);
  aio::task<void> work = aio::async_def(adds, std::ref(calls), 2);
  green::sleep(0);
  CHECK(calls == 0);
  aio::run(std::move(work));
  CHECK(calls == 2);
  green::awaitlet(aio::async_def(adds, std::ref(calls), 3));
  CHECK(calls == 5);
}

TEST_CASE("async_def gives move-only results, and its exceptions as they are") {
  auto box = aio::run(
      aio::async_def([](std::unique_ptr<int> in) { return in; }, std::make_unique<int>(9)));
  CHECK(*box == 9);
  CHECK_THROWS_WITH_AS(aio::run(aio::async_def([]() -> int { throw std::out_of_range("range"); })),
                       "range", std::out_of_range);
}

TEST_CASE("async_def runs on a green thread of its own, which may await the same loop") {
  const auto self = green::getcurrent();
  auto inside = [self] {
    green::sleep(0.001);
    return !(green::getcurrent() == self) && green::awaitlet(sleeps_and_gives(0.001, 3)) == 3;
  };
  CHECK(green::awaitlet(aio::async_def(inside)));
}

TEST_CASE("several async_defs run at the same time") {
  green::Event<> first, second;
  auto meets = [](green::Event<>& mine, green::Event<>& theirs) {
    mine.send();
    theirs.wait();
    return 1;
  };
  auto both = aio::gather(aio::async_def(meets, std::ref(first), std::ref(second)),
                          aio::async_def(meets, std::ref(second), std::ref(first)));
  CHECK(aio::run(aio::wait_for(std::move(both), test::watchdog)) == std::tuple(1, 1));
}

TEST_CASE("wait_for an async_def kills the function, whose destructors run first") {
  int alive = 0;
  auto blocks = [](int& counter) {
    const test::Counted counted(counter);
    green::sleep(100);
  };
  CHECK_THROWS_AS(aio::run(aio::wait_for(aio::async_def(blocks, std::ref(alive)), 0.005)),
                  aio::TimeoutError);
  CHECK(alive == 0);
}

TEST_CASE("a function under async_def that survives its kill gives its result") {
  test::Log log;
  auto survives = [](test::Log& to) {
    try {
      green::sleep(100);
    } catch (const green::GreenletExit&) {
      to("exit");
    }
    green::sleep(0.001);
    to("finished");
    return 1;
  };
  auto future = aio::create_task(aio::async_def(survives, std::ref(log)));
  green::sleep(0.001);
  future.cancel();
  CHECK(green::awaitlet(future) == 1);
  CHECK(log.text() == "exit finished");
}

TEST_CASE("what a function under async_def throws in place of its kill is what it ends with") {
  auto translates = [] {
    try {
      green::sleep(100);
    } catch (const green::GreenletExit&) {
      throw std::runtime_error("closed");
    }
  };
  auto future = aio::create_task(aio::async_def(translates));
  green::sleep(0.001);
  future.cancel();
  CHECK_THROWS_WITH_AS(green::awaitlet(future), "closed", std::runtime_error);
}

TEST_CASE("a kill that a function under async_def swallows ends who was killed all the same") {
  test::Log log;
  auto survives = [&] {
    try {
      green::sleep(100);
    } catch (const green::GreenletExit&) {
      log("exit");
    }
    return std::make_unique<int>(1);
  };
  auto victim = green::spawn([&] { return green::awaitlet(aio::async_def(survives)); });
  green::sleep(0.001);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "exit");
}

TEST_CASE("a cancel that comes too late for the function goes on in who awaited it") {
  green::Event<> go;
  test::Log log;
  auto work = [&]() -> aio::task<int> {
    co_await aio::async_def([&] { go.wait(); });
    log("went on");
    co_return 1;
  };
  auto future = aio::create_task(work());
  green::sleep(0.001);
  go.send();  // it is woken, and has no other wait
  CHECK(future.cancel());
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(log.entries().empty());

  aio::Future<int> itself;
  auto cancels = [&]() -> aio::task<int> {
    co_await aio::async_def([&] { itself.cancel(); });
    log("went on");
    co_return 1;
  };
  itself = aio::create_task(cancels());
  CHECK_THROWS_AS(green::awaitlet(itself), aio::CancelledError);
  CHECK(log.entries().empty());
}

TEST_CASE("a function under async_def runs at once, before others that are ready") {
  test::Log log;
  auto work = [&]() -> aio::task<> {
    co_await aio::async_def([&] { log("function"); });
    log("coroutine");
  };
  auto other = green::spawn([&] { log("other"); });
  green::awaitlet(work());
  other.wait();
  CHECK(log.entries().front() == "function");
}

TEST_CASE("sync passes arguments through and gives results of every kind") {
  auto add = [](int& to, std::unique_ptr<int> by) -> aio::task<> {
    co_await aio::sleep(0);
    to += *by;
  };
  int total = 1;
  auto blocking = green::sync(add);
  blocking(total, std::make_unique<int>(2));
  CHECK(total == 3);
  auto box = green::sync([](int value) -> aio::task<std::unique_ptr<int>> {
    co_await aio::sleep(0);
    co_return std::make_unique<int>(value);
  });
  CHECK(*box(5) == 5);
  CHECK(*box(6) == 6);
  CHECK_THROWS_AS(green::sync(fails)(), std::runtime_error);
  CHECK(green::spawn(green::sync(gives), 4).wait() == 4);
  CHECK(green::sync([](int v) { return aio::create_task(gives(v)); })(7) == 7);
}

TEST_CASE("spawn_for_awaitable: results, exceptions, nothing, move-only") {
  const test::Quiet quiet;
  CHECK_THROWS_WITH_AS(green::spawn_for_awaitable(fails()).wait(), "failed", std::runtime_error);
  auto nothing = []() -> aio::task<> { co_await aio::sleep(0); };
  green::GreenThread<void> thread = green::spawn_for_awaitable(nothing());
  CHECK_FALSE(thread.dead());
  thread.wait();
  auto boxed = []() -> aio::task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
  CHECK(*green::spawn_for_awaitable(boxed()).wait() == 3);
  green::GreenThread<int> of_future =
      green::spawn_for_awaitable(aio::create_task(sleeps_and_gives(0.001, 6)));
  CHECK(of_future.wait() == 6);
}

TEST_CASE("a task given to spawn_for_awaitable and killed before its start never runs") {
  bool ran = false;
  int alive = 0;
  auto body = [](bool& to, test::Counted) -> aio::task<> {
    to = true;
    co_return;
  };
  auto thread = green::spawn_for_awaitable(body(ran, test::Counted(alive)));
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK_FALSE(ran);
  CHECK(alive == 0);
}

TEST_CASE("a Future that is cancelled ends who waits for it in spawn_for_awaitable") {
  const test::Quiet quiet;
  auto future = aio::Future<int>::create();
  auto thread = green::spawn_for_awaitable(future);
  green::sleep(0);
  future.cancel();
  CHECK_THROWS_AS(thread.wait(), aio::CancelledError);
}

TEST_CASE("ensure_future of a green thread: cancelling it kills the thread") {
  auto thread = green::spawn([] {
    green::sleep(100);
    return 1;
  });
  aio::Future<int> future = aio::ensure_future(thread);
  green::sleep(0.001);
  CHECK_FALSE(future.done());
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(thread.dead());
  CHECK(green::awaitlet(aio::ensure_future(green::spawn([] { return 2; }))) == 2);
}

TEST_CASE("in a libuv callback awaitlet takes what is ready, and refuses to wait") {
  int ready = 0;
  bool refused_task = false, refused_operation = false;
  int alive = 0;
  auto waits = [](int& counter) -> aio::task<> {
    const test::Counted counted(counter);
    co_await aio::sleep(0.001);
  };
  auto done = aio::Future<int>::create();
  done.set_result(2);
  in_a_callback([&] {
    ready = green::awaitlet(gives(1)) + green::awaitlet(done);
    try {
      green::awaitlet(waits(alive));
    } catch (const green::NoAwaitletContext&) {
      refused_task = true;
    }
    try {
      green::awaitlet(aio::sleep(0.001));
    } catch (const green::NoAwaitletContext&) {
      refused_operation = true;
    }
  });
  CHECK(ready == 3);
  CHECK(refused_task);
  CHECK(refused_operation);
  CHECK(alive == 0);
  CHECK(green::awaitlet(sleeps_and_gives(0.001, 4)) == 4);
}

TEST_CASE("a libuv callback may make tasks, complete Futures and kill: it only schedules") {
  auto future = aio::Future<int>::create();
  auto victim = green::spawn([] { green::sleep(100); });
  green::sleep(0);
  aio::Future<int> made;
  bool dead_at_once = true;
  in_a_callback([&] {
    made = aio::create_task(sleeps_and_gives(0.001, 5));
    future.set_result(6);
    victim.kill();
    dead_at_once = victim.dead();
  });
  CHECK_FALSE(dead_at_once);
  CHECK(green::awaitlet(made) == 5);
  CHECK(green::awaitlet(future) == 6);
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
}

TEST_CASE("a libuv timer that is due already wakes who waits for what its callback does") {
  struct Seen {
    uv_timer_t timer;
    green::Event<> sent, closed;
    aio::Future<int> made;
  } seen;
  uv_timer_init(uvlet::Hub::current().loop(), &seen.timer);
  seen.timer.data = &seen;
  auto callback = [](uv_timer_t* timer) {
    auto* self = static_cast<Seen*>(timer->data);
    self->made = aio::create_task(sleeps_and_gives(0.001, 5));
    self->sent.send();
  };
  for (int i = 0; i < 3; ++i) {
    uv_timer_start(&seen.timer, callback, 0, 0);
    // Without another reason to wake, the loop must not go to sleep on what is ready.
    CHECK(green::move_on_after(1.0, [&] { seen.sent.wait(); }));
    CHECK(green::awaitlet(seen.made) == 5);
    seen.sent.reset();
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&seen.timer),
           [](uv_handle_t* handle) { static_cast<Seen*>(handle->data)->closed.send(); });
  seen.closed.wait();
}

TEST_CASE("each OS thread awaits on its own hub") {
  std::atomic<int> sum{0};
  uvlet::run_on_threads(3, [&](int index) {
    sum += green::awaitlet(sleeps_and_gives(0.001, index));
    sum += aio::run(sleeps_and_gives(0.001, 10));
    sum += green::spawn([] { return green::awaitlet(OnAnotherThread{100}); }).wait();
  });
  CHECK(sum == 3 + 30 + 300);
}
