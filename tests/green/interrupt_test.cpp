#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>
#include <green/event.hpp>

#include <memory>

namespace {

// Says when it is destroyed.
struct Marker {
  Marker(test::Log& to, std::string called) : log(&to), name(std::move(called)) {}
  ~Marker() { (*log)("~" + name); }
  test::Log* log;
  std::string name;
};

// What it sees of an interrupt, and passes it on.
template <class F>
void watch(test::Log& log, const std::string& where, F body) {
  try {
    body();
  } catch (const green::GreenletExit&) {
    log(where + ":exit");
    throw;
  } catch (const green::TimeoutExpired&) {
    log(where + ":timeout");
    throw;
  } catch (const aio::CancelledError&) {
    log(where + ":cancelled");
    throw;
  }
}

aio::task<void> sleeps(test::Log& log, std::string where) {
  const Marker marker(log, where);
  try {
    co_await aio::sleep(100);
  } catch (const aio::CancelledError&) {
    log(where + ":cancelled");
    throw;
  } catch (const green::BaseException& other) {
    log(where + ":" + other.what());
    throw;
  }
}

aio::task<void> calls_green(test::Log& log) {
  const Marker marker(log, "outer-task");
  watch(log, "outer-task", [&] {
    watch(log, "inner-green", [&] { green::awaitlet(sleeps(log, "inner-task")); });
  });
  co_return;
}

aio::task<void> swallows() {
  try {
    co_await aio::sleep(100);
  } catch (const aio::CancelledError&) {
  }
}

}  // namespace

TEST_CASE("a kill through green, task, green, task unwinds innermost first") {
  test::Log log;
  auto victim = green::spawn([&] {
    const Marker marker(log, "green");
    watch(log, "green", [&] { green::awaitlet(calls_green(log)); });
  });
  green::sleep(0);
  victim.kill();
  CHECK(victim.dead());
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() ==
        "inner-task:cancelled ~inner-task inner-green:exit outer-task:exit ~outer-task "
        "green:exit ~green");
}

TEST_CASE("a Timeout made outside is CancelledError in the task, and itself after the awaitlet") {
  test::Log log;
  watch(log, "never", [] {});
  CHECK_THROWS_AS(
      green::with_timeout(0.005,
                          [&] { watch(log, "green", [&] { green::awaitlet(calls_green(log)); }); }),
      green::TimeoutExpired);
  CHECK(log.text() ==
        "inner-task:cancelled ~inner-task inner-green:timeout outer-task:timeout ~outer-task "
        "green:timeout");
}

TEST_CASE("a Timeout made inside a coroutine is itself at that coroutine's suspension point") {
  auto body = []() -> aio::task<std::string> {
    const green::Timeout timeout(0.005);
    try {
      co_await aio::sleep(100);
    } catch (const green::TimeoutExpired& expired) {
      co_return expired.is(timeout) ? "its own" : "another";
    }
    co_return "none";
  };
  CHECK(green::awaitlet(body()) == "its own");
}

TEST_CASE("a coroutine that swallows the cancellation does not keep the interrupt from its caller") {
  CHECK_THROWS_AS(green::with_timeout(0.005, [] { green::awaitlet(swallows()); }),
                  green::TimeoutExpired);
  auto victim = green::spawn([] { green::awaitlet(swallows()); });
  green::sleep(0);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
}

TEST_CASE("the victim runs, then what was ready, then the killer") {
  test::Log log;
  auto victim = green::spawn([&] {
    try {
      green::sleep(100);
    } catch (const green::GreenletExit&) {
      log("victim");
      throw;
    }
  });
  green::sleep(0);
  auto ready = green::spawn([&] { log("ready"); });
  victim.kill();
  log("killer");
  CHECK(log.text() == "victim ready killer");
}

TEST_CASE("a victim may catch the kill, wait again and end with a value") {
  auto victim = green::spawn([] {
    try {
      green::sleep(100);
    } catch (const green::GreenletExit&) {
      green::sleep(0.001);
    }
    return 5;
  });
  green::sleep(0);
  victim.kill();
  CHECK_FALSE(victim.dead());
  CHECK(victim.wait() == 5);
}

TEST_CASE("a kill waits for the end of a Shield, and is thrown at the next wait") {
  test::Log log;
  auto victim = green::spawn([&] {
    {
      const green::Shield shield;
      green::sleep(0.01);
      log("shielded");
    }
    log("after");
    green::sleep(0);
    log("not reached");
  });
  green::sleep(0);
  victim.kill();
  CHECK_FALSE(victim.dead());
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "shielded after");
}

TEST_CASE("a target in a Shield that never waits again ends normally") {
  auto victim = green::spawn([] {
    const green::Shield shield;
    green::sleep(0.01);
    return 3;
  });
  green::sleep(0);
  victim.kill();
  CHECK(victim.wait() == 3);
}

TEST_CASE("a second kill waits while the first unwinds; a Timeout made there works") {
  test::Log log;
  struct Cleanup {
    test::Log& log;
    ~Cleanup() {
      green::sleep(0.005);
      log(green::move_on_after(0.005, [] { green::sleep(100); }) ? "finished" : "timed-out");
      log("cleaned");
    }
  };
  auto victim = green::spawn([&] {
    const Cleanup cleanup{log};
    green::sleep(100);
  });
  green::sleep(0);
  victim.kill();
  victim.kill();
  CHECK_FALSE(victim.dead());
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "timed-out cleaned");
}

TEST_CASE("killing oneself throws at the call; a dead one stays as it is") {
  bool after = false;
  auto self = green::spawn([&] {
    green::getcurrent().kill();
    after = true;
  });
  CHECK_THROWS_AS(self.wait(), green::GreenletExit);
  CHECK_FALSE(after);
  self.kill();
  CHECK_THROWS_AS(self.wait(), green::GreenletExit);
}

TEST_CASE("a kill may carry any exception") {
  const test::Quiet quiet;
  auto victim = green::spawn([] { green::sleep(100); });
  green::sleep(0);
  green::kill(victim, std::runtime_error("reason"));
  CHECK_THROWS_WITH_AS(victim.wait(), "reason", std::runtime_error);
  auto unstarted = green::spawn([] { FAIL("ran"); });
  unstarted.kill(std::make_exception_ptr(std::logic_error("held")));
  CHECK_THROWS_AS(unstarted.wait(), std::logic_error);
}

TEST_CASE("nested Timeouts: the earliest fires first, each caught by its owner alone") {
  for (const double inner : {0.002, 0.02}) {
    const double outer = 0.022 - inner;
    std::string caught;
    try {
      const green::Timeout first(outer);
      try {
        const green::Timeout second(inner);
        try {
          green::sleep(100);
        } catch (const green::TimeoutExpired& expired) {
          caught = expired.is(second) ? "inner" : expired.is(first) ? "outer" : "neither";
        }
      } catch (const green::TimeoutExpired&) {
        caught += " again";
      }
    } catch (const green::TimeoutExpired&) {
      caught += " again";
    }
    CHECK(caught == (inner < outer ? "inner" : "outer"));
  }
}

TEST_CASE("an outer Timeout that fires while the task cleans up after an inner one is not lost") {
  auto cleans_slowly = []() -> aio::task<void> {
    try {
      co_await aio::sleep(100);
    } catch (const aio::CancelledError&) {
    }
    co_await aio::sleep(0.05);
  };
  std::string seen = "none";
  try {
    const green::Timeout outer(0.02);
    green::with_timeout_or(0.005, 0, [&] { green::awaitlet(cleans_slowly()); });
    green::sleep(100);
  } catch (const green::TimeoutExpired& expired) {
    seen = expired.what();
  }
  CHECK(seen == "0.02 seconds");
}

TEST_CASE("a Timeout of zero interrupts the next wait, a yield included") {
  const green::Timeout timeout(0);
  CHECK_THROWS_AS(green::sleep(0), green::TimeoutExpired);
}

TEST_CASE("a Timeout that outlives its green thread fires into nobody") {
  std::unique_ptr<green::Timeout> timeout;
  green::spawn([&] { timeout = std::make_unique<green::Timeout>(0.001); }).wait();
  green::sleep(0.01);
  CHECK_FALSE(timeout->pending());
}

TEST_CASE("cancelling a task that waits for another's Future cancels that one, then itself") {
  test::Log log;
  auto inner = aio::create_task(sleeps(log, "inner"));
  auto awaits = [](test::Log& l, aio::Future<void> future) -> aio::task<void> {
    const Marker marker(l, "outer");
    co_await future;
  };
  auto outer = aio::create_task(awaits(log, inner));
  green::sleep(0.001);
  CHECK(outer.cancel());
  CHECK_FALSE(outer.done());  // on the next turn
  CHECK_THROWS_AS(aio::run(outer), aio::CancelledError);
  CHECK(inner.cancelled());
  CHECK(outer.cancelled());
  CHECK(log.text() == "inner:cancelled ~inner ~outer");
}

TEST_CASE("a chain of 5,000 Futures is cancelled without recursion") {
  auto first = aio::Future<void>::create();
  auto awaits = [](aio::Future<void> future) -> aio::task<void> { co_await future; };
  aio::Future<void> last = first;
  for (int i = 0; i < 5000; ++i) last = aio::create_task(awaits(last));
  green::sleep(0.01);
  last.cancel();
  CHECK_THROWS_AS(aio::run(last), aio::CancelledError);
  CHECK(first.cancelled());
}

TEST_CASE("a green thread killed while it awaits a Future cancels it") {
  test::Log log;
  auto future = aio::create_task(sleeps(log, "task"));
  auto victim = green::spawn([&] { green::awaitlet(future); });
  green::sleep(0.001);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(future.cancelled());
  auto plain = aio::Future<int>::create();
  auto waits = green::spawn([&] { return green::awaitlet(plain); });
  green::sleep(0);
  waits.kill();
  CHECK(waits.dead());
  CHECK(plain.cancelled());
}

TEST_CASE("wait_for inside awaitlet inside with_timeout: each limit is thrown where it was made") {
  auto limited = [](double inner) -> aio::task<std::string> {
    try {
      co_await aio::wait_for(swallows(), inner);
    } catch (const aio::TimeoutError&) {
      co_return "wait_for";
    }
    co_return "none";
  };
  CHECK(green::with_timeout(10, [&] { return green::awaitlet(limited(0.005)); }) == "wait_for");
  CHECK_THROWS_AS(green::with_timeout(0.005, [&] { return green::awaitlet(limited(10)); }),
                  green::TimeoutExpired);
}

TEST_CASE("cancelling who awaits a green thread kills it and waits for its end") {
  int alive = 0;
  auto awaits = [](int& counter) -> aio::task<void> {
    auto thread = green::spawn([&counter] {
      const test::Counted counted(counter);
      green::sleep(100);
    });
    co_await thread;
  };
  auto future = aio::create_task(awaits(alive));
  green::sleep(0.001);
  CHECK(alive == 1);
  future.cancel();
  CHECK_THROWS_AS(aio::run(future), aio::CancelledError);
  CHECK(alive == 0);
}

TEST_CASE("random kills through three alternating layers leave no frame and lose no wake-up") {
  int alive = 0;
  unsigned seed = 12345;
  auto random = [&](unsigned below) { return (seed = seed * 1103515245 + 12345) / 65536 % below; };
  auto inner = [](int& counter) -> aio::task<void> {
    const test::Counted counted(counter);
    for (int i = 0; i < 3; ++i) co_await aio::sleep(i % 2 ? 0.0001 : 0);
  };
  auto outer = [&inner](int& counter) -> aio::task<void> {
    const test::Counted counted(counter);
    green::sleep(0);
    green::awaitlet(inner(counter));
    co_await inner(counter);
  };
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 2000; ++i) {
    threads.push_back(green::spawn([&] {
      const test::Counted counted(alive);
      green::awaitlet(outer(alive));
    }));
    if (random(3) == 0) green::sleep(0);
    if (random(2) == 0) threads[random(static_cast<unsigned>(threads.size()))].kill();
  }
  int killed = 0;
  for (auto& thread : threads) {
    try {
      thread.wait();
    } catch (const green::GreenletExit&) {
      ++killed;
    }
  }
  CHECK(killed > 0);
  CHECK(killed < 2000);
  CHECK(alive == 0);
}
