#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/wait.hpp>

#include <stdexcept>

namespace {

using Futures = std::vector<aio::Future<int>>;

aio::task<int> after(double seconds, int value) {
  co_await aio::sleep(seconds);
  co_return value;
}
aio::task<int> fail_after(double seconds) {
  co_await aio::sleep(seconds);
  throw std::runtime_error("failed");
}

static_assert(
    std::is_same_v<decltype(aio::wait(Futures())), aio::task<std::pair<Futures, Futures>>>);

}  // namespace

TEST_CASE("wait returns when all are done, in the order of the arguments") {
  Futures both{aio::create_task(after(0.004, 1)), aio::create_task(after(0.001, 2))};
  const auto [done, pending] = aio::run(aio::wait(both));
  REQUIRE(done.size() == 2);
  CHECK(pending.empty());
  CHECK(done[0].result() == 1);
  CHECK(done[1].result() == 2);
}

TEST_CASE("FIRST_COMPLETED returns at the first one and cancels nothing") {
  Futures both{aio::create_task(after(0.02, 1)), aio::create_task(after(0.001, 2))};
  const auto [done, pending] = aio::run(aio::wait(both, aio::FIRST_COMPLETED));
  REQUIRE(done.size() == 1);
  REQUIRE(pending.size() == 1);
  CHECK(done[0].result() == 2);
  CHECK(!pending[0].done());
  CHECK(green::awaitlet(pending[0]) == 1);
}

TEST_CASE("FIRST_EXCEPTION passes over results and cancelled ones") {
  auto cancelled = aio::create_task(after(1, 0));
  cancelled.cancel();
  Futures all{aio::create_task(after(0.001, 1)), aio::create_task(fail_after(0.005)),
              aio::create_task(after(0.05, 3)), cancelled};
  const auto [done, pending] = aio::run(aio::wait(all, aio::FIRST_EXCEPTION));
  CHECK(done.size() == 3);
  REQUIRE(pending.size() == 1);
  CHECK(done[1].exception() != nullptr);
  CHECK(green::awaitlet(pending[0]) == 3);
}

TEST_CASE("FIRST_EXCEPTION without one waits for all") {
  Futures both{aio::create_task(after(0.001, 1)), aio::create_task(after(0.002, 2))};
  const auto [done, pending] = aio::run(aio::wait(both, aio::FIRST_EXCEPTION));
  CHECK(done.size() == 2);
  CHECK(pending.empty());
}

TEST_CASE("after the timeout it gives what is done by then, and throws nothing") {
  auto never = aio::Future<int>::create();
  Futures both{aio::create_task(after(0.001, 1)), never};
  const auto [done, pending] = aio::run(aio::wait(both, aio::ALL_COMPLETED, 0.02));
  CHECK(done.size() == 1);
  REQUIRE(pending.size() == 1);
  CHECK(!never.cancelled());
  const auto [none, all] = aio::run(aio::wait(Futures{never}, aio::ALL_COMPLETED, 0));
  CHECK(none.empty());
  CHECK(all.size() == 1);
}

TEST_CASE("what is done already is not waited for") {
  auto ready = aio::Future<int>::create();
  ready.set_result(1);
  auto never = aio::Future<int>::create();
  const auto [done, pending] = aio::run(aio::wait(Futures{never, ready}, aio::FIRST_COMPLETED));
  CHECK(done.size() == 1);
  CHECK(pending.size() == 1);
}

TEST_CASE("cancelling wait cancels nothing of what it waits for") {
  auto inner = aio::create_task(after(0.01, 1));
  auto outer = aio::create_task(aio::wait(Futures{inner}));
  green::sleep(0);
  green::sleep(0);
  outer.cancel();
  CHECK_THROWS_AS(green::awaitlet(outer), aio::CancelledError);
  CHECK(green::awaitlet(inner) == 1);
}

TEST_CASE("it takes tasks, each a Greenlet of its own") {
  auto who = []() -> aio::task<std::uint64_t> { co_return green::getcurrent().id(); };
  std::vector<aio::task<std::uint64_t>> work;
  work.push_back(who());
  work.push_back(who());
  const auto [done, pending] = aio::run(aio::wait(std::move(work)));
  CHECK(done[0].result() != done[1].result());
}

TEST_CASE("nothing to wait for is invalid_argument") {
  CHECK_THROWS_AS(aio::run(aio::wait(Futures())), std::invalid_argument);
}

TEST_CASE("those that were not done can be waited for again, many times") {
  Futures left;
  for (int i = 0; i < 50; ++i) left.push_back(aio::create_task(after(0.001 * (i % 7), i)));
  int sum = 0;
  while (!left.empty()) {
    auto [done, pending] = aio::run(aio::wait(left, aio::FIRST_COMPLETED));
    REQUIRE(!done.empty());
    for (const auto& one : done) sum += one.result();
    left = std::move(pending);
  }
  CHECK(sum == 1225);
}
