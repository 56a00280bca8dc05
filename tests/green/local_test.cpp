#include "../support.hpp"

#include <green/event.hpp>
#include <green/greenpool.hpp>
#include <green/local.hpp>
#include <uvlet/testing.hpp>

#include <aio/future.hpp>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>

namespace {

using green::local;
using test::Counted;

constinit thread_local int living = 0;
struct Alive : Counted {
  Alive() : Counted(living) {}
};

struct Point {
  int x = 7;
  int* nothing;
};

}  // namespace

// test_assignment
TEST_CASE("each green thread has its own value, value-initialised") {
  local<int> number;
  CHECK(!number.has());
  CHECK(*number == 0);
  CHECK(number.has());
  *number = 1;
  green::spawn([&] {
    CHECK(!number.has());
    CHECK(number.get() == 0);
    number.get() = 2;
    green::sleep(0);
    CHECK(*number == 2);
  }).wait();
  CHECK(*number == 1);
  local<Point> point;
  CHECK(point->x == 7);
  CHECK(point->nothing == nullptr);
  local<std::unique_ptr<int>> movable;
  CHECK(*movable == nullptr);
}

// test_calls_init
TEST_CASE("the constructor runs once in each green thread that uses it") {
  living = 0;
  local<Alive> one;
  CHECK(living == 0);
  (void)*one, (void)*one;
  CHECK(living == 1);
  auto thread = green::spawn([&] {
    (void)*one, (void)*one;
    CHECK(living == 2);
  });
  thread.wait();
  CHECK(living == 1);
}

// test_no_leaking
TEST_CASE("values are freed with their green threads") {
  living = 0;
  local<Alive> one;
  green::GreenPool pool;
  for (int i = 0; i < 100; ++i)
    pool.spawn_n([&] {
      (void)*one;
      green::sleep(0);
    });
  green::sleep(0);
  CHECK(living == 100);
  pool.waitall();
  green::sleep(0);
  CHECK(living == 0);
}

TEST_CASE("the value of a killed green thread is freed, and one that never ran has none") {
  living = 0;
  local<Alive> one;
  auto running = green::spawn([&] {
    (void)*one;
    green::Event<>().wait();
  });
  green::sleep(0);
  CHECK(living == 1);
  running.kill();
  CHECK(living == 0);
  auto never = green::spawn([&] { (void)*one; });
  never.kill();
  CHECK(living == 0);
}

TEST_CASE("a local that is destroyed first frees its values, and the others stay") {
  living = 0;
  auto one = std::make_unique<local<Alive>>();
  local<int> other;
  auto thread = green::spawn([&] {
    *other = 3;
    (void)**one;
    green::sleep(0);
    CHECK(living == 0);
    CHECK(*other == 3);
  });
  (void)**one;
  green::sleep(0);
  CHECK(living == 2);
  one.reset();
  CHECK(living == 0);
  thread.wait();
}

TEST_CASE("many locals do not mix, whichever goes first") {
  std::vector<std::unique_ptr<local<int>>> all;
  for (int i = 0; i < 50; ++i) {
    all.push_back(std::make_unique<local<int>>());
    **all.back() = i;
  }
  for (int i = 0; i < 50; i += 3) all[static_cast<std::size_t>(i)].reset();
  local<int> fresh;  // perhaps where one of them was
  CHECK(!fresh.has());
  for (int i = 0; i < 50; ++i)
    if (const auto& one = all[static_cast<std::size_t>(i)]) CHECK(**one == i);
}

TEST_CASE("coroutines share the value of the green thread that drives them") {
  local<int> number;
  auto add = [&]() -> aio::task<int> {
    ++*number;
    co_await uvlet::Sleep(0);
    co_return ++*number;
  };
  auto twice = [&]() -> aio::task<int> { co_return co_await add() + 10; };
  *number = 5;
  CHECK(green::awaitlet(twice()) == 17);
  CHECK(*number == 7);
}

TEST_CASE("a top-level task has its own, freed before its Future is done") {
  living = 0;
  local<Alive> one;
  (void)*one;
  auto work = [&]() -> aio::task<int> {
    CHECK(!one.has());
    (void)*one;
    co_await uvlet::Sleep(0);
    CHECK(one.has());
    co_return living;
  };
  auto future = aio::create_task(work());
  CHECK(green::awaitlet(future) == 2);
  CHECK(living == 1);
  auto cancelled = aio::create_task(work());
  green::sleep(0);
  cancelled.cancel();
  CHECK_THROWS_AS(green::awaitlet(cancelled), uvlet::CancelledError);
  CHECK(living == 1);
}

TEST_CASE("links still see the value, and it is gone before the waiter goes on") {
  living = 0;
  local<Alive> one;
  bool seen = false;
  auto thread = green::spawn([&] { (void)*one; });
  thread.link([&](auto) { seen = one.has() && living == 1; });
  thread.wait();
  CHECK(seen);
  CHECK(living == 0);
}

TEST_CASE("a destructor may use other locals, and wait") {
  static local<std::string>* names;
  local<std::string> storage;
  names = &storage;
  static std::string left;
  left.clear();
  struct Leaving {
    ~Leaving() {
      green::sleep(0.001);
      left += names->has() ? **names : "gone";
    }
  };
  local<Leaving> leaving;
  auto thread = green::spawn([&] {
    *storage = "here";
    (void)*leaving;
    green::Event<>().wait();
  });
  green::sleep(0);
  thread.kill();
  while (left.empty()) green::sleep(0.001);
  CHECK(left == "here");
}

TEST_CASE("a constructor that throws leaves no value") {
  static bool fails;
  struct Fussy {
    Fussy() {
      if (fails) throw std::runtime_error("not now");
    }
  };
  local<Fussy> fussy;
  fails = true;
  CHECK_THROWS_AS(fussy.get(), std::runtime_error);
  CHECK(!fussy.has());
  fails = false;
  fussy.get();
  CHECK(fussy.has());
}

TEST_CASE("hubs share a local, each with its own values, freed at their end") {
  local<int> number;
  *number = 1;
  uvlet::run_on_threads(4, [&](int index) {
    for (int i = 0; i < 200; ++i)
      green::spawn([&] {
        CHECK(!number.has());
        *number = index;
        green::sleep(0);
        CHECK(*number == index);
      });
    CHECK(!number.has());
    *number = 100 + index;
    green::sleep(0.01);
    CHECK(*number == 100 + index);
  });
  CHECK(*number == 1);
  static std::atomic<int> counted;
  counted = 0;
  struct Shared {
    Shared() { ++counted; }
    ~Shared() { --counted; }
  };
  auto shared = std::make_unique<local<Shared>>();
  uvlet::run_on_threads(2, [&](int) {
    (void)**shared;
    green::spawn([&] {
      (void)**shared;
      green::Event<>().wait();  // unwound with its hub
    });
    green::sleep(0);
  });
  CHECK(counted == 0);
}

TEST_CASE("a local may go while another thread's green threads have values of it") {
  static std::atomic<int> counted;
  counted = 0;
  struct Shared {
    Shared() { ++counted; }
    ~Shared() { --counted; }
  };
  auto shared = std::make_unique<local<Shared>>();
  (void)**shared;
  std::atomic<int> stage{0};
  std::thread other([&] {
    (void)**shared;
    green::sleep(0);
    stage = 1;
    while (stage != 2) std::this_thread::yield();
    local<Shared> mine;
    (void)*mine;
  });
  while (stage != 1) std::this_thread::yield();
  CHECK(counted == 2);
  shared.reset();
  CHECK(counted == 1);  // that thread's goes with it
  stage = 2;
  other.join();
  CHECK(counted == 0);
}

TEST_CASE("storm: values are exactly those of who is alive, through kills and destroyed locals") {
  const std::uint64_t seed = std::random_device()();
  MESSAGE("seed " << seed);
  uvlet::testing::SimulationOptions options(seed);
  options.faults.kills = 0.01;
  options.faults.delayed_wakes = 0.05;
  const test::Quiet quiet;
  int operations = 0;
  uvlet::testing::simulate(options, [&] {
    living = 0;
    struct Tagged : Alive {
      std::uint64_t owner = 0;
    };
    std::vector<std::optional<local<Tagged>>> locals(8);
    for (auto& one : locals) one.emplace();
    green::GreenPool pool(20);
    while (operations < 100'000) {
      uvlet::testing::expose(pool.spawn([&] {
        for (int i = 0; i < 40; ++i, ++operations) {
          auto& one = locals[uvlet::testing::choose(locals.size())];
          if (uvlet::testing::choose(100) == 0) {
            one.reset();
            one.emplace();
            continue;
          }
          Tagged& mine = **one;
          const std::uint64_t me = green::getcurrent().id();
          if (mine.owner != 0 && mine.owner != me) throw std::logic_error("another's value");
          mine.owner = me;
          if (i % 4 == 0) green::sleep(0.001 * static_cast<double>(uvlet::testing::choose(3)));
        }
      }));
    }
    pool.waitall();
    green::sleep(1);
    CHECK(living == 0);
  });
  CHECK(operations >= 100'000);
}
