#include <green/future.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/debug.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

using namespace green;  // NOLINT: no name of the standard's may clash with one of ours

namespace {

template <class F>
std::optional<std::future_errc> error_of(F call) {
  try {
    call();
  } catch (const std::future_error& error) {
    return static_cast<std::future_errc>(error.code().value());
  }
  return std::nullopt;
}

aio::task<int> get_in_task(future<int>& result) { co_return co_await result.get_async(); }

}  // namespace

TEST_CASE("a value goes from the promise to who waits") {
  promise<std::string> source;
  future<std::string> result = source.get_future();
  CHECK(result.valid());
  auto reader = spawn([&] { return result.get(); });
  sleep(0);
  source.set_value("value");
  CHECK_FALSE(reader.dead());
  CHECK(reader.wait() == "value");
  CHECK_FALSE(result.valid());
}

TEST_CASE("void, references, move-only values") {
  promise<void> nothing;
  nothing.set_value();
  nothing.get_future().get();
  int target = 1;
  promise<int&> reference;
  reference.set_value(target);
  CHECK(&reference.get_future().get() == &target);
  promise<std::unique_ptr<int>> unique;
  unique.set_value(std::make_unique<int>(3));
  CHECK(*unique.get_future().get() == 3);
  CHECK(&async([&]() -> int& { return target; }).get() == &target);
}

TEST_CASE("an exception is rethrown") {
  promise<int> source;
  auto result = source.get_future();
  source.set_exception(std::make_exception_ptr(std::runtime_error("failed")));
  CHECK_THROWS_WITH_AS(result.get(), "failed", std::runtime_error);
  CHECK_FALSE(result.valid());
}

TEST_CASE("a promise that is destroyed without a result is broken, one with it is not") {
  future<int> broken;
  future<int> kept;
  {
    promise<int> source;
    broken = source.get_future();
    promise<int> other;
    kept = other.get_future();
    other.set_value(2);
  }
  CHECK(error_of([&] { broken.get(); }) == std::future_errc::broken_promise);
  CHECK(kept.get() == 2);
  promise<int> overwritten;
  auto lost = overwritten.get_future();
  overwritten = promise<int>();
  CHECK(error_of([&] { lost.get(); }) == std::future_errc::broken_promise);
}

TEST_CASE("wait_for and wait_until say what is the case, never early") {
  promise<int> source;
  auto result = source.get_future();
  const auto start = std::chrono::steady_clock::now();
  CHECK(result.wait_for(std::chrono::milliseconds(3)) == std::future_status::timeout);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(3));
  CHECK(result.wait_until(start) == std::future_status::timeout);
  CHECK(result.wait_for(0) == std::future_status::timeout);
  auto setter = spawn([&] { source.set_value(1); });
  CHECK(result.wait_for(test::watchdog) == std::future_status::ready);
  CHECK(result.wait_for(0) == std::future_status::ready);
  result.wait();
  CHECK(result.valid());
  CHECK(result.get() == 1);
}

TEST_CASE("an interrupted get leaves the future valid") {
  promise<int> source;
  auto result = source.get_future();
  CHECK_FALSE(move_on_after(0.001, [&] { result.get(); }));
  auto killed = spawn([&] { return result.get(); });
  sleep(0);
  killed.kill();
  CHECK(result.valid());
  source.set_value(5);
  CHECK(result.get() == 5);
}

TEST_CASE("a coroutine waits, and is cancelled") {
  promise<int> source;
  auto result = source.get_future();
  auto cancelled = aio::create_task(get_in_task(result));
  sleep(0);
  cancelled.cancel();
  CHECK_THROWS_AS(awaitlet(cancelled), aio::CancelledError);
  auto task = aio::create_task(get_in_task(result));
  sleep(0);
  source.set_value(6);
  CHECK(awaitlet(task) == 6);
  CHECK_FALSE(result.valid());
}

TEST_CASE("a shared_future is read by many, any number of times") {
  promise<std::string> source;
  shared_future<std::string> one = source.get_future().share();
  const shared_future<std::string> other = one;
  auto reader = spawn([other] { return other.get(); });
  auto task = aio::create_task([](shared_future<std::string> mine) -> aio::task<std::string> {
    co_return co_await mine.get_async();
  }(one));
  sleep(0);
  source.set_value("x");
  CHECK(reader.wait() == "x");
  CHECK(awaitlet(task) == "x");
  CHECK(&one.get() == &other.get());
  CHECK(one.wait_for(0) == std::future_status::ready);
  shared_future<void> failed = async([] { throw std::runtime_error("shared"); });
  for (int i = 0; i < 2; ++i) CHECK_THROWS_WITH(failed.get(), "shared");
}

TEST_CASE("async runs in a green thread of its own, deferred in who waits") {
  const auto self = getcurrent();
  auto apart = green::async(std::launch::async, [] { return getcurrent(); });
  CHECK_FALSE(apart.get() == self);
  auto either =
      async([](int a, std::unique_ptr<int> b) { return a + *b; }, 1, std::make_unique<int>(2));
  CHECK(either.get() == 3);
  bool ran = false;
  auto deferred = green::async(std::launch::deferred, [&] {
    ran = true;
    sleep(0);
    return getcurrent() == self;
  });
  sleep(0.001);
  CHECK(deferred.wait_for(1000) == std::future_status::deferred);
  CHECK_FALSE(ran);
  deferred.wait();
  CHECK(ran);
  CHECK(deferred.wait_for(0) == std::future_status::ready);
  CHECK(deferred.get());
  {
    auto never = green::async(std::launch::deferred, [&] { FAIL("nobody waited"); });
  }
}

TEST_CASE(
    "the future of async waits for its end when it is destroyed, even in one that is killed") {
  bool ended = false;
  auto work = [&] {
    sleep(0.001);
    ended = true;
  };
  { auto result = async(work); }
  CHECK(ended);
  ended = false;
  auto killed = spawn([&] {
    auto result = async(work);
    sleep(test::watchdog);
  });
  sleep(0);
  killed.kill();
  CHECK_THROWS_AS(killed.wait(), GreenletExit);
  CHECK(ended);
  ended = false;
  future<void> held;
  test::in_libuv_callback([&] { auto result = async(work); });  // nothing can wait there
  CHECK_FALSE(ended);
  sleep(0.005);
  CHECK(ended);
}

TEST_CASE("an async that is killed, started or not, ends its future with GreenletExit") {
  for (const bool started : {true, false}) {
    auto result = async([] { sleep(test::watchdog); });
    const auto all = debug::ps();
    if (started) sleep(0);
    debug::find(all.back().id)->kill();
    CHECK_THROWS_AS(result.get(), GreenletExit);
  }
}

TEST_CASE("a packaged_task keeps what its function gives or throws") {
  packaged_task<int(int)> task([own = std::make_unique<int>(10)](int by) { return *own / by; });
  CHECK(task.valid());
  auto result = task.get_future();
  auto runner = spawn([task = std::move(task)]() mutable {
    task(5);
    task.reset();
    auto second = task.get_future();
    task(2);
    return second.get();
  });
  CHECK(result.get() == 2);
  CHECK(runner.wait() == 5);
  packaged_task<void()> fails([] { throw std::runtime_error("task"); });
  auto failure = fails.get_future();
  fails();
  CHECK_THROWS_WITH(failure.get(), "task");
  future<void> broken;
  {
    packaged_task<void()> dropped([] {});
    broken = dropped.get_future();
  }
  CHECK(error_of([&] { broken.get(); }) == std::future_errc::broken_promise);
}

TEST_CASE("what kills a packaged_task's caller is its result, and goes on") {
  packaged_task<void()> task([] { sleep(test::watchdog); });
  auto result = task.get_future();
  auto caller = spawn([&] { task(); });
  sleep(0);
  caller.kill();
  CHECK_THROWS_AS(caller.wait(), GreenletExit);
  CHECK_THROWS_AS(result.get(), GreenletExit);
}

TEST_CASE("misuse is a future_error with the standard's code") {
  using std::future_errc;
  future<int> none;
  CHECK(error_of([&] { none.get(); }) == future_errc::no_state);
  CHECK(error_of([&] { none.wait(); }) == future_errc::no_state);
  CHECK(error_of([&] { none.wait_for(1); }) == future_errc::no_state);
  CHECK(error_of([] { shared_future<int>().get(); }) == future_errc::no_state);
  promise<int> source;
  auto result = source.get_future();
  CHECK(error_of([&] { source.get_future(); }) == future_errc::future_already_retrieved);
  source.set_value(1);
  CHECK(error_of([&] { source.set_value(2); }) == future_errc::promise_already_satisfied);
  CHECK(error_of([&] { source.set_exception(std::make_exception_ptr(1)); }) ==
        future_errc::promise_already_satisfied);
  CHECK(result.get() == 1);
  CHECK(error_of([&] { result.get(); }) == future_errc::no_state);
  promise<int> moved(std::move(source));
  CHECK(error_of([&] { source.set_value(2); }) == future_errc::no_state);
  CHECK(error_of([&] { source.get_future(); }) == future_errc::no_state);
  packaged_task<int()> empty;
  CHECK(error_of([&] { empty(); }) == future_errc::no_state);
  CHECK(error_of([&] { empty.get_future(); }) == future_errc::no_state);
  packaged_task<int()> once([] { return 1; });
  once();
  CHECK(error_of([&] { once(); }) == future_errc::promise_already_satisfied);
}

TEST_CASE("in a libuv callback a result can be set, not waited for") {
  promise<int> source;
  auto result = source.get_future();
  auto reader = spawn([&] { return result.get(); });
  sleep(0);
  test::in_libuv_callback([&] {
    promise<int> other;
    auto unset = other.get_future();
    CHECK_THROWS_AS(unset.get(), NoAwaitletContext);
    CHECK(unset.valid());
    source.set_value(9);
  });
  CHECK(reader.wait() == 9);
}
