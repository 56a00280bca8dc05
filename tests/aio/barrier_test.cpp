#include <aio/barrier.hpp>

#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <algorithm>
#include <stdexcept>

namespace {

aio::task<int> arrive(aio::Barrier& at) { co_return co_await at.wait(); }

}  // namespace

TEST_CASE("nobody goes on before all have come; each gets its place in the order of coming") {
  aio::Barrier barrier(3);
  for (int round = 0; round < 3; ++round) {
    auto first = aio::create_task(arrive(barrier));
    auto second = green::spawn([&] { return green::awaitlet(barrier.wait()); });
    green::sleep(0);
    green::sleep(0);
    CHECK(barrier.n_waiting() == 2);
    CHECK(!first.done());
    CHECK(green::awaitlet(barrier.wait()) == 2);
    CHECK(green::awaitlet(first) == 0);
    CHECK(second.wait() == 1);
    CHECK(barrier.n_waiting() == 0);
  }
}

TEST_CASE("a barrier of one never waits, one of none is invalid_argument") {
  aio::Barrier barrier(1);
  CHECK(green::awaitlet(barrier.wait()) == 0);
  CHECK(barrier.parties() == 1);
  CHECK_THROWS_AS(aio::Barrier(0), std::invalid_argument);
}

TEST_CASE("abort breaks it for who waits and who comes, until reset") {
  aio::Barrier barrier(2);
  auto waiting = aio::create_task(arrive(barrier));
  green::sleep(0);
  barrier.abort();
  CHECK(barrier.broken());
  CHECK_THROWS_AS(green::awaitlet(waiting), aio::BrokenBarrierError);
  CHECK_THROWS_AS(green::awaitlet(barrier.wait()), aio::BrokenBarrierError);
  barrier.reset();
  CHECK(!barrier.broken());
  auto again = aio::create_task(arrive(barrier));
  green::sleep(0);
  CHECK(green::awaitlet(barrier.wait()) == 1);
  CHECK(green::awaitlet(again) == 0);
}

TEST_CASE("abort and reset are done at once, and may be awaited as well") {
  aio::Barrier barrier(2);
  auto both = [](aio::Barrier& broken) -> aio::task<int> {
    co_await broken.abort();
    CHECK(broken.broken());
    co_await broken.reset();
    CHECK_FALSE(broken.broken());
    co_return 1;
  };
  CHECK(aio::run(both(barrier)) == 1);
  barrier.abort();
  CHECK(barrier.broken());
  green::awaitlet(barrier.reset());
  CHECK_FALSE(barrier.broken());
  aio::run(barrier.abort());
  CHECK(barrier.broken());
}

TEST_CASE("reset breaks those who wait alone") {
  aio::Barrier barrier(2);
  auto waiting = aio::create_task(arrive(barrier));
  green::sleep(0);
  barrier.reset();
  CHECK_THROWS_AS(green::awaitlet(waiting), aio::BrokenBarrierError);
  CHECK(!barrier.broken());
  CHECK(barrier.n_waiting() == 0);
}

TEST_CASE("who is cancelled while waiting has not come, and breaks nothing") {
  aio::Barrier barrier(2);
  auto cancelled = aio::create_task(arrive(barrier));
  green::sleep(0);
  cancelled.cancel();
  CHECK_THROWS_AS(green::awaitlet(cancelled), aio::CancelledError);
  CHECK(barrier.n_waiting() == 0);
  CHECK_THROWS_AS(aio::run(aio::wait_for(barrier.wait(), 0.001)), aio::TimeoutError);
  auto other = aio::create_task(arrive(barrier));
  green::sleep(0);
  CHECK(green::awaitlet(barrier.wait()) == 1);
  CHECK(green::awaitlet(other) == 0);
}
