#include "../support.hpp"

#include <green/event.hpp>
#include <green/greenpool.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <ranges>
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

// --- counts and places

TEST_CASE("the counts follow spawns, ends, growth and shrinking") {
  GreenPool pool(4);
  green::Event<> go;
  CHECK(pool.size() == 4);
  CHECK(pool.running() == 0);
  CHECK(pool.free() == 4);
  CHECK(pool.waiting() == 0);
  for (int i = 0; i < 4; ++i) pool.spawn_n([&] { go.wait(); });
  CHECK(pool.running() == 4);  // not yet started ones included
  pool.resize(2);
  CHECK(pool.size() == 2);
  CHECK(pool.free() == -2);
  CHECK(pool.running() == 4);
  bool spawned = false;
  auto spawner = green::spawn([&] {
    pool.spawn_n([] {});
    spawned = true;
  });
  green::sleep(0);
  CHECK(pool.waiting() == 1);
  pool.resize(4);  // still full
  green::sleep(0);
  CHECK_FALSE(spawned);
  pool.resize(5);
  spawner.wait();
  CHECK(spawned);
  CHECK(pool.waiting() == 0);
  go.send();
  pool.waitall();
  CHECK(pool.running() == 0);
  CHECK(pool.free() == 5);
}

TEST_CASE("blocked spawners get places in the order in which they came") {
  GreenPool pool(1);
  test::Log log;
  green::Event<> go;
  pool.spawn_n([&] { go.wait(); });
  std::vector<green::GreenThread<void>> spawners;
  for (int i = 0; i < 4; ++i)
    spawners.push_back(green::spawn([&, i] { pool.spawn_n([&, i] { log(std::to_string(i)); }); }));
  green::sleep(0);
  CHECK(pool.waiting() == 4);
  go.send();
  for (auto& spawner : spawners) spawner.wait();
  pool.waitall();
  CHECK(log.text() == "0 1 2 3");
}

TEST_CASE("one that comes later does not overtake a spawner that was granted a place") {
  GreenPool pool(1);
  test::Log log;
  green::Event<> go;
  pool.spawn_n([&] { go.wait(); });
  auto first = green::spawn([&] { pool.spawn_n([&] { log("first"); }); });
  green::sleep(0);
  auto late = green::spawn([&] { pool.spawn_n([&] { log("late"); }); });
  go.send();
  first.wait();
  late.wait();
  pool.waitall();
  CHECK(log.text() == "first late");
}

TEST_CASE("an error or a kill of a worker gives its place back") {
  const test::Quiet quiet;
  GreenPool pool(1);
  auto thrown = pool.spawn([] { throw std::runtime_error("x"); });
  auto killed = pool.spawn([] { green::sleep(test::watchdog); });  // after the end of `thrown`
  green::sleep(0);
  killed.kill();
  CHECK(pool.free() == 1);
  pool.spawn_n([] { throw 5; });
  pool.waitall();  // rethrows nothing
  CHECK(pool.free() == 1);
  CHECK_THROWS_AS(thrown.wait(), std::runtime_error);
  CHECK_THROWS_AS(killed.wait(), green::GreenletExit);
}

TEST_CASE("a killed worker with a waiting spawner hands its place over") {
  GreenPool pool(1);
  auto worker = pool.spawn([] { green::sleep(test::watchdog); });
  auto spawner = green::spawn([&] { return pool.spawn([] { return 2; }).wait(); });
  green::sleep(0);
  worker.kill();
  CHECK(spawner.wait() == 2);
}

TEST_CASE("a spawner killed in the same turn as its place was granted passes it on") {
  GreenPool pool(1);
  green::Event<> go;
  bool ran = false;
  auto worker = pool.spawn([&] { go.wait(); });
  auto first = green::spawn([&] { pool.spawn_n([&] { ran = true; }); });
  auto second = green::spawn([&] { return pool.spawn([] { return 3; }).wait(); });
  green::sleep(0);
  // A link runs after the place was given back, and before the next one had its turn.
  worker.link([&](green::GreenThread<void>) { first.kill(); });
  go.send();
  CHECK(second.wait() == 3);
  CHECK_THROWS_AS(first.wait(), green::GreenletExit);
  pool.waitall();
  CHECK_FALSE(ran);
  CHECK(pool.free() == 1);
}

TEST_CASE("waitall is woken although a spawner waited when all workers ended") {
  GreenPool pool(2);
  int done = 0;
  auto spawner = green::spawn([&] {
    for (int i = 0; i < 10; ++i) pool.spawn_n([&] { ++done; });
  });
  green::sleep(0);
  pool.waitall();
  spawner.wait();
  pool.waitall();
  CHECK(done == 10);
}

TEST_CASE("any number may wait for all") {
  GreenPool pool(3);
  int done = 0, saw = 0;
  for (int i = 0; i < 6; ++i)
    pool.spawn_n([&] {
      green::sleep(0.001);
      ++done;
    });
  std::vector<green::GreenThread<void>> waiters;
  for (int i = 0; i < 3; ++i)
    waiters.push_back(green::spawn([&] {
      pool.waitall();
      saw += done;
    }));
  for (auto& waiter : waiters) waiter.wait();
  CHECK(saw == 18);
  CHECK_THROWS_AS(green::with_timeout(0.002,
                                      [&] {
                                        pool.spawn_n([] { green::sleep(0.02); });
                                        pool.waitall();
                                      }),
                  green::TimeoutExpired);
  pool.waitall();
  CHECK(pool.running() == 0);
}

TEST_CASE("a pool of no places blocks every spawn, from one of another pool too") {
  GreenPool none(0);
  CHECK(none.size() == 0);
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { none.spawn([] {}); }), green::TimeoutExpired);
  GreenPool other(1);
  auto inside =
      other.spawn([&] { return green::move_on_after(0.002, [&] { none.spawn_n([] {}); }); });
  CHECK_FALSE(inside.wait());
  CHECK(none.waiting() == 0);
  none.waitall();
}

TEST_CASE("spawn takes references, member functions and gives move-only results") {
  GreenPool pool(2);
  struct Counter {
    int n = 0;
    void add(int by) { n += by; }
  } counter;
  pool.spawn_n(&Counter::add, &counter, 3);
  pool.spawn(&Counter::add, std::ref(counter), 4).wait();
  pool.waitall();
  CHECK(counter.n == 7);
  CHECK(*pool.spawn([] { return std::make_unique<int>(1); }).wait() == 1);
  int number = 0;
  pool.spawn([](int& to) { to = 5; }, std::ref(number)).wait();
  CHECK(number == 5);
  static_assert(std::is_same_v<decltype(pool.spawn_n([] { return 1; })), void>);
  static_assert(std::is_same_v<decltype(pool.spawn([] { return 1; })), green::GreenThread<int>>);
}

TEST_CASE("green threads of a pool outlive it") {
  green::GreenThread<int> thread;
  {
    GreenPool pool(1);
    thread = pool.spawn([] {
      green::sleep(0.002);
      return 6;
    });
  }
  CHECK(thread.wait() == 6);
}

// --- maps

TEST_CASE("a map is an input range, void results are monostate") {
  static_assert(std::ranges::input_range<green::GreenMap<int>>);
  static_assert(std::ranges::input_range<green::GreenMap<std::monostate>>);
  static_assert(std::ranges::input_range<green::GreenPile<int>>);
  GreenPool pool(2);
  auto nothing = pool.imap([](int) {}, std::vector{1, 2});
  static_assert(std::is_same_v<decltype(nothing), green::GreenMap<std::monostate>>);
  int count = 0;
  for (auto&& result : nothing) {
    static_assert(std::is_same_v<std::remove_cvref_t<decltype(result)>, std::monostate>);
    ++count;
  }
  CHECK(count == 2);
  static_assert(
      std::is_same_v<decltype(pool.imap(nullptr, std::vector<int>{}, std::vector<char>{})),
                     green::GreenMap<std::tuple<int, char>>>);
}

TEST_CASE("an empty range gives an empty map") {
  GreenPool pool(2);
  CHECK(pool.imap([](int i) { return i; }, std::vector<int>{}).next() == std::nullopt);
  for (auto&& result : pool.imap([](int i) { return i; }, std::vector<int>{})) {
    (void)result;
    FAIL("no item");
  }
  CHECK(pool.starmap([](int) { return 1; }, std::vector<std::tuple<int>>{}).next() == std::nullopt);
}

TEST_CASE("move-only results come out of maps and piles") {
  GreenPool pool(2);
  int sum = 0;
  auto make = [](int i) { return std::make_unique<int>(i); };
  for (auto&& result : pool.imap(make, std::vector{1, 2, 3})) sum += *result;
  CHECK(sum == 6);
  auto map = pool.imap(make, std::vector{4});
  std::unique_ptr<int> taken = *map.next();
  CHECK(*taken == 4);
  GreenPile<std::unique_ptr<int>> pile(pool);
  pile.spawn(make, 5);
  CHECK(**pile.next() == 5);
}

TEST_CASE("move-only items come out of a range that is handed over") {
  GreenPool pool(2);
  auto items = [] {
    std::vector<std::unique_ptr<int>> made;
    for (int i = 1; i <= 3; ++i) made.push_back(std::make_unique<int>(i));
    return made;
  };
  int sum = 0;
  for (int value : pool.imap([](std::unique_ptr<int> item) { return *item; }, items()))
    sum += value;
  CHECK(sum == 6);
  for (auto&& [item, factor] : pool.imap(nullptr, items(), std::vector{1, 10, 100}))
    sum += *item * factor;
  CHECK(sum == 6 + 321);
  std::vector<std::tuple<std::unique_ptr<int>, int>> pairs;
  pairs.emplace_back(std::make_unique<int>(4), 5);
  auto multiply = [](std::unique_ptr<int> item, int factor) { return *item * factor; };
  CHECK(pool.starmap(multiply, std::move(pairs)).next() == 20);
}

TEST_CASE("an infinite range is read as results are") {
  GreenPool pool(3);
  int computed_items = 0;
  {
    auto map = pool.imap(
        [&](int i) {
          ++computed_items;
          return i * i;
        },
        computed(1 << 30, [](int i) { return i; }));
    for (int i = 0; i < 100; ++i) CHECK(map.next() == i * i);
  }
  CHECK(computed_items < 110);
  green::sleep(0.002);
  const int at_the_end = computed_items;
  green::sleep(0.002);
  CHECK(computed_items == at_the_end);
}

TEST_CASE("an rvalue range is owned, an lvalue is referred to") {
  GreenPool pool(2);
  std::vector<int> items{1, 2};
  auto referring = pool.imap([](int i) { return i; }, items);
  items.push_back(3);  // nothing has been read yet
  std::vector<int> results;
  for (auto&& r : referring) results.push_back(r);
  CHECK(results == std::vector{1, 2, 3});
  auto owning = [&] {
    return pool.imap([](std::string s) { return s; }, std::vector<std::string>{"a", "b"});
  }();
  CHECK(owning.next() == "a");
  CHECK(owning.next() == "b");
}

TEST_CASE("arrays, lists and strings are ranges too, and pairs unpack in starmap") {
  GreenPool pool(2);
  const int array[] = {1, 2};
  CHECK(pool.imap([](int i) { return i + 1; }, array).next() == 2);
  const std::string text = "xy";
  CHECK(pool.imap([](char c) { return c; }, text).next() == 'x');
  auto pairs = pool.starmap([](int a, std::string b) { return b + std::to_string(a); },
                            std::vector<std::pair<int, std::string>>{{1, "a"}});
  CHECK(pairs.next() == "a1");
}

TEST_CASE("no more of a map's calls run at once than the pool is large") {
  GreenPool pool(3);
  int running = 0, most = 0;
  for (auto&& r : pool.imap(
           [&](int i) {
             most = std::max(most, ++running);
             green::sleep(0.001);
             --running;
             return i;
           },
           std::vector<int>(20)))
    (void)r;
  CHECK(most == 3);
}

TEST_CASE("a range-for over a map that throws may be taken up again") {
  GreenPool pool(2);
  auto map = pool.imap(
      [](int i) {
        if (i % 2) throw std::runtime_error("odd");
        return i;
      },
      std::vector{0, 1, 2, 3, 4});
  std::vector<int> results;
  int errors = 0;
  for (bool again = true; again;) try {
      for (auto&& r : map) results.push_back(r);
      again = false;
    } catch (const std::runtime_error&) {
      ++errors;
    }
  CHECK(results == std::vector{0, 2, 4});
  CHECK(errors == 2);
}

TEST_CASE("a kill of who reads a map passes, and the map goes on for another") {
  GreenPool pool(2);
  auto map = pool.imap(
      [](int i) {
        green::sleep(0.01);
        return i;
      },
      std::vector{1, 2, 3});
  auto reader = green::spawn([&] { return map.next(); });
  green::sleep(0.001);
  reader.kill();
  CHECK_THROWS_AS(reader.wait(), green::GreenletExit);
  CHECK(map.next() == 1);
  CHECK(map.next() == 2);
  CHECK(map.next() == 3);
  CHECK(map.next() == std::nullopt);
}

TEST_CASE("a consumer that is killed leaves its item to the one behind it") {
  GreenPool pool(2);
  green::Event<> go;
  auto map = pool.imap(
      [](int i) {
        green::sleep(0.01);
        return i;
      },
      computed(2, [&](int i) {
        if (i == 1) go.wait();
        return i;
      }));
  green::sleep(0.001);
  auto first = green::spawn([&] { return map.next(); });
  green::sleep(0.001);
  auto second = green::spawn([&] { return map.next(); });
  green::sleep(0.001);
  first.kill();
  green::sleep(0.05);  // the range has not gone on
  CHECK(second.dead());
  go.send();
  CHECK(second.wait() == 0);
}

TEST_CASE("a map that was destroyed before it began reads nothing and frees its range") {
  int alive = 0;
  {
    GreenPool pool(2);
    auto map = pool.imap([](const test::Counted&) { return 1; },
                         std::vector<test::Counted>(3, test::Counted(alive)));
    CHECK(alive >= 3);
  }
  green::sleep(0);
  green::sleep(0);
  CHECK(alive == 0);
}

TEST_CASE("a map can be moved") {
  GreenPool pool(2);
  auto map = pool.imap([](int i) { return i; }, std::vector{1, 2});
  CHECK(map.next() == 1);
  auto moved = std::move(map);
  CHECK(moved.next() == 2);
  CHECK(moved.next() == std::nullopt);
}

TEST_CASE("a map inside a map") {
  GreenPool pool(2);
  int sum = 0;
  auto rows = pool.imap(
      [&](int row) {
        int total = 0;
        for (auto&& r : pool.imap([row](int i) { return row * i; }, std::vector{1, 2, 3}))
          total += r;
        return total;
      },
      std::vector{1, 2, 3});
  for (auto&& r : rows) sum += r;
  CHECK(sum == 36);
}

// --- piles

TEST_CASE("a pile counts spawns that are still blocked on its full pool") {
  GreenPile<int> pile(1);
  auto spawner = green::spawn([&] {
    for (int i = 0; i < 4; ++i)
      pile.spawn(
          [](int n) {
            green::sleep(0.001);
            return n;
          },
          i);
  });
  green::sleep(0);
  std::vector<int> results;
  for (auto&& r : pile) results.push_back(r);
  CHECK(results == std::vector{0, 1, 2, 3});
  spawner.wait();
}

TEST_CASE("a spawn of a pile that is cut short is not counted") {
  GreenPile<int> pile(1);
  green::Event<> go;
  pile.spawn([&] {
    go.wait();
    return 1;
  });
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { pile.spawn([] { return 2; }); }),
                  green::TimeoutExpired);
  go.send();
  CHECK(pile.next() == 1);
  CHECK(pile.next() == std::nullopt);
  pile.spawn([] { return 3; });
  CHECK(pile.next() == 3);
}

TEST_CASE("a fresh pile is at its end, and a pile of void gives monostate") {
  GreenPile<std::string> fresh;
  CHECK(fresh.next() == std::nullopt);
  GreenPile<std::monostate> nothing(2);
  int ran = 0;
  nothing.spawn([&] { ++ran; });
  CHECK(nothing.next() == std::monostate());
  CHECK(nothing.next() == std::nullopt);
  CHECK(ran == 1);
  CHECK_THROWS_AS(GreenPile<int>(-1), std::invalid_argument);
}

TEST_CASE("a pile takes arguments as spawn does") {
  GreenPile<int> pile;
  int number = 1;
  pile.spawn([](int& to, std::unique_ptr<int> by) { return to += *by; }, std::ref(number),
             std::make_unique<int>(4));
  CHECK(pile.next() == 5);
  CHECK(number == 5);
}

TEST_CASE("a coroutine spawns into a pile and reads it") {
  auto body = []() -> aio::task<int> {
    GreenPile<int> pile(1);
    for (int i = 1; i <= 3; ++i)
      co_await pile.spawn_async(
          [](int n) {
            green::sleep(0.001);
            return n;
          },
          i);
    int sum = 0;
    while (auto next = co_await pile.next_async()) sum = sum * 10 + *next;
    co_return sum;
  };
  CHECK(aio::run(body()) == 123);
}

TEST_CASE("random kills of spawners, workers and readers leave no place and no item behind") {
  const test::Quiet quiet;
  unsigned seed = 20240607;
  auto random = [&](unsigned below) { return (seed = seed * 1103515245 + 12345) / 65536 % below; };
  int alive = 0;
  GreenPool pool(3);
  std::vector<green::GreenThread<void>> spawners;
  std::vector<green::Greenlet> workers;
  for (int i = 0; i < 300; ++i) {
    spawners.push_back(green::spawn([&, wait = random(3)] {
      const test::Counted counted(alive);
      workers.push_back(pool.spawn([&alive, wait] {
        const test::Counted inside(alive);
        for (unsigned n = 0; n < wait; ++n) green::sleep(0);
      }));
    }));
    if (random(3) == 0) green::sleep(0);
    if (random(3) == 0) spawners[random(static_cast<unsigned>(spawners.size()))].kill();
    if (!workers.empty() && random(3) == 0)
      workers[random(static_cast<unsigned>(workers.size()))].kill();
  }
  for (auto& spawner : spawners) try {
      spawner.wait();
    } catch (const green::GreenletExit&) {
    }
  pool.waitall();
  CHECK(pool.free() == 3);
  CHECK(pool.waiting() == 0);
  CHECK(alive == 0);
}
