#include "../support.hpp"

#include <green/event.hpp>
#include <green/greenpool.hpp>

#include <memory>
#include <sstream>

namespace {

// An input range of f(0), f(1), ... below `count`.
template <class F>
struct Computed {
  struct iterator {
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    F* function;
    int at;
    int operator*() const { return (*function)(at); }
    iterator& operator++() {
      ++at;
      return *this;
    }
    iterator operator++(int) { return {function, at++}; }
    bool operator==(const iterator& other) const { return at == other.at; }
  };
  iterator begin() { return {&function, 0}; }
  iterator end() { return {&function, count}; }
  F function;
  int count;
};
template <class F>
Computed<F> computed(int count, F function) {
  return {std::move(function), count};
}

}  // namespace

using green::GreenPile;
using green::GreenPool;

TEST_CASE("a pool runs no more than its size at once, and spawn waits for a place") {
  GreenPool pool(2);
  int running = 0, most = 0;
  for (int i = 0; i < 10; ++i)
    pool.spawn_n([&] {
      most = std::max(most, ++running);
      green::sleep(0.001);
      --running;
    });
  CHECK(pool.running() == 2);
  CHECK(pool.free() == 0);
  pool.waitall();
  CHECK(most == 2);
  CHECK(pool.running() == 0);
  CHECK(pool.free() == 2);
}

TEST_CASE("spawn gives the result and the exception") {
  const test::Quiet quiet;
  GreenPool pool;
  CHECK(pool.size() == 1000);
  CHECK(pool.spawn([](int a, int b) { return a + b; }, 1, 2).wait() == 3);
  auto moved = pool.spawn([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(5));
  CHECK(*std::move(moved).wait() == 5);
  CHECK_THROWS_AS(pool.spawn([] { throw std::runtime_error("x"); }).wait(), std::runtime_error);
}

TEST_CASE("a negative size is an invalid argument, and names the value") {
  CHECK_THROWS_WITH_AS(GreenPool(-1), "the size of a GreenPool is negative: -1",
                       std::invalid_argument);
  GreenPool pool(1);
  CHECK_THROWS_AS(pool.resize(-5), std::invalid_argument);
  CHECK(pool.size() == 1);
  CHECK(pool.spawn([] { return 1; }).wait() == 1);
}

TEST_CASE("waitall returns at once when idle, and refuses inside the pool") {
  GreenPool pool(2);
  pool.waitall();
  auto inside = pool.spawn([&] { CHECK_THROWS_AS(pool.waitall(), std::logic_error); });
  inside.wait();
  pool.waitall();
}

TEST_CASE("from inside the full pool spawn runs in place") {
  GreenPool pool(1);
  bool same = false;
  pool.spawn([&] {
        const auto outer = green::getcurrent();
        auto inner = pool.spawn([&] {
          same = green::getcurrent() == outer;
          return 3;
        });
        CHECK(inner.dead());
        CHECK(inner.wait() == 3);
        CHECK_THROWS_AS(pool.spawn([] { throw std::runtime_error("in place"); }),
                        std::runtime_error);
      }).wait();
  CHECK(same);
}

TEST_CASE("growing a pool wakes blocked spawners") {
  GreenPool pool(0);
  auto spawner = green::spawn([&] { return pool.spawn([] { return 1; }).wait(); });
  green::sleep(0);
  CHECK(pool.waiting() == 1);
  pool.resize(1);
  CHECK(spawner.wait() == 1);
  CHECK(pool.waiting() == 0);
}

TEST_CASE("a spawner that is interrupted while blocked leaves the counts intact") {
  GreenPool pool(1);
  green::Event<> go;
  pool.spawn_n([&] { go.wait(); });
  CHECK_THROWS_AS(green::with_timeout(0.01, [&] { pool.spawn_n([] {}); }), green::TimeoutExpired);
  CHECK(pool.waiting() == 0);
  // Granted the place, and killed before it could take it: the place goes to the next.
  auto killed = green::spawn([&] { pool.spawn_n([] {}); });
  auto next = green::spawn([&] { return pool.spawn([] { return 4; }).wait(); });
  green::sleep(0);
  go.send();
  green::sleep(0);
  killed.kill();
  CHECK(next.wait() == 4);
  pool.waitall();
  CHECK(pool.free() == 1);
}

TEST_CASE("killing a worker before it starts gives its place back") {
  GreenPool pool(1);
  auto worker = pool.spawn([] {});
  worker.kill();
  CHECK_THROWS_AS(worker.wait(), green::GreenletExit);
  CHECK(pool.free() == 1);
}

TEST_CASE("imap gives results in order, whatever order the calls end in") {
  GreenPool pool(3);
  std::vector<int> results;
  for (auto&& r : pool.imap(
           [](int i) {
             green::sleep(0.001 * (5 - i));
             return i * 10;
           },
           std::vector{1, 2, 3, 4}))
    results.push_back(r);
  CHECK(results == std::vector{10, 20, 30, 40});
}

TEST_CASE("imap takes several ranges, and gives tuples for no function") {
  GreenPool pool(2);
  const std::vector<int> a{1, 2, 3};
  const std::vector<std::string> b{"x", "y"};
  auto sums = pool.imap([](int i, std::string s) { return s + std::to_string(i); }, a, b);
  CHECK(sums.next() == "x1");
  CHECK(sums.next() == "y2");
  CHECK(sums.next() == std::nullopt);
  auto tuples = pool.imap(nullptr, a, b);
  CHECK(*tuples.next() == std::tuple<int, std::string>(1, "x"));
  auto stars = pool.starmap([](int x, int y) { return x * y; },
                            std::vector<std::tuple<int, int>>{{2, 3}, {4, 5}});
  CHECK(stars.next() == 6);
  CHECK(stars.next() == 20);
  auto nothing = pool.imap([](int) {}, a);
  CHECK(nothing.next() == std::monostate());
}

TEST_CASE("an exception of one item is thrown by next, and the map goes on") {
  GreenPool pool(2);
  auto map = pool.imap(
      [](int i) {
        if (i == 2) throw std::runtime_error("two");
        return i;
      },
      std::vector{1, 2, 3});
  CHECK(map.next() == 1);
  CHECK_THROWS_AS(map.next(), std::runtime_error);
  CHECK(map.next() == 3);
  CHECK(map.next() == std::nullopt);
  CHECK(map.next() == std::nullopt);
}

TEST_CASE("a range that throws ends the map with its exception") {
  GreenPool pool(2);
  auto throws = computed(5, [](int i) {
    if (i == 2) throw std::out_of_range("range");
    return i;
  });
  auto map = pool.imap([](int i) { return i; }, throws);
  CHECK(map.next() == 0);
  CHECK(map.next() == 1);
  CHECK_THROWS_AS(map.next(), std::out_of_range);
  CHECK(map.next() == std::nullopt);
}

TEST_CASE("imap reads ahead by about its size, and nothing before the first switch") {
  GreenPool pool(2);
  int read = 0;
  auto counted = computed(1000, [&](int i) {
    ++read;
    return i;
  });
  auto map = pool.imap([](int i) { return i; }, counted);
  CHECK(read == 0);
  for (int i = 0; i < 20; ++i) green::sleep(0);
  CHECK(read == 3);
  CHECK(map.next() == 0);
}

TEST_CASE("a map that is destroyed early kills its workers and stops reading") {
  int alive = 0, read = 0;
  {
    GreenPool pool(2);
    auto map = pool.imap(
        [&](int i) {
          const test::Counted counted(alive);
          green::sleep(100);
          return ++read + i;
        },
        computed(1000, [](int i) { return i; }));
    green::sleep(0.01);
    CHECK(alive == 2);
  }
  green::sleep(0.01);
  CHECK(alive == 0);
  CHECK(read == 0);
}

TEST_CASE("a next whose wait is cut short leaves its result to the next call") {
  GreenPool pool(2);
  auto map = pool.imap(
      [](int i) {
        green::sleep(0.05);
        return i;
      },
      std::vector{1, 2});
  CHECK_THROWS_AS(green::with_timeout(0.005, [&] { map.next(); }), green::TimeoutExpired);
  CHECK(map.next() == 1);
  CHECK(map.next() == 2);
}

TEST_CASE("a pile gives results in the order of its spawns, and can be used again") {
  GreenPile<int> pile(2);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 5; ++i)
      pile.spawn(
          [](int n) {
            green::sleep(0.001 * (5 - n));
            return n;
          },
          i);
    std::vector<int> results;
    for (auto&& r : pile) results.push_back(r);
    CHECK(results == std::vector{0, 1, 2, 3, 4});
  }
  CHECK(pile.next() == std::nullopt);
}

TEST_CASE("two piles share a pool, and an exception is thrown in its place") {
  GreenPool pool(3);
  GreenPile<int> a(pool), b(pool);
  a.spawn([] { return 1; });
  b.spawn([]() -> int { throw std::runtime_error("b"); });
  b.spawn([] { return 2; });
  CHECK(a.next() == 1);
  CHECK_THROWS_AS(b.next(), std::runtime_error);
  CHECK(b.next() == 2);
}

TEST_CASE("a coroutine spawns into a full pool, waits for all, and reads a map") {
  auto body = []() -> aio::task<int> {
    GreenPool pool(1);
    auto sleeps = [] {
      green::sleep(0.001);
      return 1;
    };
    auto first = co_await pool.spawn_async(sleeps);
    auto second = co_await pool.spawn_async(sleeps);
    co_await pool.waitall_async();
    auto map = pool.imap([](int i) { return i; }, std::vector{5});
    const auto item = co_await map.next_async();
    co_return first.wait() + co_await second.wait_async() + *item;
  };
  CHECK(green::awaitlet(body()) == 7);
}
