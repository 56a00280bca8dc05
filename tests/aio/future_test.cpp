#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/gather.hpp>
#include <aio/shield.hpp>
#include <aio/sleep.hpp>
#include <aio/wait.hpp>
#include <aio/wait_for.hpp>

#include <memory>
#include <stdexcept>

namespace {

using test::Log;

aio::task<int> await_future(aio::Future<int> future) { co_return co_await future; }
std::exception_ptr broken() { return std::make_exception_ptr(std::runtime_error("broken")); }

static_assert(std::is_same_v<aio::Future<>, aio::Future<void>>);
static_assert(std::is_copy_constructible_v<aio::Future<int>>);
static_assert(std::is_base_of_v<std::logic_error, aio::InvalidStateError>);

}  // namespace

TEST_CASE("a fresh Future is not done") {
  auto future = aio::Future<int>::create();
  CHECK(!future.done());
  CHECK(!future.cancelled());
}

TEST_CASE("set_result makes it done, and result gives it any number of times") {
  auto future = aio::Future<std::string>::create();
  future.set_result("value");
  CHECK(future.done());
  CHECK(!future.cancelled());
  CHECK(future.result() == "value");
  CHECK(future.result() == "value");
  CHECK(future.exception() == nullptr);
}

TEST_CASE("set_exception makes it done, and result rethrows the same object each time") {
  auto future = aio::Future<int>::create();
  const std::exception_ptr error = broken();
  future.set_exception(error);
  CHECK(future.done());
  CHECK(!future.cancelled());
  CHECK(future.exception() == error);
  for (int i = 0; i < 2; ++i) CHECK_THROWS_WITH_AS(future.result(), "broken", std::runtime_error);
}

TEST_CASE("result and exception before the end are InvalidStateError") {
  auto future = aio::Future<int>::create();
  CHECK_THROWS_AS(future.result(), aio::InvalidStateError);
  CHECK_THROWS_AS((void)future.exception(), aio::InvalidStateError);
  future.set_result(1);
  CHECK(future.result() == 1);
}

TEST_CASE("a second set is InvalidStateError and changes nothing") {
  auto future = aio::Future<int>::create();
  future.set_result(1);
  CHECK_THROWS_AS(future.set_result(2), aio::InvalidStateError);
  CHECK_THROWS_AS(future.set_exception(broken()), aio::InvalidStateError);
  CHECK(future.result() == 1);
  auto failed = aio::Future<>::create();
  failed.set_exception(broken());
  CHECK_THROWS_AS(failed.set_result(), aio::InvalidStateError);
}

TEST_CASE("a Future of nothing is set without a value") {
  auto future = aio::Future<>::create();
  future.set_result();
  CHECK(future.done());
  future.result();
  green::awaitlet(future);
}

TEST_CASE("a null exception is invalid_argument") {
  auto future = aio::Future<int>::create();
  CHECK_THROWS_AS(future.set_exception(nullptr), std::invalid_argument);
  CHECK(!future.done());
}

TEST_CASE("copies share the state") {
  auto future = aio::Future<int>::create();
  aio::Future<int> copy = future;
  copy.set_result(3);
  CHECK(future.result() == 3);
}

TEST_CASE("green threads and coroutines await the same Future, in the order they came") {
  Log log;
  auto future = aio::Future<int>::create();
  auto coroutine = [](aio::Future<int> awaited, Log& to, std::string who) -> aio::task<> {
    const int value = co_await awaited;
    to(who + std::to_string(value));
  };
  auto first = aio::create_task(coroutine(future, log, "a"));
  auto second = green::spawn([&] { log("b" + std::to_string(green::awaitlet(future))); });
  auto third = aio::create_task(coroutine(future, log, "c"));
  green::sleep(0);
  future.set_result(1);
  CHECK(log.text() == "");  // set_result never switches
  green::awaitlet(first);
  second.wait();
  green::awaitlet(third);
  CHECK(log.text() == "a1 b1 c1");
}

TEST_CASE("a Future is awaitable any number of times") {
  auto future = aio::Future<int>::create();
  auto thrice = [](aio::Future<int> awaited) -> aio::task<int> {
    co_return co_await awaited + co_await awaited + co_await awaited;
  };
  auto sum = aio::create_task(thrice(future));
  green::sleep(0);
  future.set_result(2);
  CHECK(green::awaitlet(sum) == 6);
  CHECK(green::awaitlet(future) == 2);
}

TEST_CASE("awaitlet of a done Future does not switch") {
  bool other_ran = false;
  auto future = aio::Future<int>::create();
  future.set_result(1);
  auto other = green::spawn([&] { other_ran = true; });
  CHECK(green::awaitlet(future) == 1);
  CHECK(!other_ran);
  other.wait();
}

TEST_CASE("an exception goes to all that await") {
  auto future = aio::Future<int>::create();
  auto first = aio::create_task(await_future(future));
  auto second = green::spawn(
      [&] { CHECK_THROWS_WITH_AS(green::awaitlet(future), "broken", std::runtime_error); });
  green::sleep(0);
  future.set_exception(broken());
  CHECK_THROWS_WITH_AS(green::awaitlet(first), "broken", std::runtime_error);
  second.wait();
}

TEST_CASE("cancel of a Future without a task ends it at once") {
  auto future = aio::Future<int>::create();
  CHECK(future.cancel());
  CHECK(future.done());
  CHECK(future.cancelled());
  CHECK_THROWS_AS(future.result(), aio::CancelledError);
  CHECK(!future.cancel());
  CHECK_THROWS_AS(future.set_result(1), aio::InvalidStateError);
}

TEST_CASE("cancel of a done Future is refused and changes nothing") {
  auto future = aio::Future<int>::create();
  future.set_result(1);
  CHECK(!future.cancel());
  CHECK(!future.cancelled());
  CHECK(future.result() == 1);
}

TEST_CASE("who awaits a cancelled Future gets CancelledError") {
  auto future = aio::Future<int>::create();
  auto awaiting = aio::create_task(await_future(future));
  green::sleep(0);
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(awaiting), aio::CancelledError);
  CHECK(awaiting.cancelled());
}

TEST_CASE("cancelling a task cancels the Future that it awaits") {
  auto future = aio::Future<int>::create();
  auto awaiting = aio::create_task(await_future(future));
  green::sleep(0);
  CHECK(awaiting.cancel());
  CHECK_THROWS_AS(green::awaitlet(awaiting), aio::CancelledError);
  CHECK(future.cancelled());
}

TEST_CASE("a green thread killed while it awaits a Future cancels that Future") {
  auto future = aio::Future<int>::create();
  auto thread = green::spawn([&] { green::awaitlet(future); });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(future.cancelled());
}

TEST_CASE("callbacks run in order, each with the Future, where blocking is allowed") {
  Log log;
  auto future = aio::Future<int>::create();
  future.add_done_callback([&](aio::Future<int> done) {
    green::sleep(0);
    log("a" + std::to_string(done.result()));
  });
  future.add_done_callback([&](aio::Future<int>) { log("b"); });
  future.set_result(1);
  CHECK(log.text() == "");
  green::sleep(0.01);
  CHECK(log.entries().size() == 2);
  CHECK(log.text().find("a1") != std::string::npos);
}

TEST_CASE("callbacks that do not block run in the order they were added") {
  Log log;
  auto future = aio::Future<>::create();
  for (int i = 0; i < 5; ++i)
    future.add_done_callback([&log, i](aio::Future<>) { log(std::to_string(i)); });
  future.set_result();
  green::sleep(0.001);
  CHECK(log.text() == "0 1 2 3 4");
}

TEST_CASE("a callback added to a done Future runs soon, not inside the call") {
  bool called = false;
  auto future = aio::Future<>::create();
  future.set_result();
  future.add_done_callback([&](aio::Future<>) { called = true; });
  CHECK(!called);
  green::sleep(0);
  CHECK(called);
}

TEST_CASE("a callback runs for an error and for a cancel too, and may be move-only") {
  int calls = 0;
  auto failed = aio::Future<>::create();
  failed.add_done_callback([&calls, box = std::make_unique<int>(2)](aio::Future<> done) {
    calls += done.exception() ? *box : 0;
  });
  auto dropped = aio::Future<>::create();
  dropped.add_done_callback([&](aio::Future<> done) { calls += done.cancelled() ? 1 : 0; });
  failed.set_exception(broken());
  dropped.cancel();
  green::sleep(0.001);
  CHECK(calls == 3);
}

TEST_CASE("a callback that throws hurts nobody else") {
  const test::Quiet quiet;
  bool second = false;
  auto future = aio::Future<int>::create();
  future.add_done_callback([](aio::Future<int>) { throw std::runtime_error("callback"); });
  future.add_done_callback([&](aio::Future<int>) { second = true; });
  future.set_result(1);
  green::sleep(0.001);
  CHECK(second);
  CHECK(future.result() == 1);
}

TEST_CASE("a Future has a name that can be set") {
  auto future = aio::Future<int>::create();
  CHECK(!future.name().empty());
  future.set_name("download");
  CHECK(future.name() == "download");
}

TEST_CASE("a move-only result is taken by the only handle") {
  auto future = aio::Future<std::unique_ptr<int>>::create();
  future.set_result(std::make_unique<int>(4));
  CHECK(*green::awaitlet(std::move(future)) == 4);
}

TEST_CASE("a move-only result that others could still ask for is a logic_error") {
  auto future = aio::Future<std::unique_ptr<int>>::create();
  auto other = future;
  future.set_result(std::make_unique<int>(4));
  CHECK_THROWS_AS(green::awaitlet(std::move(future)), std::logic_error);
  CHECK(*green::awaitlet(std::move(other)) == 4);
}

TEST_CASE("who awaits need not hold the Future") {
  auto awaiting = [] {
    auto future = aio::Future<int>::create();
    auto task = aio::create_task(await_future(future));
    future.add_done_callback([](aio::Future<int>) {});
    green::spawn_after(0.001, [future]() mutable { future.set_result(5); });
    return task;
  }();
  CHECK(green::awaitlet(awaiting) == 5);
}

TEST_CASE("a Future made here is set by a coroutine") {
  auto future = aio::Future<int>::create();
  auto setter = [](aio::Future<int> to) -> aio::task<> {
    co_await aio::sleep(0.001);
    to.set_result(6);
  };
  auto task = aio::create_task(setter(future));
  CHECK(green::awaitlet(future) == 6);
  green::awaitlet(task);
}

TEST_CASE("awaiting a Future that was moved from or never made is InvalidStateError") {
  using aio::InvalidStateError;
  const aio::Future<int> none;
  CHECK_THROWS_AS(green::awaitlet(none), InvalidStateError);
  CHECK_THROWS_AS(green::awaitlet(aio::Future<int>()), InvalidStateError);
  CHECK_THROWS_AS(green::awaitlet(await_future(none)), InvalidStateError);
  CHECK_THROWS_AS(green::awaitlet(aio::gather(none, none)), InvalidStateError);
  CHECK_THROWS_AS(green::awaitlet(aio::gather(std::vector{none})), InvalidStateError);
  CHECK_THROWS_AS(green::awaitlet(aio::wait(std::vector{none})), InvalidStateError);
  CHECK_THROWS_AS(green::awaitlet(aio::shield(none)), InvalidStateError);
  CHECK_THROWS_AS(green::awaitlet(aio::wait_for(none, 1)), InvalidStateError);
  CHECK_THROWS_AS(aio::run(none), InvalidStateError);
  CHECK_THROWS_AS(green::spawn_for_awaitable(none), InvalidStateError);
  auto awaited = aio::create_task(await_future(aio::Future<int>::create()));
  awaited.cancel();
  CHECK_THROWS_AS(green::awaitlet(std::move(awaited)), aio::CancelledError);
  CHECK_THROWS_AS(green::awaitlet(awaited), InvalidStateError);
}
