// The cases of awaitlet 0.0.2 (tests/test_concurrency.py), in its order, then what its
// documentation and its code promise beyond them. Where we differ on purpose the case says how.

#include "../support.hpp"

#include <aio/as_completed.hpp>
#include <aio/context_var.hpp>
#include <aio/future.hpp>
#include <aio/gather.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>
#include <green/awaitlet.hpp>

#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <vector>

namespace {

struct ValueError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

aio::task<int> run1() { co_return 1; }
aio::task<int> run2() { co_return 2; }

aio::task<int> raises() {
  throw ValueError("an error");
  co_return 0;
}

// A plain function that waits for coroutines.
template <class... F>
int go(F... functions) {
  return (green::awaitlet(functions()) + ...);
}

}  // namespace

// --- its tests -----------------------------------------------------------------------------------

TEST_CASE("test_ok: a plain function under async_def waits for several coroutines") {
  auto work = []() -> aio::task<int> {
    co_return co_await aio::async_def(go<decltype(&run1), decltype(&run2)>, run1, run2);
  };
  CHECK(aio::run(work()) == 3);
  // Here async_def is not needed: every green thread may call awaitlet, and main is one.
  CHECK(go(run1, run2) == 3);
}

TEST_CASE("test_async_error: what a coroutine throws passes through the plain function") {
  const test::Quiet quiet;
  auto both = aio::async_def(go<decltype(&run1), decltype(&raises)>, run1, raises);
  CHECK_THROWS_WITH_AS(aio::run(std::move(both)), "an error", ValueError);
}

TEST_CASE("test_propagate_cancelled: a CancelledError passes through and cleans up on its way") {
  bool cleaned_up = false;
  auto cancelled = []() -> aio::task<> {
    throw aio::CancelledError();
    co_return;
  };
  auto plain = [&] {
    try {
      green::awaitlet(cancelled());
    } catch (...) {
      cleaned_up = true;
      throw;
    }
  };
  auto work = [&]() -> aio::task<> { co_await aio::async_def(plain); };
  CHECK_THROWS_AS(aio::run(work()), aio::CancelledError);
  CHECK(cleaned_up);
}

TEST_CASE("test_sync_error: what the plain function throws after a wait arrives too") {
  const test::Quiet quiet;
  auto fails = [] {
    green::awaitlet(run1());
    throw ValueError("sync error");
  };
  CHECK_THROWS_WITH_AS(aio::run(aio::async_def(fails)), "sync error", ValueError);
}

// awaitlet has no context outside async_def; here only a raw libuv callback is without one. There a
// task that need not wait is run all the same, where awaitlet refuses it.
TEST_CASE(
    "test_awaitletonly_no_greenlet: without a context it is NoAwaitletContext, and the task is "
    "gone") {
  int alive = 0;
  auto waits = [](int& counter) -> aio::task<int> {
    const test::Counted counted(counter);
    co_await aio::sleep(test::watchdog);
    co_return 1;
  };
  auto awaited = waits(alive);
  bool refused = false;
  int ready = 0;
  test::in_libuv_callback([&] {
    try {
      green::awaitlet(std::move(awaited));
    } catch (const green::NoAwaitletContext&) {
      refused = true;
    }
    ready = green::awaitlet(run1());
  });
  CHECK(refused);
  CHECK(alive == 0);
  CHECK(ready == 1);
  auto again = [&] { return green::awaitlet(std::move(awaited)); };
  CHECK_THROWS_AS(again(), std::logic_error);
  auto await_it = [](aio::task<int>& work) { return green::awaitlet(std::move(work)); };
  auto fresh = run1();
  CHECK(aio::run(aio::async_def(await_it, std::ref(fresh))) == 1);
}

// awaitlet refuses to be called in a coroutine, as that runs on its driver's stack; here any code
// may block. A task that was awaited once is refused by both.
TEST_CASE(
    "test_awaitletonly_error: a coroutine may call awaitlet too, but no task is awaited twice") {
  auto to_await = run1();
  auto inner = [&]() -> aio::task<int> {
    to_await = run1();
    co_return green::awaitlet(std::move(to_await));
  };
  auto plain = [&] { return green::awaitlet(inner()); };
  auto work = [&]() -> aio::task<> {
    CHECK(co_await to_await == 1);
    CHECK(co_await aio::async_def(plain) == 1);
    CHECK_THROWS_AS(co_await to_await, std::logic_error);
  };
  aio::run(work());
}

namespace {

// Five hundred tasks that set one variable, in coroutines and in plain functions between them.
struct ContextTasks {
  static constexpr int concurrency = 500;

  aio::Sleep pause() {
    std::uniform_real_distribution<double> seconds(0.005, 0.015);
    return aio::sleep(seconds(random));
  }
  aio::task<int> async_inner(int value) {
    co_await pause();
    CHECK(variable.get() == value);
    co_return variable.get();
  }
  aio::task<> async_set(int value) {
    co_await pause();
    variable.set(value);
  }
  int inner(int value) {
    CHECK(green::awaitlet(async_inner(value)) == value);
    CHECK(variable.get() == value);
    const int set_by_function = value + concurrency;
    variable.set(set_by_function);
    CHECK(green::awaitlet(async_inner(set_by_function)) == set_by_function);
    CHECK(variable.get() == set_by_function);
    const int set_by_coroutine = value + 2 * concurrency;
    green::awaitlet(async_set(set_by_coroutine));
    CHECK(variable.get() == set_by_coroutine);
    CHECK(green::awaitlet(async_inner(set_by_coroutine)) == set_by_coroutine);
    return set_by_coroutine;
  }
  aio::task<int> work(int value) {
    co_await pause();
    variable.set(value);
    co_await pause();
    const int result = co_await aio::async_def(&ContextTasks::inner, this, value);
    CHECK(variable.get() == result);  // the function shares the context of who awaits it
    co_return result;
  }

  aio::ContextVar<int> variable{"variable"};
  std::minstd_rand random{1};
};

}  // namespace

TEST_CASE("test_contextvars: five hundred tasks keep their variables apart through both layers") {
  ContextTasks tasks;
  auto all = [&]() -> aio::task<std::set<int>> {
    std::vector<aio::task<int>> work;
    for (int i = 0; i < ContextTasks::concurrency; ++i) work.push_back(tasks.work(i));
    std::set<int> values;
    auto in_order = aio::as_completed(std::move(work));
    for (auto& next : in_order) values.insert(co_await std::move(next));
    co_return values;
  };
  const std::set<int> values = aio::run(all());
  CHECK(values.size() == ContextTasks::concurrency);
  CHECK(*values.begin() == 2 * ContextTasks::concurrency);
  CHECK(*values.rbegin() == 3 * ContextTasks::concurrency - 1);
  CHECK_THROWS_AS(tasks.variable.get(), std::out_of_range);
}

// Here any blocking green call will do, not only awaitlet.
TEST_CASE(
    "test_require_await: async_def takes a function that awaits nothing, the strict one does not") {
  const test::Quiet quiet;
  auto adds = [] { return 1 + 1; };
  CHECK(aio::run(aio::async_def(adds)) == 2);
  CHECK_THROWS_AS(aio::run(aio::async_def_strict(adds)), green::NoAwaitOccurred);
  auto awaits = [] { return go(run1, run2); };
  CHECK(aio::run(aio::async_def_strict(awaits)) == 3);
}

// --- and beyond ----------------------------------------------------------------------------------

TEST_CASE("async_defs nest, one awaited in the function of the other") {
  auto inner = [] { return green::awaitlet(run1()) + 10; };
  auto outer = [&] { return green::awaitlet(aio::async_def(inner)) + 100; };
  CHECK(aio::run(aio::async_def(outer)) == 111);
}

TEST_CASE("one function awaits in sequence; several run at the same time under gather") {
  test::Log log;
  auto note = [&](const char* entry) -> aio::task<int> {
    co_await aio::sleep(0);
    log(entry);
    co_return 1;
  };
  auto twice = [&](const char* first, const char* second) {
    return green::awaitlet(note(first)) + green::awaitlet(note(second));
  };
  CHECK(aio::run(aio::async_def(twice, "a1", "a2")) == 2);
  CHECK(log.text() == "a1 a2");
  auto both = aio::gather(aio::async_def(twice, "b1", "b2"), aio::async_def(twice, "c1", "c2"));
  aio::run(std::move(both));
  CHECK(log.text() == "a1 a2 b1 c1 b2 c2");
}

// There the function sees CancelledError; here it is killed, so it sees GreenletExit, and who
// awaits it CancelledError.
TEST_CASE("cancelling throws at the function's awaitlet, which cleans up") {
  test::Log log;
  auto waits = [&]() -> aio::task<> {
    try {
      co_await aio::sleep(test::watchdog);
    } catch (const aio::CancelledError&) {
      log("coroutine");
      throw;
    }
  };
  auto plain = [&] {
    try {
      green::awaitlet(waits());
    } catch (const green::GreenletExit&) {
      log("function");
      throw;
    }
  };
  auto future = aio::create_task(aio::async_def(plain));
  green::sleep(0.001);
  future.cancel();
  CHECK_THROWS_AS(aio::run(future), aio::CancelledError);
  CHECK(log.text() == "coroutine function");
}

TEST_CASE("a function may swallow its cancellation, await again, and give a result") {
  auto plain = [] {
    try {
      green::awaitlet(aio::sleep(test::watchdog));
    } catch (const green::GreenletExit&) {
    }
    return green::awaitlet(run2());
  };
  auto work = [&]() -> aio::task<int> { co_return co_await aio::async_def(plain) + 1; };
  auto future = aio::create_task(work());
  green::sleep(0.001);
  future.cancel();
  CHECK(aio::run(future) == 3);
  CHECK_FALSE(future.cancelled());
}

TEST_CASE("wait_for limits a function, whose destructors have run when it throws") {
  int alive = 0;
  auto plain = [&] {
    const test::Counted counted(alive);
    green::awaitlet(aio::sleep(test::watchdog));
  };
  CHECK_THROWS_AS(aio::run(aio::wait_for(aio::async_def(plain), 0.001)), aio::TimeoutError);
  CHECK(alive == 0);
}

// There closing the coroutine throws into the function; here a task ends with who drives it.
TEST_CASE("a green thread killed while it drives async_def ends after the function") {
  test::Log log;
  auto plain = [&] {
    try {
      green::awaitlet(aio::sleep(test::watchdog));
    } catch (const green::GreenletExit&) {
      log("function");
      throw;
    }
  };
  auto drives = [&]() -> aio::task<> {
    try {
      co_await aio::async_def(plain);
    } catch (const aio::CancelledError&) {
      log("coroutine");
    }
  };
  auto thread = green::spawn([&] { green::awaitlet(drives()); });
  green::sleep(0.001);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "function coroutine");
}

// There it is a TypeError at the call.
TEST_CASE("awaitlet of what cannot be awaited does not compile") {
  static_assert(!aio::awaitable<int>);
  static_assert(!aio::awaitable<std::string>);
  static_assert(aio::awaitable<aio::task<int>>);
  static_assert(aio::awaitable<aio::Future<int>&>);
}
