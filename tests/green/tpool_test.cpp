#include "../support.hpp"

#include <green/event.hpp>
#include <green/greenpool.hpp>
#include <green/tpool.hpp>
#include <uvlet/testing.hpp>

#include <aio/context_var.hpp>
#include <aio/future.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

namespace tpool = green::tpool;

// A call that stays on the pool until it is let go.
struct Gate {
  ~Gate() {
    while (!left) std::this_thread::yield();
  }
  void hold() {
    stage = 1;
    while (stage != 2) std::this_thread::yield();
    left = true;
  }
  void await_start() {
    while (stage != 1) green::sleep(0.001);
  }
  void open() { stage = 2; }
  std::atomic<int> stage{0};
  std::atomic<bool> left{false};
};

// Its destructor notes the thread.
struct Mourner {
  explicit Mourner(std::thread::id& place) : where(&place) {}
  Mourner(Mourner&& other) noexcept : where(std::exchange(other.where, nullptr)) {}
  ~Mourner() {
    if (where) *where = std::this_thread::get_id();
  }
  std::thread::id* where;
};

struct Odd {
  int number;
};

void eventually(const std::function<bool()>& holds) {
  green::with_timeout(test::watchdog, [&] {
    while (!holds()) green::sleep(0.001);
  });
}

}  // namespace

TEST_CASE("execute calls on another OS thread and gives the result") {
  const auto here = std::this_thread::get_id();
  CHECK(tpool::execute([] { return std::this_thread::get_id(); }) != here);
  CHECK(std::this_thread::get_id() == here);
  CHECK(tpool::execute([](int a, const std::string& b) { return b + std::to_string(a); }, 4, "x") ==
        "x4");
  tpool::execute([] {});
  int number = 0;
  tpool::execute([](int& n) { n = 3; }, std::ref(number));
  CHECK(number == 3);
  CHECK(tpool::execute(&std::string::size, std::string("four")) == 4);
}

TEST_CASE("arguments and results may be move-only, and results are values") {
  auto twice = [](std::unique_ptr<int> p) {
    *p *= 2;
    return p;
  };
  CHECK(*tpool::execute(twice, std::make_unique<int>(4)) == 8);
  int number = 5;
  static_assert(std::is_same_v<decltype(tpool::execute([&]() -> int& { return number; })), int>);
  CHECK(tpool::execute([&]() -> int& { return number; }) == 5);
}

TEST_CASE("other green threads run meanwhile, and calls run side by side") {
  std::atomic<int> inside{0};
  auto meet = [&] {
    ++inside;
    while (inside < 3) std::this_thread::yield();
  };
  auto a = green::spawn([&] { tpool::execute(meet); });
  auto b = green::spawn([&] { tpool::execute(meet); });
  eventually([&] { return inside == 2; });
  inside = 3;
  a.wait();
  b.wait();
}

// test_raising_exceptions, test_eventlet_timeout
TEST_CASE("what the call throws is thrown in the caller with its type, whatever it is") {
  CHECK_THROWS_WITH_AS(tpool::execute([] { throw std::out_of_range("hi"); }), "hi",
                       std::out_of_range);
  CHECK_THROWS_AS(tpool::execute([] { throw green::TimeoutExpired(3); }), green::TimeoutExpired);
  CHECK_THROWS_AS(tpool::execute([] { throw green::GreenletExit(); }), green::GreenletExit);
  CHECK_THROWS_AS(tpool::execute([] { throw uvlet::CancelledError(); }), uvlet::CancelledError);
  CHECK_THROWS_AS(tpool::execute([] { throw 5; }), int);
  try {
    tpool::execute([]() -> int { throw Odd{7}; });
    FAIL("not reached");
  } catch (const Odd& odd) {
    CHECK(odd.number == 7);
  }
  // And the threads live on.
  for (int i = 0; i < 50; ++i)
    CHECK_THROWS_AS(tpool::execute([] { throw green::GreenletExit(); }), green::GreenletExit);
  CHECK(tpool::execute([] { return 1; }) == 1);
}

TEST_CASE("inside the pool a call is made in place") {
  const bool same = tpool::execute([] {
    const auto outer = std::this_thread::get_id();
    return tpool::execute([outer] {
      return tpool::execute([outer] { return outer == std::this_thread::get_id(); });
    });
  });
  CHECK(same);
  CHECK_THROWS_AS(tpool::execute([] { tpool::execute([] { throw 1; }); }), int);
  // More than there are threads, each with a nested one: none waits for another.
  green::GreenPile<int> pile(32);
  for (int i = 0; i < 32; ++i)
    pile.spawn([] { return tpool::execute([] { return tpool::execute([] { return 1; }); }); });
  int sum = 0;
  for (int one : pile) sum += one;
  CHECK(sum == 32);
}

TEST_CASE("from a coroutine: awaited, and as a blocking call") {
  auto work = []() -> aio::task<int> {
    const int awaited = co_await tpool::execute_async([](int a) { return a; }, 2);
    co_return awaited + tpool::execute([] { return 40; });
  };
  CHECK(green::awaitlet(work()) == 42);
  CHECK(aio::run(work()) == 42);
}

// test_timeout
TEST_CASE("a kill ends the wait at once; the call goes on, and what it holds lives until its end") {
  Gate gate;
  std::thread::id argument_freed, result_freed;
  auto thread = green::spawn([&] {
    (void)tpool::execute(
        [&](const Mourner&) {
          gate.hold();
          return Mourner(result_freed);
        },
        Mourner(argument_freed));
  });
  gate.await_start();
  thread.kill();
  CHECK(thread.dead());
  CHECK(gate.stage == 1);
  CHECK(argument_freed == std::thread::id());
  gate.open();
  eventually([&] { return result_freed != std::thread::id(); });
  CHECK(result_freed == std::this_thread::get_id());
  CHECK(argument_freed == std::this_thread::get_id());
}

TEST_CASE("a Timeout ends the wait at once") {
  Gate gate;
  CHECK_THROWS_AS(green::with_timeout(0.005, [&] { tpool::execute([&] { gate.hold(); }); }),
                  green::TimeoutExpired);
  gate.await_start();
  gate.open();
  CHECK(tpool::execute([] { return 2; }) == 2);
}

TEST_CASE("a call whose caller is killed before it began is still made") {
  std::vector<std::unique_ptr<Gate>> gates;
  std::vector<green::GreenThread<void>> holders;
  for (int i = 0; i < 4; ++i) gates.push_back(std::make_unique<Gate>());
  for (auto& gate : gates)
    holders.push_back(green::spawn([&] { tpool::execute([&] { gate->hold(); }); }));
  for (auto& gate : gates) gate->await_start();
  std::atomic<bool> ran{false};
  auto queued = green::spawn([&] { tpool::execute([&] { ran = true; }); });
  green::sleep(0);
  queued.kill();
  CHECK(!ran);
  for (auto& gate : gates) gate->open();
  eventually([&] { return ran.load(); });
  for (auto& holder : holders) holder.wait();
}

TEST_CASE("one that is killed before it could start its call never makes it") {
  std::atomic<bool> ran{false};
  auto thread = green::spawn([&] {
    try {
      green::Event<>().wait();
    } catch (const green::GreenletExit&) {
    }
    green::getcurrent().kill();
    tpool::execute([&] { ran = true; });
  });
  green::sleep(0);
  thread.kill();
  CHECK(thread.dead());
  CHECK(!ran);
}

TEST_CASE("an abandoned call may free what blocks when it is freed") {
  Gate gate;
  bool freed = false;
  struct Slow {
    explicit Slow(bool& done) : freed(&done) {}
    Slow(Slow&& other) noexcept : freed(std::exchange(other.freed, nullptr)) {}
    ~Slow() {
      if (!freed) return;
      green::sleep(0.001);
      *freed = true;
    }
    bool* freed;
  };
  auto thread =
      green::spawn([&] { tpool::execute([&](const Slow&) { gate.hold(); }, Slow(freed)); });
  gate.await_start();
  thread.kill();
  gate.open();
  eventually([&] { return freed; });
}

TEST_CASE("a hub that ends waits for the calls it abandoned, and frees them") {
  static std::atomic<int> alive, made;
  alive = made = 0;
  struct Kept {
    Kept() { ++alive; }
    Kept(const Kept&) { ++alive; }
    ~Kept() { --alive; }
  };
  uvlet::run_on_threads(3, [](int) {
    for (int i = 0; i < 20; ++i) {
      auto thread = green::spawn([] {
        tpool::execute(
            [](const Kept&) {
              std::this_thread::sleep_for(std::chrono::milliseconds(1));
              ++made;
              return Kept();
            },
            Kept());
      });
      green::sleep(0);
      if (i % 2) thread.kill();
    }
    green::spawn([] { tpool::execute([] { ++made; }); });  // not even begun
  });
  CHECK(alive == 0);
  CHECK(made >= 60);
}

TEST_CASE("a call on the pool is no deadlock, and its end is one") {
  uvlet::testing::simulate({}, [] {
    CHECK(tpool::execute([] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            return 3;
          }) == 3);
    CHECK(uvlet::Hub::current().stats().external == 0);
  });
  CHECK_THROWS_AS(uvlet::testing::simulate({},
                                           [] {
                                             green::spawn([] { tpool::execute([] {}); });
                                             green::Event<>().wait();
                                           }),
                  uvlet::Deadlock);
}

TEST_CASE("stats count the calls under way") {
  Gate gate;
  auto& hub = uvlet::Hub::current();
  const auto before = hub.stats().external;
  auto thread = green::spawn([&] { tpool::execute([&] { gate.hold(); }); });
  gate.await_start();
  CHECK(hub.stats().external == before + 1);
  thread.kill();
  CHECK(hub.stats().external == before + 1);  // it is still on its way
  gate.open();
  eventually([&] { return hub.stats().external == before; });
}

// --- Proxy: test_wrap_*, test_contention, test_callable ------------------------------------------

TEST_CASE("a Proxy's object is used on the pool alone") {
  tpool::Proxy<std::map<std::string, int>> numbers({{"a", 1}});
  const auto here = std::this_thread::get_id();
  CHECK(numbers([&](auto& map) {
          CHECK(std::this_thread::get_id() != here);
          return map.at("a");
        }) == 1);
  numbers([](auto& map) { map["b"] = 2; });
  CHECK(numbers([](const auto& map) { return map.size(); }) == 2);
  CHECK_THROWS_AS(numbers([](auto& map) { return map.at("c"); }), std::out_of_range);
  CHECK(numbers([](auto& map) -> int& { return map.at("b"); }) == 2);
  tpool::Proxy<std::unique_ptr<int>> movable(std::make_unique<int>(3));
  CHECK(movable([](auto& p) { return *p; }) == 3);
  auto shared = movable;
  movable([](auto& p) { *p = 4; });
  CHECK(shared([](auto& p) { return *p; }) == 4);
  auto coroutine = [&]() -> aio::task<int> {
    co_return co_await shared.call_async([](auto& p) { return *p; });
  };
  CHECK(aio::run(coroutine()) == 4);
}

TEST_CASE("a Proxy makes one call at a time, in order, and inside one in place") {
  tpool::Proxy<int> number(0);
  std::atomic<int> inside{0};
  std::vector<int> order;
  green::GreenPool pool;
  for (int i = 0; i < 30; ++i)
    pool.spawn_n([&, i] {
      number([&](int& n) {
        CHECK(++inside == 1);
        ++n;
        number([](int& same) { ++same; });
        order.push_back(i);
        --inside;
      });
    });
  pool.waitall();
  CHECK(number([](int n) { return n; }) == 60);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("calls in place exclude those of the Proxy's own") {
  tpool::Proxy<int> number(0);
  green::GreenPool pool;
  for (int i = 0; i < 20; ++i) {
    pool.spawn_n([&] { number([](int& n) { ++n; }); });
    pool.spawn_n([&] { tpool::execute([&] { number([](int& n) { ++n; }); }); });
  }
  pool.waitall();
  CHECK(number([](int n) { return n; }) == 40);
}

TEST_CASE("an abandoned call of a Proxy holds its turn until it is done, and the object lives") {
  Gate gate;
  int alive = 0;
  auto number = std::make_unique<tpool::Proxy<test::Counted>>(test::Counted(alive));
  auto first = green::spawn([&] { (*number)([&](auto&) { gate.hold(); }); });
  gate.await_start();
  first.kill();
  auto second = green::spawn([&] { return (*number)([](auto& one) { return *one.alive; }); });
  auto third = green::spawn([&] { (*number)([](auto&) {}); });
  green::sleep(0.002);
  CHECK(!second.dead());
  third.kill();  // while it waits for its turn
  gate.open();
  CHECK(second.wait() == 1);
  number.reset();
  CHECK(alive == 0);
}

// test_a_buncha_stuff
TEST_CASE("storm: calls, kills and time limits leave nothing behind") {
  const auto seed = std::random_device()();
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  static std::atomic<int> alive, made;
  alive = made = 0;
  struct Kept {
    Kept() { ++alive; }
    Kept(const Kept&) { ++alive; }
    ~Kept() { --alive; }
  };
  int started = 0, finished = 0, interrupted = 0, wrong = 0;
  tpool::Proxy<int> counter(0);
  green::GreenPool pool(50);
  std::vector<green::GreenThread<void>> victims;
  constexpr int calls = 120'000, each = 20;
  for (int i = 0; i < calls / each; ++i) {
    victims.push_back(pool.spawn([&, dice = std::mt19937(random())]() mutable {
      for (int j = 0; j < each; ++j) {
        try {
          const green::Timeout limit(dice() % 8 ? std::optional<green::Duration>()
                                                : green::Duration(1e-6 * double(dice() % 50)));
          ++started;
          if (dice() % 4 == 0) {
            counter([](int& n) { ++n; });
          } else {
            const int token = static_cast<int>(dice() % 1000);
            auto echo = [](const Kept&, int t) {
              ++made;
              return std::pair(t, Kept());
            };
            wrong += tpool::execute(echo, Kept(), token).first != token;
          }
          ++finished;
        } catch (const green::TimeoutExpired&) {
          ++interrupted;
        } catch (const green::GreenletExit&) {
          ++interrupted;  // and goes on
        }
      }
    }));
    if (random() % 3 == 0) victims[random() % victims.size()].kill();
  }
  pool.waitall();
  CHECK(wrong == 0);
  CHECK(started == finished + interrupted);
  CHECK(interrupted > 0);
  eventually([] { return uvlet::Hub::current().stats().external == 0; });
  eventually([] { return alive == 0; });
  MESSAGE(finished << " finished, " << interrupted << " interrupted, " << made.load()
                   << " calls made");
}

TEST_CASE(
    "a call has a copy of the caller's context variables, and one in place has one of its own") {
  aio::ContextVar<std::string> user("user");
  green::spawn([&] {
    user.set("caller");
    const std::string seen = tpool::execute([&] {
      const std::string before = user.get();
      user.set("call");
      const std::string inner = tpool::execute([&] {
        const std::string inherited = user.get();
        user.set("inner");
        return inherited;
      });
      return before + " " + inner + " " + user.get();
    });
    CHECK(seen == "caller call call");
    CHECK(user.get() == "caller");
  }).wait();
}
