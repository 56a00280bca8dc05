#include "../support.hpp"

#include <green/event.hpp>
#include <green/greenpool.hpp>
#include <green/pools.hpp>
#include <uvlet/testing.hpp>

#include <aio/future.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>

namespace {

using green::Pool;
using green::TokenPool;

// Pools of 1, 2, 3, ...: eventlet's IntPool.
std::function<int()> counting() {
  return [next = 0]() mutable { return ++next; };
}

}  // namespace

// TestIntPool.test_integers, test_free
TEST_CASE("items are made as they are needed, and used again") {
  Pool<int> pool(0, 4, counting());
  CHECK(pool.free() == 4);
  for (int i = 1; i <= 4; ++i) {
    CHECK(pool.get() == i);
    CHECK(pool.free() == 4 - i);
  }
  pool.put(2);
  CHECK(pool.free() == 1);
  CHECK(pool.get() == 2);
}

// test_exhaustion
TEST_CASE("at the greatest size get waits for what comes back") {
  Pool<int> pool(0, 4, counting());
  for (int i = 0; i < 4; ++i) (void)pool.get();
  CHECK(pool.free() == 0);
  auto consumer = green::spawn([&] { return pool.get(); });
  green::sleep(0);
  CHECK(pool.waiting() == 1);
  CHECK(!consumer.dead());
  pool.put(1);
  CHECK(pool.waiting() == 0);
  CHECK(consumer.wait() == 1);
  CHECK(pool.free() == 0);
}

// test_blocks_on_pool
TEST_CASE("waiting counts who waits, and a killed one is none") {
  Pool<int> pool(0, 4, counting());
  auto greedy = green::spawn([&] {
    for (int i = 0; i < 5; ++i) (void)pool.get();
    FAIL("not reached");
  });
  CHECK(pool.waiting() == 0);
  green::sleep(0);
  CHECK(pool.waiting() == 1);
  greedy.kill();
  CHECK(pool.waiting() == 0);
}

// test_ordering, TestOrderAsStack.test_ordering
TEST_CASE("free items come in the order in which they came back, or the last first") {
  Pool<int> pool(0, 4, counting());
  const int one = pool.get(), two = pool.get();
  pool.put(one);
  pool.put(two);
  CHECK(pool.get() == one);
  CHECK(pool.get() == two);
  Pool<int> stack(0, 3, counting(), true);
  (void)stack.get(), (void)stack.get();
  stack.put(one);
  stack.put(two);
  CHECK(stack.get() == two);
  CHECK(stack.get() == one);
}

// test_putting_to_queue
TEST_CASE("items put back by others reach who waits") {
  Pool<int> pool(0, 2, counting());
  int put = 0;
  for (int i = 0; i < 3; ++i) {
    const int item = pool.get();
    green::spawn_n([&, item] {
      pool.put(item);
      ++put;
    });
  }
  green::sleep(0);
  CHECK(put == 3);
}

// test_resize
TEST_CASE("a pool that was made smaller drops what comes back, one made larger wakes who waits") {
  Pool<int> pool(0, 2, counting());
  const int a = pool.get(), b = pool.get();
  CHECK(pool.free() == 0);
  pool.resize(1);
  CHECK(pool.free() == -1);
  pool.put(a);
  pool.put(b);
  CHECK(pool.free() == 1);
  pool.resize(2);
  CHECK(pool.free() == 2);
  CHECK(pool.get() == b);
  CHECK(pool.get() == 3);
  auto waiting = green::spawn([&] { return pool.get(); });
  green::sleep(0);
  CHECK(pool.waiting() == 1);
  pool.resize(3);
  CHECK(waiting.wait() == 4);
  CHECK_THROWS_AS(pool.resize(-1), std::invalid_argument);
  CHECK(pool.free() == 0);
}

TEST_CASE("shrinking frees the free items that are too many") {
  int alive = 0;
  Pool<std::shared_ptr<test::Counted>> pool(3, 3,
                                            [&] { return std::make_shared<test::Counted>(alive); });
  CHECK(alive == 3);
  auto out = pool.get();
  pool.resize(1);
  CHECK(alive == 1);
  CHECK(pool.free() == 0);
  pool.put(std::move(out));
  CHECK(pool.free() == 1);
}

// test_create_contention
TEST_CASE("a create that blocks never makes too many") {
  int creates = 0;
  Pool<std::string> pool(0, 4, [&] {
    ++creates;
    green::sleep(0);
    return std::string("slept");
  });
  green::GreenPool workers;
  for (int i = 0; i < 100; ++i)
    workers.spawn_n([&] {
      auto item = pool.get();
      CHECK(item == "slept");
      pool.put(std::move(item));
    });
  workers.waitall();
  CHECK(creates == 4);
  CHECK(pool.free() == 4);
}

// test_put_with_timed_out_getters
TEST_CASE("put never blocks, also while the waiters are being interrupted") {
  Pool<int> pool(0, 2, counting());
  (void)pool.get(), (void)pool.get();
  std::vector<green::GreenThread<int>> getters;
  for (int i = 0; i < 5; ++i) getters.push_back(green::spawn([&] { return pool.get(); }));
  green::sleep(0);
  CHECK(pool.waiting() == 5);
  for (auto& getter : getters) green::spawn_n([getter] { getter.kill(); });
  pool.put(0);
  for (auto& getter : getters) CHECK_THROWS_AS(getter.wait(), green::GreenletExit);
  CHECK(pool.free() == 1);
  CHECK(pool.get() == 0);
}

// TestIntPool2.test_something
TEST_CASE("the least number of items is made by the constructor") {
  int creates = 0;
  Pool<int> pool(3, 3, [&] { return ++creates; });
  CHECK(creates == 3);
  CHECK(pool.free() == 3);
  CHECK(pool.get() == 1);
  CHECK(creates == 3);
}

// TestCreateRaises.test_it
TEST_CASE("a create that throws leaves its place free") {
  Pool<int> pool(0, 3, []() -> int { throw std::runtime_error("no"); });
  CHECK(pool.free() == 3);
  for (int i = 0; i < 5; ++i) CHECK_THROWS_AS(pool.get(), std::runtime_error);
  CHECK(pool.free() == 3);
  CHECK_THROWS_AS(Pool<int>(1, 3, []() -> int { throw 7; }), int);
}

TEST_CASE("a create that throws hands its place to who waits") {
  int creates = 0;
  Pool<int> pool(0, 1, [&]() -> int {
    green::sleep(0.001);
    if (++creates < 3) throw std::runtime_error("no");
    return creates;
  });
  std::vector<green::GreenThread<int>> all;
  const test::Quiet quiet;
  for (int i = 0; i < 3; ++i)
    all.push_back(green::spawn([&] {
      const int item = pool.get();
      pool.put(item);
      return item;
    }));
  green::sleep(0);
  CHECK(pool.waiting() == 2);
  CHECK_THROWS_AS(all[0].wait(), std::runtime_error);
  CHECK_THROWS_AS(all[1].wait(), std::runtime_error);
  CHECK(all[2].wait() == 3);
  CHECK(pool.free() == 1);
}

TEST_CASE("one that is killed in create hands its place on too") {
  int creates = 0;
  Pool<int> pool(0, 1, [&] {
    if (++creates == 1) green::Event<>().wait();
    return creates;
  });
  auto first = green::spawn([&] { return pool.get(); });
  auto second = green::spawn([&] { return pool.get(); });
  green::sleep(0);
  CHECK(pool.waiting() == 1);
  first.kill();
  CHECK(second.wait() == 2);
}

TEST_CASE("a waiter that is killed passes on what it was granted") {
  Pool<int> pool(0, 1, counting());
  const int item = pool.get();
  auto first = green::spawn([&] { return pool.get(); });
  auto second = green::spawn([&] { return pool.get(); });
  green::sleep(0);
  pool.put(item);
  first.kill();  // granted, but it has not run yet
  CHECK(second.wait() == item);
  CHECK_THROWS_AS(first.wait(), green::GreenletExit);
  CHECK(pool.waiting() == 0);
  pool.put(item);
  CHECK(pool.free() == 1);
}

TEST_CASE("waiters are served in the order in which they came") {
  Pool<int> pool(0, 1, counting());
  test::Log log;
  auto item = std::optional(pool.item());
  green::GreenPool workers;
  for (const char* name : {"a", "b", "c", "d"})
    workers.spawn_n([&, name] {
      auto mine = pool.item();
      log(name);
      green::sleep(0);
    });
  green::sleep(0);
  item.reset();
  workers.waitall();
  CHECK(log.text() == "a b c d");
}

TEST_CASE("a Lease puts its item back when destroyed, released or assigned to") {
  Pool<std::unique_ptr<int>> pool(0, 2, [] { return std::make_unique<int>(5); });
  {
    auto lease = pool.item();
    CHECK(**lease == 5);
    CHECK(*lease->get() == 5);
    CHECK(pool.free() == 1);
    auto moved = std::move(lease);
    CHECK(!lease);
    CHECK(moved);
    CHECK_THROWS_AS(*lease, std::logic_error);
    CHECK(pool.free() == 1);
    auto other = pool.item();
    CHECK(pool.free() == 0);
    other = std::move(moved);
    CHECK(pool.free() == 1);
    other.release();
    CHECK(pool.free() == 2);
    other.release();
    CHECK(pool.free() == 2);
    CHECK_THROWS_AS(other->get(), std::logic_error);
  }
  CHECK(pool.free() == 2);
  try {
    auto lease = pool.item();
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  CHECK(pool.free() == 2);
  static_assert(!std::is_copy_constructible_v<decltype(pool.item())>);
}

TEST_CASE("a pool may go before what it gave out, and before a create that runs") {
  int alive = 0;
  auto pool = std::make_unique<Pool<std::shared_ptr<test::Counted>>>(0, 2, [&] {
    green::sleep(0.001);
    return std::make_shared<test::Counted>(alive);
  });
  auto lease = std::optional(pool->item());
  auto making = green::spawn([&] { return pool->get(); });
  green::sleep(0);
  pool.reset();
  CHECK(alive == 1);
  CHECK(*making.wait()->alive == 2);
  lease.reset();
  making = {};
  CHECK(alive == 0);
}

TEST_CASE("coroutines and green threads share a pool") {
  Pool<int> pool(0, 1, counting());
  auto work = [&]() -> aio::task<int> {
    const int item = co_await pool.get_async();
    co_await uvlet::Sleep(0.001);
    pool.put(item);
    auto lease = co_await pool.item_async();
    co_return *lease;
  };
  auto future = aio::create_task(work());
  auto thread = green::spawn([&] { return *pool.item(); });
  CHECK(aio::run(future) == 1);
  CHECK(thread.wait() == 1);
  CHECK(pool.free() == 1);
}

TEST_CASE("a cancelled get_async leaves the pool as it was") {
  Pool<int> pool(0, 1, counting());
  auto held = std::optional(pool.item());
  auto get = [&]() -> aio::task<int> { co_return co_await pool.get_async(); };
  auto future = aio::create_task(get());
  green::sleep(0);
  CHECK(pool.waiting() == 1);
  held.reset();  // granted
  future.cancel();
  CHECK_THROWS_AS(aio::run(future), uvlet::CancelledError);
  CHECK(pool.free() == 1);
  CHECK(pool.waiting() == 0);
}

// TestAbstract.test_abstract
TEST_CASE("misuse is an error") {
  CHECK_THROWS_AS(Pool<int>(-1, 2, counting()), std::invalid_argument);
  CHECK_THROWS_AS(Pool<int>(0, -2, counting()), std::invalid_argument);
  CHECK_THROWS_AS(Pool<int>(3, 2, counting()), std::invalid_argument);
  CHECK_THROWS_AS(Pool<int>(0, 2, nullptr), std::invalid_argument);
  Pool<int> pool(1, 2, counting());
  CHECK_THROWS_AS(pool.put(9), std::logic_error);
  CHECK(pool.free() == 2);
  CHECK_THROWS_AS(TokenPool(-1), std::invalid_argument);
}

TEST_CASE("a pool of size 0 makes every get wait until it grows") {
  Pool<int> pool(0, 0, counting());
  CHECK(!green::move_on_after(0.001, [&] { (void)pool.get(); }));
  auto thread = green::spawn([&] { return pool.get(); });
  green::sleep(0);
  pool.resize(1);
  CHECK(thread.wait() == 1);
}

TEST_CASE("a TokenPool limits how many are at something") {
  CHECK(TokenPool().free() == 4);
  TokenPool tokens(2);
  int inside = 0, most = 0;
  green::GreenPool workers;
  for (int i = 0; i < 10; ++i)
    workers.spawn_n([&] {
      const auto token = tokens.item();
      most = std::max(most, ++inside);
      green::sleep(0.001);
      --inside;
    });
  workers.waitall();
  CHECK(most == 2);
  CHECK(tokens.free() == 2);
  const green::Token token = tokens.get();
  CHECK(tokens.free() == 1);
  tokens.put(token);
  CHECK(tokens.free() == 2);
}

TEST_CASE("in each order, and with a kill at each switch, no item is lost") {
  auto program = [] {
    Pool<int> pool(0, 1, counting());
    std::vector<green::GreenThread<void>> all;
    for (int i = 0; i < 3; ++i)
      all.push_back(green::spawn([&] {
        const auto lease = pool.item();
        green::sleep(0);
      }));
    if (uvlet::testing::maybe(0.5)) all[1].kill();
    for (auto& one : all) try {
        one.wait();
      } catch (const green::GreenletExit&) {
      }
    if (pool.free() != 1 || pool.waiting() != 0) throw std::logic_error("lost");
  };
  const test::Quiet quiet;
  const auto explored = uvlet::testing::explore(program);
  CHECK(explored.complete);
  CHECK(explored.schedules > 10);
  CHECK(uvlet::testing::kill_at_each_switch(3, [] {
          Pool<int> pool(0, 1, [n = 0]() mutable {
            green::sleep(0);
            return ++n;
          });
          green::GreenPool workers;
          for (int i = 0; i < 4; ++i)
            uvlet::testing::expose(workers.spawn([&] {
              const auto lease = pool.item();
              green::sleep(0.001);
            }));
          workers.waitall();
          if (pool.free() != 1 || pool.waiting() != 0) throw std::logic_error("lost");
        }) > 10);
}
