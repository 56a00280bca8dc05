#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/sleep.hpp>
#include <green/awaitlet.hpp>
#include <green/event.hpp>
#include <green/queue.hpp>
#include <green/timeout.hpp>

#include <memory>
#include <stdexcept>

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
  watch(log, "outer-task",
        [&] { watch(log, "inner-green", [&] { green::awaitlet(sleeps(log, "inner-task")); }); });
  co_return;
}

aio::task<void> swallows() {
  try {
    co_await aio::sleep(100);
  } catch (const aio::CancelledError&) {
  }
}

// Waits in its destructor, as code that closes a connection does.
struct SlowEnd {
  test::Log& log;
  std::string name;
  ~SlowEnd() {
    log(name + ":begins");
    green::sleep(0.005);
    log(name + ":ends");
  }
};

aio::task<std::string> what_it_sees(uvlet::Duration length) {
  try {
    co_await aio::sleep(length);
  } catch (const aio::CancelledError&) {
    co_return "cancelled";
  } catch (const green::GreenletExit&) {
    co_return "exit";
  } catch (const green::TimeoutExpired&) {
    co_return "timeout";
  }
  co_return "nothing";
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

TEST_CASE(
    "a coroutine that swallows the cancellation does not keep the interrupt from its caller") {
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

TEST_CASE("a green call that swallows the kill inside a coroutine keeps it from nobody outside") {
  test::Log log;
  auto body = [&]() -> aio::task<int> {
    try {
      green::sleep(100);
    } catch (const green::GreenletExit&) {
      log("inner:exit");
    }
    co_await aio::sleep(0.001);
    log("went on");
    co_return 5;
  };
  auto victim = green::spawn([&] { return green::awaitlet(body()); });
  green::sleep(0);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "inner:exit went on");
}

TEST_CASE("a coroutine that replaces the CancelledError does not replace the kill") {
  auto replaces = []() -> aio::task<> {
    try {
      co_await aio::sleep(100);
    } catch (const aio::CancelledError&) {
      throw std::runtime_error("instead");
    }
  };
  auto victim = green::spawn([&] { green::awaitlet(replaces()); });
  green::sleep(0);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
}

TEST_CASE("a victim may catch the kill around awaitlet, and awaitlet again") {
  auto victim = green::spawn([] {
    std::string seen;
    try {
      green::awaitlet(swallows());
    } catch (const green::GreenletExit&) {
      seen = "exit";
    }
    return seen + " " + green::awaitlet(what_it_sees(0.001));
  });
  green::sleep(0);
  victim.kill();
  CHECK_FALSE(victim.dead());
  CHECK(victim.wait() == "exit nothing");
}

TEST_CASE("a kill with an exception of one's own is CancelledError in the coroutine, then itself") {
  const test::Quiet quiet;
  test::Log log;
  auto victim = green::spawn([&] {
    try {
      green::awaitlet(sleeps(log, "task"));
    } catch (const std::out_of_range& error) {
      log(error.what());
      throw;
    }
  });
  green::sleep(0);
  victim.kill(std::out_of_range("reason"));
  CHECK_THROWS_AS(victim.wait(), std::out_of_range);
  CHECK(log.text() == "task:cancelled ~task reason");
}

TEST_CASE("who is killed before it starts never awaits") {
  bool ran = false;
  auto victim = green::spawn([&] {
    ran = true;
    green::awaitlet(swallows());
  });
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK_FALSE(ran);
}

TEST_CASE("killing oneself inside a coroutine throws at the call, and out of the awaitlet") {
  test::Log log;
  auto body = [&]() -> aio::task<> {
    const Marker marker(log, "task");
    try {
      green::getcurrent().kill();
      log("after");
    } catch (const green::GreenletExit&) {
      log("exit");
      throw;
    }
    co_return;
  };
  auto self = green::spawn([&] { green::awaitlet(body()); });
  CHECK_THROWS_AS(self.wait(), green::GreenletExit);
  CHECK(log.text() == "exit ~task");
}

TEST_CASE("killing a task: its coroutine sees the kill itself, its Future ends with it") {
  green::Greenlet self;
  test::Log log;
  auto body = [&]() -> aio::task<> {
    self = green::getcurrent();
    const Marker marker(log, "task");
    try {
      co_await aio::sleep(100);
    } catch (const green::GreenletExit&) {
      log("exit");
      throw;
    }
  };
  auto future = aio::create_task(body());
  green::sleep(0);
  self.kill();
  CHECK_THROWS_AS(green::awaitlet(future), green::GreenletExit);
  CHECK(log.text() == "exit ~task");
  CHECK(self.dead());
}

TEST_CASE("cancelling a task that is in a green call throws CancelledError there") {
  test::Log log;
  auto body = [&]() -> aio::task<> {
    const Marker marker(log, "task");
    watch(log, "green", [] { green::sleep(100); });
    co_return;
  };
  auto future = aio::create_task(body());
  green::sleep(0);
  CHECK(future.cancel());
  CHECK_FALSE(future.done());
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(log.text() == "green:cancelled ~task");
}

TEST_CASE("cancelling through task, green, task, green unwinds innermost first") {
  test::Log log;
  auto middle = [&] { watch(log, "middle", [&] { green::awaitlet(sleeps(log, "inner")); }); };
  auto outer = [&]() -> aio::task<> {
    const Marker marker(log, "outer");
    middle();
    co_return;
  };
  auto future = aio::create_task(outer());
  green::sleep(0);
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(log.text() == "inner:cancelled ~inner middle:cancelled ~outer");
}

TEST_CASE("a task that swallows its cancel and waits again ends with its value") {
  auto body = []() -> aio::task<std::string> {
    const std::string first = co_await what_it_sees(100);
    co_return first + " " + co_await what_it_sees(0.001);
  };
  auto future = aio::create_task(body());
  green::sleep(0);
  CHECK(future.cancel());
  CHECK(green::awaitlet(future) == "cancelled nothing");
  CHECK_FALSE(future.cancelled());
}

TEST_CASE("a Future whose task swallows the cancel gives its value to who awaits it in a task") {
  auto inner = aio::create_task(what_it_sees(100));
  auto awaits = [](aio::Future<std::string> on) -> aio::task<std::string> {
    co_return co_await on;
  };
  auto outer = aio::create_task(awaits(inner));
  green::sleep(0.001);
  outer.cancel();
  CHECK(green::awaitlet(outer) == "cancelled");
  CHECK_FALSE(outer.cancelled());
}

TEST_CASE("a kill behind a Future whose task swallows it is a kill all the same") {
  auto inner = aio::create_task(what_it_sees(100));
  auto victim = green::spawn([&] { return green::awaitlet(inner); });
  green::sleep(0.001);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(green::awaitlet(inner) == "cancelled");
}

TEST_CASE("in an awaitlet a kill stops a driven task at once") {
  auto victim = green::spawn([] { green::awaitlet(swallows()); });
  green::sleep(0);
  victim.kill();
  CHECK(victim.dead());
}

TEST_CASE("a task that is killed while it awaits a green thread ends with the kill") {
  green::Greenlet self;
  auto other = green::spawn([] { green::sleep(100); });
  auto body = [&]() -> aio::task<> {
    self = green::getcurrent();
    co_await other;
  };
  auto future = aio::create_task(body());
  green::sleep(0.001);
  self.kill();
  CHECK_THROWS_AS(green::awaitlet(future), green::GreenletExit);
  CHECK(other.dead());
}

TEST_CASE("who is killed in wait leaves the other alone, in awaitlet takes it along") {
  auto other = green::spawn([] {
    green::sleep(0.01);
    return 1;
  });
  auto waits = green::spawn([&] { other.wait(); });
  green::sleep(0);
  waits.kill();
  CHECK(waits.dead());
  CHECK_FALSE(other.dead());
  auto awaits = green::spawn([&] { green::awaitlet(other); });
  green::sleep(0);
  awaits.kill();
  CHECK_THROWS_AS(awaits.wait(), green::GreenletExit);
  CHECK_THROWS_AS(other.wait(), green::GreenletExit);
}

TEST_CASE("a Shield in a coroutine: the kill waits, and comes as CancelledError after it") {
  test::Log log;
  auto body = [&]() -> aio::task<> {
    {
      const green::Shield shield;
      co_await aio::sleep(0.005);
      green::sleep(0.001);
      log("shielded");
    }
    log(co_await what_it_sees(100));
  };
  auto victim = green::spawn([&] { green::awaitlet(body()); });
  green::sleep(0);
  victim.kill();
  CHECK_FALSE(victim.dead());
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "shielded cancelled");
}

TEST_CASE("a Shield in a task delays its cancel; nested ones count") {
  test::Log log;
  auto body = [&]() -> aio::task<> {
    {
      const green::Shield outer;
      {
        const green::Shield inner;
        co_await aio::sleep(0.001);
      }
      co_await aio::sleep(0.001);
      log("shielded");
    }
    co_await aio::sleep(100);
  };
  auto future = aio::create_task(body());
  green::sleep(0);
  CHECK(future.cancel());
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(log.text() == "shielded");
}

TEST_CASE("a kill that comes while a coroutine unwinds waits until that is over") {
  test::Log log;
  auto body = [&]() -> aio::task<> {
    const SlowEnd end{log, "end"};
    co_await aio::sleep(100);
  };
  auto victim = green::spawn([&] {
    try {
      green::awaitlet(body());
    } catch (const green::GreenletExit&) {
      log("first");
    }
    try {
      green::sleep(100);
    } catch (const green::GreenletExit&) {
      log("second");
    }
  });
  green::sleep(0);
  victim.kill();
  CHECK(log.text() == "end:begins");
  victim.kill();
  CHECK_FALSE(victim.dead());
  victim.wait();
  CHECK(log.text() == "end:begins end:ends first second");
}

TEST_CASE("in a handler nothing is being unwound: a second kill is thrown there") {
  test::Log log;
  auto victim = green::spawn([&] {
    try {
      green::sleep(100);
    } catch (const green::GreenletExit&) {
      try {
        green::sleep(100);
      } catch (const green::GreenletExit&) {
        log("second");
      }
      throw;
    }
  });
  green::sleep(0);
  victim.kill();
  CHECK_FALSE(victim.dead());
  victim.kill();
  CHECK(victim.dead());
  CHECK(log.text() == "second");
}

TEST_CASE("a victim that another killed while it cleans up awaits in its destructor") {
  test::Log log;
  struct AwaitsAtEnd {
    test::Log& log;
    ~AwaitsAtEnd() { log(green::awaitlet(what_it_sees(0.005))); }
  };
  auto victim = green::spawn([&] {
    const AwaitsAtEnd end{log};
    green::sleep(100);
  });
  green::sleep(0);
  victim.kill();
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "nothing");
}

TEST_CASE("who was woken and killed before it ran gets the kill, the others their wake-up") {
  green::Event<int> event;
  auto victim = green::spawn([&] { return event.wait(); });
  auto other = green::spawn([&] { return event.wait(); });
  green::sleep(0);
  event.send(4);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(other.wait() == 4);
}

TEST_CASE("who was served and killed before it ran keeps that, and is dead when kill returns") {
  test::Log log;
  green::LightQueue<int> queue(1);
  queue.put(1);
  auto victim = green::spawn([&] {
    queue.put(2);
    log("put");
    queue.put(3);
  });
  green::sleep(0);
  CHECK(queue.get() == 1);  // the victim's item is in, which cannot be taken back
  auto ready = green::spawn([&] { log("ready"); });
  victim.kill();
  CHECK(victim.dead());
  log("killer");
  CHECK(log.text() == "put ready killer");
  CHECK(queue.get() == 2);
  CHECK(queue.empty());
}

TEST_CASE("a task cancelled after what it awaits was set sees the cancel, and not the value") {
  auto future = aio::Future<int>::create();
  auto awaits = [](aio::Future<int> on) -> aio::task<int> { co_return co_await on; };
  auto task = aio::create_task(awaits(future));
  green::sleep(0);
  future.set_result(1);
  CHECK(task.cancel());
  CHECK_THROWS_AS(green::awaitlet(task), aio::CancelledError);
  CHECK(future.result() == 1);
}

TEST_CASE("a kill takes along a timer that was about to wake its victim") {
  const std::size_t timers = uvlet::Hub::get().stats().timers;
  auto victim = green::spawn([] { green::sleep(0.001); });
  green::sleep(0);
  victim.kill();
  CHECK(victim.dead());
  CHECK(uvlet::Hub::get().stats().timers == timers);
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
}

TEST_CASE("a kill through async_def ends the function first, then who waits") {
  test::Log log;
  auto victim = green::spawn([&] {
    watch(log, "outer", [&] {
      green::awaitlet(aio::async_def([&] {
        const Marker marker(log, "function");
        watch(log, "function", [] { green::sleep(100); });
      }));
    });
  });
  green::sleep(0.001);
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "function:exit ~function outer:exit");
}

TEST_CASE("many kills and cancels at once: each ends what it was made for") {
  test::Log log;
  auto future = aio::create_task(what_it_sees(100));
  auto first = green::spawn([&] { green::awaitlet(future); });
  auto second = green::spawn([&] { green::awaitlet(future); });
  green::sleep(0.001);
  first.kill();
  second.kill();
  future.cancel();
  CHECK_THROWS_AS(first.wait(), green::GreenletExit);
  CHECK_THROWS_AS(second.wait(), green::GreenletExit);
  CHECK(green::awaitlet(future) == "cancelled");
}

TEST_CASE("a killer that is killed by its victim") {
  green::Greenlet killer;
  auto victim = green::spawn([&] {
    try {
      green::sleep(100);
    } catch (const green::GreenletExit&) {
      killer.kill();
      throw;
    }
  });
  bool after = false;
  auto thread = green::spawn([&] {
    killer = green::getcurrent();
    victim.kill();
    after = true;
  });
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK_FALSE(after);
}

TEST_CASE("who was killed before it awaits leaves nobody behind that it awaits") {
  bool green_ended = false, task_ended = false;
  struct AtEnd {
    bool& ended;
    ~AtEnd() { ended = true; }
  };
  auto sleeps = [](bool& ended) -> aio::task<void> {
    const AtEnd at_end{ended};
    co_await aio::sleep(test::watchdog);
  };
  auto awaits_green = [](bool& ended) -> aio::task<void> {
    auto child = green::spawn([&ended] {
      const AtEnd at_end{ended};
      green::sleep(test::watchdog);
    });
    green::sleep(0);                               // it has begun
    green::getcurrent().identity()->root->kill();  // due at the next wait
    co_await std::move(child);
  };
  auto by_green = green::spawn([&] { green::awaitlet(awaits_green(green_ended)); });
  CHECK_THROWS_AS(by_green.wait(), green::GreenletExit);
  CHECK(green_ended);

  auto by_task = green::spawn([&] {
    auto future = aio::create_task(sleeps(task_ended));
    green::sleep(0);
    green::getcurrent().identity()->root->kill();
    green::awaitlet(future);
  });
  CHECK_THROWS_AS(by_task.wait(), green::GreenletExit);
  CHECK(task_ended);
}

TEST_CASE("a Timeout that is withdrawn while a wait ends later leaves its victim killable") {
  auto slow_to_end = [](green::Event<>& ended) {
    return green::spawn([&ended] {
      try {
        green::sleep(test::watchdog);
      } catch (const green::GreenletExit&) {
        green::sleep(0.002);  // takes its time
      }
      ended.send();
    });
  };
  green::Event<> ended;
  std::optional<green::Timeout> limit;
  auto victim = green::spawn([&] {
    auto awaits = [&](green::GreenThread<void> child) -> aio::task<void> {
      co_await std::move(child);
    };
    limit.emplace(0.001);
    try {
      green::awaitlet(awaits(slow_to_end(ended)));
    } catch (const uvlet::BaseException&) {
    }
    green::sleep(test::watchdog);
  });
  green::sleep(0.002);  // it has expired, and the child is ending
  limit.reset();
  ended.wait();
  green::sleep(0);
  victim.kill();
  CHECK(green::move_on_after(1, [&] { CHECK_THROWS_AS(victim.wait(), green::GreenletExit); }));
}

TEST_CASE("a second kill reaches what caught the first one") {
  int kills = 0;
  auto child = [&] {
    for (;;) {
      try {
        green::sleep(test::watchdog);
      } catch (const green::GreenletExit&) {
        if (++kills == 2) throw;
      }
    }
  };
  auto awaits = [&]() -> aio::task<void> {
    auto thread = green::spawn(child);
    co_await std::move(thread);
  };
  auto victim = green::spawn([&] { green::awaitlet(awaits()); });
  green::sleep(0);
  green::sleep(0);
  victim.kill();
  green::sleep(0);
  CHECK_FALSE(victim.dead());
  victim.kill();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(kills == 2);
}
