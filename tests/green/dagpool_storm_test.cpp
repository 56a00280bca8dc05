// What eventlet's tests of dagpool leave open: kills, interrupts, coroutines, lifetime, and a
// storm.

#include "../support.hpp"

#include <green/dagpool.hpp>
#include <green/event.hpp>
#include <green/greenpool.hpp>
#include <uvlet/testing.hpp>

#include <aio/future.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace testing = uvlet::testing;
using green::Collision;
using Pool = green::DAGPool<int, int>;
using Results = Pool::Results;
using Error = green::PropagateError<int>;

int sum(int key, Results results) {
  for (const auto& [k, v] : results) key += v;
  return key;
}

}  // namespace

TEST_CASE("a key without operator<< is a question mark in messages") {
  struct Opaque {
    int number;
    bool operator<(const Opaque& other) const { return number < other.number; }
  };
  green::DAGPool<Opaque, int> pool;
  pool.post({1}, 2);
  CHECK_THROWS_WITH_AS(pool.post({1}, 3), "DAGPool: ?", Collision);
  CHECK(pool[{1}] == 2);
}

TEST_CASE("any exception is propagated, so that no one waits for ever") {
  Pool pool;
  pool.spawn(1, {}, [](int, Results) -> int { throw 5; });
  pool.spawn(2, {}, [](int, Results) -> int { throw green::TimeoutExpired(1); });
  pool.spawn(3, {}, [](int, Results) -> int {
    green::getcurrent().kill();
    return 3;
  });
  pool.spawn(4, {3}, sum);
  for (int key : {1, 2, 3, 4}) CHECK_THROWS_AS(pool[key], Error);
  CHECK(pool.running() == 0);
  CHECK_THROWS_AS(Error(1, nullptr), std::invalid_argument);
}

TEST_CASE("a reader goes on after a PropagateError") {
  Pool pool;
  pool.post(1, Error(1, std::make_exception_ptr(std::runtime_error("x"))));
  pool.post(2, 20);
  Results each = pool.wait_each({1, 2});
  CHECK_THROWS_AS(each.next(), Error);
  CHECK(each.next()->second == 20);
  CHECK(!each.next());
}

TEST_CASE("values come in the order in which they were posted, also to one who asks later") {
  Pool pool;
  for (int key : {3, 1, 2}) pool.post(key, 10 * key);
  std::vector<int> order;
  for (const auto& [key, value] : pool.wait_each()) order.push_back(key);
  CHECK(order == std::vector<int>{3, 1, 2});
}

TEST_CASE("kill cuts a running one short; who depends on it waits for the next of that key") {
  Pool pool;
  int unwound = 0;
  pool.spawn(1, {}, [&](int, Results) -> int {
    const std::shared_ptr<void> guard(nullptr, [&](void*) { ++unwound; });
    green::Event<>().wait();
    return 1;
  });
  pool.spawn(2, {1}, sum);
  green::sleep(0);
  pool.kill(1);
  CHECK(unwound == 1);
  CHECK(pool.running_keys() == std::vector<int>{2});
  CHECK(pool.waiting_for(2) == std::set<int>{1});
  pool.spawn(1, {}, [](int, Results) { return 40; });
  CHECK(pool[2] == 42);
}

TEST_CASE("one that survives its kill gives no value, and does not take its successor's place") {
  Pool pool;
  pool.spawn(1, {}, [](int, Results) {
    try {
      green::Event<>().wait();
    } catch (const green::GreenletExit&) {
      green::sleep(0.002);
    }
    return 1;
  });
  green::sleep(0);
  pool.kill(1);
  pool.spawn(1, {}, [](int, Results) {
    green::sleep(0.01);
    return 2;
  });
  CHECK(pool.running() == 1);
  CHECK(pool[1] == 2);
  CHECK(pool.running() == 0);
}

TEST_CASE("one may kill itself, and post for itself") {
  Pool pool;
  pool.spawn(1, {}, [&](int key, Results) {
    pool.post(key, 7);
    CHECK(pool.running() == 2);  // it still runs
    CHECK_THROWS_AS(pool.post(key, 8), Collision);
    pool.post(key, 9, true);
    return 1;
  });
  pool.spawn(2, {}, [&](int key, Results) {
    pool.kill(key);
    return 1;
  });
  CHECK(pool[1] == 9);
  green::sleep(0);
  CHECK(pool.running() == 0);
  CHECK(!pool.get(2));
}

TEST_CASE("get gives the fallback where there is no value yet") {
  Pool pool(std::map<int, int>{{1, 10}});
  CHECK(pool.get(1) == 10);
  CHECK(pool.get(1, 5) == 10);
  CHECK(pool.get(2, 5) == 5);
  CHECK(!pool.get(2));
  CHECK(pool.keys() == std::vector<int>{1});
}

TEST_CASE("a killed reader loses nothing, and two readers of one range share it") {
  Pool pool;
  Results shared = pool.wait_each({1, 2, 3});
  std::multiset<int> got;
  auto reader = [&, copy = shared]() mutable {
    for (const auto& [key, value] : copy) got.insert(key);
  };
  auto first = green::spawn(reader), second = green::spawn(reader), third = green::spawn(reader);
  green::sleep(0);
  third.kill();
  for (int key : {1, 2, 3}) {
    pool.post(key, key);
    green::sleep(0);
  }
  first.wait();
  second.wait();
  CHECK(got == std::multiset<int>{1, 2, 3});
  CHECK(!shared.next());
}

TEST_CASE("a Timeout ends a wait, and the pool goes on") {
  Pool pool;
  for (int i = 0; i < 100; ++i)
    CHECK_THROWS_AS(green::with_timeout(0, [&] { (void)pool[1]; }), green::TimeoutExpired);
  pool.post(1, 5);
  CHECK(pool[1] == 5);
}

TEST_CASE("coroutines wait for values as green threads do") {
  Pool pool;
  auto work = [&]() -> aio::task<int> {
    int all = co_await pool.at_async(1);
    // (g++ 12 cannot compile the braces within a co_await.)
    const std::vector<int> both{1, 2};
    for (const auto& [key, value] : co_await pool.wait_async(both)) all += value;
    Results each = pool.wait_each(std::vector<int>(1, 3));
    while (auto next = co_await each.next_async()) all += next->second;
    co_return all + static_cast<int>((co_await pool.waitall_async()).size());
  };
  auto future = aio::create_task(work());
  pool.spawn(2, {1}, sum);
  pool.spawn(3, {2}, sum);
  green::sleep(0);
  pool.post(1, 100);
  CHECK(aio::run(future) == 100 + 100 + 102 + 105 + 3);
}

TEST_CASE("green threads run on when their pool is gone, and nothing is left") {
  int alive = 0;
  green::Event<> go;
  {
    green::DAGPool<int, std::shared_ptr<test::Counted>> pool;
    pool.spawn(1, {}, [&](int, auto) {
      go.wait();
      return std::make_shared<test::Counted>(alive);
    });
    pool.spawn(2, {1}, [&](int, auto results) {
      auto value = results.next()->second;
      CHECK(alive == 1);
      return value;
    });
    green::sleep(0);
  }
  go.send();
  for (int i = 0; i < 5; ++i) green::sleep(0);
  CHECK(alive == 0);
}

TEST_CASE("a chain of thousands runs to its end") {
  Pool pool;
  constexpr int length = 3000;
  for (int key = length; key > 0; --key)
    pool.spawn(key, {key - 1}, [](int, Results results) { return results.next()->second + 1; });
  green::sleep(0);
  CHECK(pool.waiting() == length);
  pool.post(0, 0);
  CHECK(pool[length] == length);
  CHECK(pool.wait().size() == length + 1);
}

TEST_CASE("storm: each value is the one that its graph gives, through kills and time limits") {
  const std::uint64_t seed = std::random_device()();
  MESSAGE("seed " << seed);
  testing::SimulationOptions options(seed);
  options.faults.kills = 0.01;
  options.faults.delayed_wakes = 0.02;
  options.faults.early_timeouts = 0.02;
  const test::Quiet quiet;
  int operations = 0, again = 0;
  const auto report = testing::simulate(options, [&] {
    while (operations < 100'000) {
      constexpr int keys = 60;
      Pool pool;
      std::map<int, std::vector<int>> graph;
      std::vector<int> expected(keys);
      for (int key = 0; key < keys; ++key) {
        std::set<int> depends;
        for (int i = 0; key > 0 && i < 3; ++i)
          depends.insert(static_cast<int>(testing::choose(static_cast<std::size_t>(key))));
        graph[key].assign(depends.begin(), depends.end());
        expected[static_cast<std::size_t>(key)] = key % 7;
        for (int one : depends)
          (expected[static_cast<std::size_t>(key)] += expected[static_cast<std::size_t>(one)]) %=
              1000;
      }
      auto node = [&](int key, Results results) {
        int value = key % 7;
        for (const auto& [k, v] : results) value = (value + v) % 1000, ++operations;
        green::sleep(0.001 * static_cast<double>(testing::choose(4)));
        return value;
      };
      auto start = [&](int key) { pool.spawn(key, graph.at(key), node); };
      for (int key = keys - 1; key >= 0; --key) start(key);
      green::GreenPool readers;
      for (int i = 0; i < 20; ++i)
        testing::expose(readers.spawn([&] {
          for (int j = 0; j < 10; ++j, ++operations) {
            const green::Timeout limit(0.0005 * static_cast<double>(testing::choose(12)));
            try {
              const int key = static_cast<int>(testing::choose(keys));
              if (pool[key] != expected[static_cast<std::size_t>(key)])
                throw std::logic_error("a wrong value");
            } catch (const green::TimeoutExpired&) {
            }
          }
        }));
      for (int i = 0; i < 10; ++i, ++operations) {  // some are killed, and started again
        green::sleep(0.0005 * static_cast<double>(testing::choose(4)));
        const auto running = pool.running_keys();
        if (running.empty()) break;
        const int key = running[testing::choose(running.size())];
        pool.kill(key);
        start(key);
        ++again;
      }
      const auto all = pool.waitall();
      readers.waitall();
      for (int key = 0; key < keys; ++key)
        if (all.at(key) != expected[static_cast<std::size_t>(key)])
          throw std::logic_error("a wrong value at the end");
      if (pool.running() != 0 || pool.waiting() != 0) throw std::logic_error("some still run");
    }
  });
  CHECK(operations >= 100'000);
  CHECK(again > 100);
  CHECK(report.kills > 100);
  CHECK(report.left == 0);
}
