#include "../support.hpp"

#include <aio/shield.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <memory>
#include <stdexcept>

namespace {

aio::task<int> slow(int value) {
  co_await aio::sleep(0.005);
  co_return value;
}
template <class A>
aio::task<int> shielded(A work) {
  co_return co_await aio::shield(std::move(work));
}

static_assert(std::is_same_v<decltype(aio::shield(aio::Future<int>())), aio::task<int>>);

}  // namespace

TEST_CASE("shield gives the result, or rethrows") {
  CHECK(aio::run(aio::shield(aio::create_task(slow(1)))) == 1);
  CHECK(aio::run(aio::shield(slow(2))) == 2);
  auto failed = aio::Future<int>::create();
  failed.set_exception(std::make_exception_ptr(std::runtime_error("inner")));
  CHECK_THROWS_WITH_AS(aio::run(aio::shield(failed)), "inner", std::runtime_error);
  CHECK(aio::run(aio::shield(green::spawn([] { return 3; }))) == 3);
  CHECK(aio::run(aio::shield(aio::sleep(0, std::string("x")))) == "x");
}

TEST_CASE("cancelling who awaits leaves the inner task alone") {
  auto inner = aio::create_task(slow(4));
  auto outer = aio::create_task(shielded(inner));
  green::sleep(0);
  green::sleep(0);
  outer.cancel();
  CHECK_THROWS_AS(green::awaitlet(outer), aio::CancelledError);
  CHECK(!inner.done());
  CHECK(green::awaitlet(inner) == 4);
}

TEST_CASE("a killed green thread leaves a shielded Future alone") {
  auto inner = aio::create_task(slow(5));
  auto thread = green::spawn([&] { green::awaitlet(aio::shield(inner)); });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(green::awaitlet(inner) == 5);
}

TEST_CASE("wait_for of a shield times out and the work goes on") {
  auto inner = aio::create_task(slow(6));
  CHECK_THROWS_AS(aio::run(aio::wait_for(aio::shield(inner), 0)), aio::TimeoutError);
  CHECK(!inner.cancelled());
  CHECK(green::awaitlet(inner) == 6);
}

TEST_CASE("an inner task that is cancelled itself is CancelledError outside") {
  auto inner = aio::create_task(slow(7));
  auto outer = aio::create_task(shielded(inner));
  green::sleep(0);
  green::sleep(0);
  inner.cancel();
  CHECK_THROWS_AS(green::awaitlet(outer), aio::CancelledError);
}

TEST_CASE("a task is started by shield, and runs on though nobody awaits it") {
  bool ran = false;
  auto work = [](bool& to) -> aio::task<> {
    to = true;
    co_return;
  };
  { auto dropped = aio::shield(work(ran)); }
  green::sleep(0);
  CHECK(ran);
}

TEST_CASE("move-only results") {
  auto box = []() -> aio::task<std::unique_ptr<int>> { co_return std::make_unique<int>(8); };
  CHECK(*aio::run(aio::shield(box())) == 8);
}
