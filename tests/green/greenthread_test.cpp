#include <green/greenthread.hpp>

#include "sleeper.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <unistd.h>

namespace {

using green::GreenletExit;

using test::Failure;
using test::sleeper;

int half(int value) { return value / 2; }

struct Adder {
  int base = 10;
  int add(int more) const { return base + more; }
};

}  // namespace

namespace under_using {

using namespace green;
template <class A>
concept can_sleep = requires(A a) {
  sleep(a);
};

}  // namespace under_using

// --- results -------------------------------------------------------------------------------------

TEST_CASE("wait gives the result of the function") {
  CHECK(green::spawn([] { return 42; }).wait() == 42);
  auto thread = green::spawn(half, 10);
  static_assert(std::is_same_v<decltype(thread), green::GreenThread<int>>);
  CHECK(thread.wait() == 5);
}

TEST_CASE("spawn takes member functions, function objects and arguments by value") {
  CHECK(green::spawn(&Adder::add, Adder{20}, 2).wait() == 22);
  CHECK(green::spawn(std::plus<int>(), 1, 2).wait() == 3);
  const std::string text = "abc";
  auto size = green::spawn([](const std::string& given) { return given.size(); }, text);
  CHECK(size.wait() == 3);
  auto copy = green::spawn([](std::string given) { return given + "d"; }, "abc");
  CHECK(copy.wait() == "abcd");
}

TEST_CASE("std::ref passes a reference") {
  int count = 1;
  green::spawn([](int& value) { ++value; }, std::ref(count)).wait();
  CHECK(count == 2);
  green::spawn([](const int& value) { CHECK(value == 2); }, std::cref(count)).wait();
}

TEST_CASE("a reference result is returned by value") {
  int value = 5;
  auto thread = green::spawn([&]() -> int& { return value; });
  static_assert(std::is_same_v<decltype(thread), green::GreenThread<int>>);
  value = 5;
  CHECK(thread.wait() == 5);
}

TEST_CASE("move-only arguments and results work") {
  auto thread = green::spawn(
      [](std::unique_ptr<int> value) {
        ++*value;
        return value;
      },
      std::make_unique<int>(4));
  CHECK(*std::move(thread).wait() == 5);
  CHECK(*green::spawn([] { return std::make_unique<int>(6); }).wait() == 6);
  const auto captured = green::spawn([kept = std::make_unique<int>(7)] { return *kept; });
  CHECK(captured.wait() == 7);
}

TEST_CASE("a move-only result with a second handle is a logic_error") {
  auto thread = green::spawn([] { return std::make_unique<int>(1); });
  auto second = thread;
  CHECK_THROWS_AS(std::move(thread).wait(), std::logic_error);
  CHECK(*std::move(second).wait() == 1);
}

TEST_CASE("a result that can be copied is copied where there is a second handle") {
  auto thread = green::spawn([] { return std::string("shared"); });
  auto second = thread;
  CHECK(std::move(thread).wait() == "shared");
  CHECK(second.wait() == "shared");
}

TEST_CASE("wait may be called any number of times by any number of green threads") {
  auto thread = green::spawn([] {
    green::sleep(0.001);
    return std::string("result");
  });
  std::vector<green::GreenThread<std::string>> waiters;
  for (int i = 0; i < 5; ++i) waiters.push_back(green::spawn([thread] { return thread.wait(); }));
  for (auto& waiter : waiters) CHECK(waiter.wait() == "result");
  CHECK(thread.wait() == "result");
  CHECK(thread.wait() == "result");
}

TEST_CASE("wait on a void green thread waits for its end") {
  bool ended = false;
  auto thread = green::spawn([&] {
    green::sleep(0.001);
    ended = true;
  });
  static_assert(std::is_void_v<decltype(thread.wait())>);
  thread.wait();
  CHECK(ended);
  thread.wait();
}

TEST_CASE("the function's captures are destroyed when it has ended, not with the handle") {
  int alive = 0;
  auto thread = green::spawn([counted = test::Counted(alive)] {});
  CHECK(alive == 1);
  thread.wait();
  CHECK(alive == 0);
}

TEST_CASE("a green thread goes on without its handle") {
  bool done = false;
  {
    auto dropped = green::spawn([&] { done = true; });
  }
  green::sleep(0);
  CHECK(done);
}

// --- exceptions ----------------------------------------------------------------------------------

TEST_CASE("an exception of the function goes to every wait, the same object each time") {
  const test::Quiet quiet;
  auto thread = green::spawn([]() -> int { throw Failure("of the function"); });
  const void* first = nullptr;
  const void* second = nullptr;
  try {
    thread.wait();
  } catch (const Failure& failure) {
    first = &failure;
    CHECK(std::string(failure.what()) == "of the function");
  }
  try {
    thread.wait();
  } catch (const Failure& failure) {
    second = &failure;
  }
  CHECK(first != nullptr);
  CHECK(first == second);
}

TEST_CASE("an exception that is no std::exception is kept as it is") {
  const test::Quiet quiet;
  CHECK_THROWS_AS(green::spawn([] { throw 5; }).wait(), int);
  CHECK_THROWS_AS(green::spawn([] { throw green::TimeoutExpired(3); }).wait(),
                  green::TimeoutExpired);
}

TEST_CASE("an exception nobody waits for does no harm") {
  const test::Quiet quiet;
  green::spawn([] { throw Failure("unheard"); });
  green::spawn_n([] { throw Failure("unheard"); });
  green::sleep(0);
  CHECK(green::spawn([] { return 1; }).wait() == 1);
}

// --- order ---------------------------------------------------------------------------------------

TEST_CASE("spawn only schedules, and green threads start in the order spawned") {
  test::Log log;
  std::vector<green::Greenlet> threads;
  threads.push_back(green::spawn([&] { log("1"); }));
  threads.push_back(green::spawn_n([&] { log("2"); }));
  threads.push_back(green::spawn([&] { log("3"); }));
  log("main");
  green::sleep(0);
  CHECK(log.text() == "main 1 2 3");
}

TEST_CASE("what a green thread spawns comes after what is ready already") {
  test::Log log;
  green::spawn([&] {
    log("a");
    green::spawn([&] { log("child"); });
  });
  green::spawn([&] { log("b"); });
  green::sleep(0);
  green::sleep(0);
  CHECK(log.text() == "a b child");
}

// --- state ---------------------------------------------------------------------------------------

TEST_CASE("started, dead and the truth value go through unstarted, running and done") {
  auto thread = green::spawn([] { green::sleep(0.001); });
  CHECK_FALSE(thread.started());
  CHECK_FALSE(thread.dead());
  CHECK_FALSE(static_cast<bool>(thread));
  green::sleep(0);
  CHECK(thread.started());
  CHECK_FALSE(thread.dead());
  CHECK(static_cast<bool>(thread));
  thread.wait();
  CHECK(thread.started());
  CHECK(thread.dead());
  CHECK_FALSE(static_cast<bool>(thread));
}

TEST_CASE("the handle of spawn_n goes through the same states") {
  green::Greenlet thread = green::spawn_n([] { green::sleep(0.001); });
  CHECK_FALSE(thread.started());
  CHECK_FALSE(thread.dead());
  green::sleep(0);
  CHECK(thread);
  green::sleep(0.005);
  CHECK(thread.dead());
  CHECK(thread.started());
}

TEST_CASE("one that throws or is killed is dead too") {
  const test::Quiet quiet;
  auto failing = green::spawn([] { throw Failure("x"); });
  CHECK_THROWS_AS(failing.wait(), Failure);
  CHECK(failing.dead());
  auto killed = sleeper();
  killed.kill();
  CHECK(killed.dead());
  CHECK_FALSE(killed.started());
}

TEST_CASE("ids are unique, and names can be set") {
  auto a = sleeper();
  auto b = sleeper();
  CHECK(a.id() != b.id());
  CHECK(a.id() != 0);
  CHECK_FALSE(a.name().empty());
  CHECK(a.name() != b.name());
  a.set_name("worker");
  CHECK(a.name() == "worker");
  a.kill();
  CHECK(a.name() == "worker");
  b.kill();
}

TEST_CASE("a name stays although every handle was dropped") {
  green::Event<std::string> seen;
  green::spawn_n([&] {
    green::getcurrent().set_name("self-named");
    green::sleep(0);
    seen.send(green::getcurrent().name());
  });
  CHECK(seen.wait() == "self-named");
}

TEST_CASE("handles to the same green thread are equal") {
  green::Greenlet inside;
  auto a = green::spawn([&] { inside = green::getcurrent(); });
  auto b = sleeper();
  const green::Greenlet untyped = a;
  CHECK(untyped == a);
  CHECK_FALSE(a == b);
  a.wait();
  CHECK(inside == untyped);
  b.kill();
}

TEST_CASE("getcurrent is the green thread that runs, in each of them") {
  const green::Greenlet outer = green::getcurrent();
  green::Greenlet inner;
  green::spawn([&] { inner = green::getcurrent(); }).wait();
  CHECK_FALSE(inner == outer);
  CHECK(green::getcurrent() == outer);
  CHECK(inner.dead());
}

TEST_CASE("a coroutine driven by awaitlet is part of the green thread that awaits it") {
  auto is_part_of = [](green::Greenlet whom) -> aio::task<bool> {
    co_await aio::sleep(0.001);
    co_return green::getcurrent() == whom;
  };
  CHECK(green::awaitlet(is_part_of(green::getcurrent())));
  CHECK_FALSE(green::awaitlet(aio::create_task(is_part_of(green::getcurrent()))));
}

TEST_CASE("a green::Greenlet that names nothing is dead, and killing it does nothing") {
  const green::Greenlet nobody;
  CHECK(nobody.dead());
  CHECK_FALSE(nobody.started());
  CHECK_FALSE(static_cast<bool>(nobody));
  nobody.kill();
  nobody.cancel();
  CHECK(nobody == green::Greenlet());
}

// --- sleep ---------------------------------------------------------------------------------------

TEST_CASE("sleep takes any length of time") {
  green::sleep();
  green::sleep(0);
  green::sleep(-1);
  green::sleep(0.001);
  green::sleep(0.001F);
  green::sleep(0U);
  green::sleep(std::chrono::microseconds(10));
  CHECK_THROWS_AS(green::sleep(std::numeric_limits<double>::quiet_NaN()), std::invalid_argument);
}

TEST_CASE("sleep for ever ends by a kill") {
  auto thread = green::spawn([] { green::sleep(std::numeric_limits<double>::infinity()); });
  green::sleep(0.002);
  CHECK(thread);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
}

TEST_CASE("a hundred sleepers sleep at the same time") {
  const uvlet::Time start = uvlet::Hub::get().now();
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 100; ++i) threads.push_back(green::spawn([] { green::sleep(0.05); }));
  for (auto& thread : threads) thread.wait();
  const uvlet::Time elapsed = uvlet::Hub::get().now() - start;
  CHECK(elapsed >= 50'000'000);
  CHECK(elapsed < 4'000'000'000);  // one after the other they would take 5 s
}

// --- in other places -----------------------------------------------------------------------------

TEST_CASE("the result of a green thread may be waited for in a deep stack of calls") {
  std::function<int(int)> deep = [&](int depth) -> int {
    if (depth == 0) return green::spawn([] { return 1; }).wait();
    return deep(depth - 1) + 1;
  };
  CHECK(green::spawn(deep, 50).wait() == 51);
}

TEST_CASE("many green threads") {
  int sum = 0;
  std::vector<green::GreenThread<int>> threads;
  for (int i = 0; i < 5'000; ++i)
    threads.push_back(green::spawn([i] {
      green::sleep(0);
      return i;
    }));
  for (auto& thread : threads) sum += thread.wait();
  CHECK(sum == 12'497'500);
}

TEST_CASE("spawn in a spawned one, a thousand deep") {
  std::function<int(int)> deeper = [&](int depth) -> int {
    return depth == 0 ? 0 : 1 + green::spawn(deeper, depth - 1).wait();
  };
  CHECK(deeper(1000) == 1000);
}

TEST_CASE("the result goes with its last handle") {
  int alive = 0;
  auto thread = green::spawn([&] { return test::Counted(alive); });
  thread.wait();
  CHECK(alive == 1);
  thread = {};
  CHECK(alive == 0);
}

TEST_CASE("a wait that times out leaves its target alone") {
  auto target = green::spawn([] {
    green::sleep(0.03);
    return 4;
  });
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { target.wait(); }), green::TimeoutExpired);
  CHECK(target.wait() == 4);
  auto again = green::spawn([] {
    green::sleep(0.03);
    return std::make_unique<int>(5);
  });
  auto handle = again;
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { (void)std::move(handle).wait(); }),
                  green::TimeoutExpired);
  CHECK(*std::move(again).wait() == 5);
}

TEST_CASE("waiters resume in the order in which they came") {
  test::Log log;
  auto target = green::spawn([] { green::sleep(0.002); });
  for (int i = 0; i < 4; ++i)
    green::spawn([&log, target, i] {
      target.wait();
      log(std::to_string(i));
    });
  green::sleep(0);
  target.wait();
  green::sleep(0);
  CHECK(log.text() == "0 1 2 3");
}

TEST_CASE("wait for one that has ended does not switch") {
  auto target = green::spawn([] { return 1; });
  target.wait();
  bool other_ran = false;
  auto other = green::spawn([&] { other_ran = true; });
  CHECK(target.wait() == 1);
  CHECK_FALSE(other_ran);
  other.wait();
}

TEST_CASE("co_await of a green thread gives its result, also a move-only one") {
  auto body = []() -> aio::task<int> {
    auto named = green::spawn([] {
      green::sleep(0.001);
      return 1;
    });
    const int first = co_await named;
    const int again = co_await named;
    const auto moved = co_await green::spawn([] { return std::make_unique<int>(10); });
    const auto waited =
        co_await green::spawn([] { return std::make_unique<int>(100); }).wait_async();
    co_await green::spawn([] {});
    co_return first + again + *moved + *waited + co_await named.wait_async();
  };
  CHECK(aio::run(body()) == 113);
}

TEST_CASE("under a using-directive sleep of numbers is not that of the C library") {
  static_assert(under_using::can_sleep<int>);
  static_assert(under_using::can_sleep<long>);
  static_assert(under_using::can_sleep<double>);
  static_assert(under_using::can_sleep<std::chrono::milliseconds>);
  static_assert(!under_using::can_sleep<unsigned>);  // ambiguous: an error beats a blocked hub
  static_assert(!under_using::can_sleep<bool>);
  static_assert(!under_using::can_sleep<char>);
  using namespace green;
  bool other_ran = false;
  auto other = spawn([&] { other_ran = true; });
  sleep(0);
  CHECK(other_ran);
  sleep(0.001);
}

TEST_CASE("a green thread may give its own handle, and is freed with the last of the others") {
  auto thread = green::spawn(green::getcurrent);
  const green::Greenlet self = thread.wait();
  CHECK(self == thread);
  thread = {};
  CHECK(self.dead());
  CHECK(green::spawn(green::getcurrent).wait().dead());
}

TEST_CASE("a limit works in a link that blocks") {
  std::string seen = "nothing";
  auto thread = green::spawn([] {});
  green::Event<> linked;
  thread.link([&](green::GreenThread<void>) {
    seen = green::move_on_after(0.002, [] { green::sleep(1); }) ? "finished" : "limited";
    linked.send();
  });
  linked.wait();
  CHECK(seen == "limited");
}
