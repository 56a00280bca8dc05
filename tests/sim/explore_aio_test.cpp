// asyncio's synchronization in every order, with a task that is cancelled at any point.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <mutex>

namespace {

using sim::require;
using uvlet::testing::explore;

// Whether it ended by itself.
bool finished(const aio::Future<void>& task) {
  try {
    green::awaitlet(task);
    return true;
  } catch (const aio::CancelledError&) {
    return false;
  }
}

aio::task<void> cancel_somewhen(aio::Future<void> victim) {
  co_await aio::sleep(0);
  victim.cancel();
}

// Explores `program` and checks that its victim was cancelled in some orders, and not in others.
void explore_cancels(const std::function<bool()>& victim_finishes) {
  std::uint64_t cancelled = 0;
  const auto result = explore([&] { cancelled += !victim_finishes(); });
  MESSAGE("schedules: ", result.schedules, ", the victim was cancelled in ", cancelled);
  CHECK(result.complete);
  CHECK(cancelled > 0);
  CHECK(cancelled < result.schedules);
}

struct Owners {
  int inside = 0;
  int owned = 0;
};

aio::task<void> own(aio::Lock& lock, Owners& owners) {
  co_await lock.acquire();
  const std::lock_guard guard(lock, std::adopt_lock);
  require(++owners.inside == 1, "two own it");
  ++owners.owned;
  try {
    co_await aio::sleep(0);
  } catch (const aio::CancelledError&) {
    --owners.inside;
    throw;
  }
  --owners.inside;
}

aio::task<void> consume(aio::Condition& changed, int& items) {
  co_await changed.acquire();
  const std::lock_guard guard(changed, std::adopt_lock);
  co_await changed.wait_for([&] { return items > 0; });
  require(changed.locked(), "woken without the lock");
  --items;
}

aio::task<void> produce(aio::Condition& changed, int& items) {
  for (int i = 0; i < 2; ++i) {
    co_await changed.acquire();
    const std::lock_guard guard(changed, std::adopt_lock);
    ++items;
    changed.notify();
  }
}

aio::task<void> meet(aio::Barrier& barrier, int& passed) {
  co_await barrier.wait();
  ++passed;
}

}  // namespace

TEST_CASE("an aio::Lock has one owner, and is passed on, in every order") {
  explore_cancels([] {
    aio::Lock lock;
    Owners owners;
    auto victim = aio::create_task(own(lock, owners));
    auto second = aio::create_task(own(lock, owners));
    auto third = green::spawn([&] { green::awaitlet(own(lock, owners)); });
    auto canceller = aio::create_task(cancel_somewhen(victim));
    green::awaitlet(canceller);
    green::awaitlet(second);
    third.wait();
    const bool done = finished(victim);
    require(owners.owned >= 2, "somebody did not get it");
    require(owners.inside == 0 && !lock.locked(), "it is lost");
    return done;
  });
}

TEST_CASE("a notification of an aio::Condition is lost on nobody, in every order") {
  explore_cancels([] {
    aio::Condition changed;
    int items = 0;
    auto victim = aio::create_task(consume(changed, items));
    auto other = aio::create_task(consume(changed, items));
    auto producer = aio::create_task(produce(changed, items));
    auto canceller = aio::create_task(cancel_somewhen(victim));
    green::awaitlet(canceller);
    green::awaitlet(producer);
    green::awaitlet(other);
    const bool done = finished(victim);
    require(items == (done ? 0 : 1), "an item is lost, or came twice");
    require(!changed.locked(), "the lock is lost");
    return done;
  });
}

TEST_CASE("at an aio::Barrier as many meet as are asked for, in every order") {
  explore_cancels([] {
    aio::Barrier barrier(2);
    int passed = 0;
    auto victim = aio::create_task(meet(barrier, passed));
    auto first = aio::create_task(meet(barrier, passed));
    auto second = aio::create_task(meet(barrier, passed));
    auto canceller = aio::create_task(cancel_somewhen(victim));
    green::awaitlet(canceller);
    const bool done = finished(victim);
    uvlet::testing::wait_all_blocked();
    // Who met the victim is through, though it was cancelled before it ran on.
    const bool one_is_left = barrier.n_waiting() == 1;
    require(one_is_left || !done, "three met");
    if (one_is_left) green::awaitlet(meet(barrier, passed));
    green::awaitlet(first);
    green::awaitlet(second);
    require(passed == 2 + (done ? 1 : 0) + (one_is_left ? 1 : 0), "somebody passed twice");
    require(barrier.n_waiting() == 0 && !barrier.broken(), "somebody is left");
    return done;
  });
}
