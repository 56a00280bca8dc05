#include <green/greenthread.hpp>

#include "../standard_error.hpp"
#include "../support.hpp"

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

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

int half(int value) { return value / 2; }

struct Adder {
  int base = 10;
  int add(int more) const { return base + more; }
};

green::GreenThread<void> sleeper() {
  return green::spawn([] { green::sleep(test::watchdog); });
}

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

// --- links ---------------------------------------------------------------------------------------

TEST_CASE("links run in the finished thread, in order, before waiters resume") {
  test::Log log;
  auto thread = green::spawn([&] {
    green::sleep(0);
    log("body");
    return 6;
  });
  auto waiter = green::spawn([&] {
    thread.wait();
    log("waiter");
  });
  green::Greenlet where;
  thread.link([&](green::GreenThread<int> ended) {
    where = green::getcurrent();
    log("first" + std::to_string(ended.wait()));
  });
  thread.link(
      [&](green::GreenThread<int>, int a, const std::string& b) { log(b + std::to_string(a)); }, 2,
      "second");
  waiter.wait();
  CHECK(log.text() == "body first6 second2 waiter");
  CHECK(where == thread);
}

TEST_CASE("a link to one that has finished runs in the caller, at once") {
  auto thread = green::spawn([] { return 1; });
  thread.wait();
  green::Greenlet where;
  int got = 0;
  thread.link(
      [&](green::GreenThread<int> ended, int more) {
        where = green::getcurrent();
        got = ended.wait() + more;
      },
      10);
  CHECK(where == green::getcurrent());
  CHECK(got == 11);
}

TEST_CASE("links run for one that throws or is killed, and see it dead") {
  const test::Quiet quiet;
  test::Log log;
  auto note = [&](green::GreenThread<void> ended, std::string name) {
    try {
      ended.wait();
      log(name + ":fine");
    } catch (const GreenletExit&) {
      log(name + ":exit");
    } catch (const Failure&) {
      log(name + ":failure");
    }
  };
  auto failing = green::spawn([] { throw Failure("x"); });
  failing.link(note, std::string("a"));
  auto killed = sleeper();
  killed.link(note, std::string("b"));
  green::sleep(0);
  killed.kill();
  CHECK(log.text() == "a:failure b:exit");
}

TEST_CASE("unlink takes a link away, once") {
  test::Log log;
  auto thread = green::spawn([] {});
  const green::LinkId first = thread.link([&](green::GreenThread<void>) { log("first"); });
  const green::LinkId second = thread.link([&](green::GreenThread<void>) { log("second"); });
  CHECK(thread.unlink(first));
  CHECK_FALSE(thread.unlink(first));
  thread.wait();
  CHECK(log.text() == "second");
  CHECK_FALSE(thread.unlink(second));
}

TEST_CASE("links take std::ref arguments and move-only functions") {
  int count = 0;
  auto thread = green::spawn([] {});
  thread.link([](green::GreenThread<void>, int& counter) { ++counter; }, std::ref(count));
  thread.link([&, kept = std::make_unique<int>(5)](green::GreenThread<void>) { count += *kept; });
  thread.wait();
  CHECK(count == 6);
}

TEST_CASE("a link that throws ends the links after it, not the result, and is printed") {
  test::StandardError error;
  test::Log log;
  auto thread = green::spawn([] { return 2; });
  thread.set_name("linked");
  thread.link([&](green::GreenThread<int>) {
    log("first");
    throw Failure("of a link");
  });
  thread.link([&](green::GreenThread<int>) { log("second"); });
  CHECK(thread.wait() == 2);
  CHECK(log.text() == "first");
  CHECK(error.text().find("'linked'") != std::string::npos);
  CHECK(error.text().find("Failure: of a link") != std::string::npos);
}

TEST_CASE("a link may block and may link again") {
  test::Log log;
  auto thread = green::spawn([] { return 2; });
  thread.link([&](green::GreenThread<int> ended) {
    green::sleep(0.001);
    log("slow");
    ended.link([&](green::GreenThread<int>) { log("nested"); });
  });
  CHECK(thread.wait() == 2);
  CHECK(log.text() == "slow nested");
}

TEST_CASE("a link that a link makes is called behind those that were there") {
  test::Log log;
  auto thread = green::spawn([] { return 2; });
  const auto notes = [&](const char* what) {
    return [&log, what](green::GreenThread<int>) { log(what); };
  };
  thread.link([&](green::GreenThread<int> ended) {
    log("first");
    ended.link(notes("third"));
    log("first's end");
  });
  thread.link(notes("second"));
  CHECK(thread.wait() == 2);
  CHECK(log.text() == "first first's end second third");
  thread.link(notes("at once"));
  CHECK(log.entries().back() == "at once");
}

// --- spawn_after ---------------------------------------------------------------------------------

TEST_CASE("spawn_after runs the function after the delay, with its arguments") {
  const uvlet::Time start = uvlet::Hub::get().now();
  auto thread = green::spawn_after(
      0.01, [](int a, int b) { return a + b; }, 1, 2);
  CHECK_FALSE(thread.started());
  green::sleep(0);
  CHECK_FALSE(thread.started());
  CHECK(thread.wait() == 3);
  CHECK(uvlet::Hub::get().now() - start >= 10'000'000);
}

TEST_CASE("spawn_after of shorter delays comes first, of equal ones in order") {
  test::Log log;
  std::vector<green::GreenThread<void>> threads;
  threads.push_back(green::spawn_after(0.02, [&] { log("long"); }));
  threads.push_back(green::spawn_after(std::chrono::milliseconds(5), [&] { log("short"); }));
  threads.push_back(green::spawn_after(std::chrono::milliseconds(5), [&] { log("same"); }));
  threads.push_back(green::spawn_after(0, [&] { log("now"); }));
  for (auto& thread : threads) thread.wait();
  CHECK(log.text() == "now short same long");
}

TEST_CASE("spawn_after may be cancelled until it starts") {
  bool ran = false;
  auto thread = green::spawn_after(0.001, [&] { ran = true; });
  green::sleep(0);
  thread.cancel();
  CHECK(thread.dead());
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
  green::sleep(0.003);
  CHECK_FALSE(ran);
}

TEST_CASE("spawn_after does not depend on its spawner, spawn_after_local does") {
  bool global = false;
  bool local = false;
  green::GreenThread<void> later;
  green::GreenThread<void> later_local;
  green::spawn([&] {
    later = green::spawn_after(0.002, [&] { global = true; });
    later_local = green::spawn_after_local(0.002, [&] { local = true; });
  }).wait();
  later.wait();
  CHECK_THROWS_AS(later_local.wait(), GreenletExit);
  CHECK(global);
  CHECK_FALSE(local);
}

TEST_CASE("spawn_after_local runs while its spawner lives") {
  CHECK(green::spawn_after_local(0.001, [] { return 5; }).wait() == 5);
  int result = 0;
  green::spawn([&] {
    auto thread = green::spawn_after_local(0.001, half, 8);
    result = thread.wait();
  }).wait();
  CHECK(result == 4);
}

// --- the other face ------------------------------------------------------------------------------

TEST_CASE("a coroutine waits with wait_async as a green thread does with wait") {
  const test::Quiet quiet;
  auto thread = green::spawn([] {
    green::sleep(0.001);
    return std::string("value");
  });
  auto failing = green::spawn([]() -> int { throw Failure("async"); });
  auto body = [&]() -> aio::task<std::string> {
    std::string text = co_await thread.wait_async();
    try {
      co_await failing.wait_async();
    } catch (const Failure& failure) {
      text += failure.what();
    }
    const auto moved = co_await green::spawn([] { return std::make_unique<int>(3); }).wait_async();
    co_return text + std::to_string(*moved);
  };
  CHECK(green::awaitlet(body()) == "valueasync3");
  CHECK(aio::run(body()) == "valueasync3");
}

TEST_CASE("co_await of a green thread gives its result") {
  auto body = []() -> aio::task<int> {
    auto kept = green::spawn([] {
      green::sleep(0.001);
      return 4;
    });
    const int first = co_await kept;
    const int again = co_await kept;
    const auto moved = co_await green::spawn([] { return std::make_unique<int>(5); });
    co_await green::spawn([] {});
    co_return first + again + *moved;
  };
  CHECK(green::awaitlet(body()) == 13);
  CHECK(green::awaitlet(green::spawn([] { return 7; })) == 7);
}

TEST_CASE("a green thread's GreenletExit is CancelledError to co_await, itself to wait_async") {
  auto thread = sleeper();
  green::sleep(0);
  thread.kill();
  auto body = [&]() -> aio::task<std::string> {
    std::string seen;
    try {
      co_await thread;
    } catch (const aio::CancelledError&) {
      seen += "cancelled ";
    }
    try {
      co_await thread.wait_async();
    } catch (const GreenletExit&) {
      seen += "exit";
    }
    co_return seen;
  };
  CHECK(green::awaitlet(body()) == "cancelled exit");
}

TEST_CASE("cancelling who co_awaits a green thread kills it; who wait_asyncs leaves it alone") {
  auto killed = sleeper();
  auto left = green::spawn([] {
    green::sleep(0.005);
    return 3;
  });
  auto first = aio::create_task([](auto target) -> aio::task<void> { co_await target; }(killed));
  auto second =
      aio::create_task([](auto target) -> aio::task<void> { co_await target.wait_async(); }(left));
  green::sleep(0.001);
  first.cancel();
  second.cancel();
  CHECK_THROWS_AS(green::awaitlet(first), aio::CancelledError);
  CHECK_THROWS_AS(green::awaitlet(second), aio::CancelledError);
  CHECK(killed.dead());
  CHECK(left.wait() == 3);
}

TEST_CASE("a green thread that is killed while it awaits a coroutine: CancelledError in there") {
  test::Log log;
  auto thread = green::spawn([&] {
    try {
      green::awaitlet([](test::Log& where) -> aio::task<void> {
        try {
          co_await aio::sleep(test::watchdog);
        } catch (const aio::CancelledError&) {
          where("cancelled");
          throw;
        }
      }(log));
    } catch (const GreenletExit&) {
      log("exit");
      throw;
    }
  });
  green::sleep(0);
  thread.kill();
  CHECK(log.text() == "cancelled exit");
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
}

TEST_CASE("sleep has an async twin") {
  auto body = []() -> aio::task<int> {
    co_await green::sleep_async(0.001);
    co_await green::sleep_async();
    co_return 1;
  };
  CHECK(green::awaitlet(body()) == 1);
}

TEST_CASE("a green sleep inside a coroutine suspends just that coroutine") {
  test::Log log;
  auto slow = aio::create_task([](test::Log& where) -> aio::task<void> {
    green::sleep(0.01);
    where("slow");
    co_return;
  }(log));
  auto fast = aio::create_task([](test::Log& where) -> aio::task<void> {
    co_await aio::sleep(0.001);
    where("fast");
  }(log));
  green::awaitlet(slow);
  green::awaitlet(fast);
  CHECK(log.text() == "fast slow");
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
