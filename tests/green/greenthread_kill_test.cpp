#include <green/greenthread.hpp>

#include "sleeper.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

using green::GreenletExit;

using test::Failure;
using test::sleeper;

struct NotStandard {
  int value;
};

green::GreenThread<void> parked() {
  auto thread = sleeper();
  green::sleep(0);
  return thread;
}

}  // namespace

// --- kill ----------------------------------------------------------------------------------------

TEST_CASE("kill throws GreenletExit where the victim waits, and unwinds it") {
  int alive = 0;
  test::Log log;
  auto thread = green::spawn([&] {
    const test::Counted counted(alive);
    try {
      green::sleep(test::watchdog);
    } catch (const GreenletExit&) {
      log("exit");
      throw;
    }
  });
  green::sleep(0);
  CHECK(alive == 1);
  thread.kill();
  CHECK(log.text() == "exit");
  CHECK(alive == 0);
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
}

TEST_CASE("kill with an exception throws that one") {
  const test::Quiet quiet;
  auto a = sleeper();
  auto b = sleeper();
  auto c = sleeper();
  green::sleep(0);
  a.kill(Failure("member"));
  green::kill(b, Failure("function"));
  green::kill(c);
  CHECK_THROWS_WITH_AS(a.wait(), "member", Failure);
  CHECK_THROWS_WITH_AS(b.wait(), "function", Failure);
  CHECK_THROWS_AS(c.wait(), GreenletExit);
}

TEST_CASE("on kill the victim runs first, then what was ready, then the killer") {
  test::Log log;
  auto victim = green::spawn([&] {
    try {
      green::sleep(test::watchdog);
    } catch (const GreenletExit&) {
      log("victim");
    }
  });
  green::sleep(0);
  green::spawn([&] { log("ready"); });
  victim.kill();
  log("killer");
  CHECK(log.text() == "victim ready killer");
}

TEST_CASE("kill of one that has not started: the body never runs, links do, wait throws") {
  bool ran = false;
  test::Log log;
  auto thread = green::spawn([&] { ran = true; });
  thread.link([&](green::GreenThread<void> ended) { log(ended.dead() ? "link" : "alive"); });
  thread.kill();
  CHECK_FALSE(ran);
  CHECK(thread.dead());
  CHECK_FALSE(thread.started());
  CHECK(log.text() == "link");
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
}

TEST_CASE("kill of one that has not started with an exception: wait throws that") {
  const test::Quiet quiet;
  auto thread = green::spawn([] {});
  thread.kill(Failure("early"));
  CHECK_THROWS_WITH_AS(thread.wait(), "early", Failure);
}

TEST_CASE("the captures of one that never started are freed") {
  int alive = 0;
  auto thread = green::spawn([counted = test::Counted(alive)] {});
  CHECK(alive == 1);
  thread.kill();
  CHECK(alive == 0);
  const green::Greenlet plain = green::spawn_n([counted = test::Counted(alive)] {});
  plain.kill();
  CHECK(alive == 0);
  CHECK(plain.dead());
}

TEST_CASE("kill of a dead one does nothing") {
  auto thread = green::spawn([] { return 3; });
  thread.wait();
  thread.kill();
  thread.kill(Failure("late"));
  green::kill(thread);
  CHECK(thread.wait() == 3);
}

TEST_CASE("kill of oneself throws at the call") {
  test::Log log;
  auto thread = green::spawn([&] {
    try {
      green::getcurrent().kill();
      log("after");
    } catch (const GreenletExit&) {
      log("caught");
      throw;
    }
  });
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
  CHECK(log.text() == "caught");
  CHECK_THROWS_AS(green::getcurrent().kill(), GreenletExit);  // main can, too
  CHECK_THROWS_WITH_AS(green::kill(green::getcurrent(), Failure("self")), "self", Failure);
}

TEST_CASE("a victim may catch its kill, return a result, or wait again") {
  auto thread = green::spawn([] {
    try {
      green::sleep(test::watchdog);
    } catch (const GreenletExit&) {
    }
    green::sleep(0.001);  // not killed a second time
    return 5;
  });
  green::sleep(0);
  thread.kill();
  CHECK_FALSE(thread.dead());
  CHECK(thread.wait() == 5);
}

TEST_CASE("each kill is delivered once") {
  int caught = 0;
  auto thread = green::spawn([&] {
    for (int i = 0; i < 3; ++i) try {
        green::sleep(test::watchdog);
      } catch (const GreenletExit&) {
        ++caught;
      }
  });
  green::sleep(0);
  for (int i = 0; i < 3; ++i) {
    CHECK(caught == i);
    thread.kill();
  }
  thread.wait();
  CHECK(caught == 3);
}

TEST_CASE("two kills of two killers are both delivered") {
  int kills = 0;
  auto thread = green::spawn([&] {
    while (kills < 2) try {
        green::sleep(test::watchdog);
      } catch (const GreenletExit&) {
        ++kills;
      }
  });
  green::sleep(0);
  auto a = green::spawn([&] { thread.kill(); });
  auto b = green::spawn([&] { thread.kill(); });
  a.wait();
  b.wait();
  CHECK(kills == 2);
  CHECK(thread.dead());
}

TEST_CASE("kills that wait for the end of a Shield count as one") {
  int kills = 0;
  green::Event<> go;
  auto thread = green::spawn([&] {
    {
      const green::Shield shield;
      go.wait();
    }
    for (int i = 0; i < 3; ++i) try {
        green::sleep(0);
      } catch (const GreenletExit&) {
        ++kills;
      }
  });
  green::sleep(0);
  thread.kill();
  thread.kill();
  go.send();
  thread.wait();
  CHECK(kills == 1);
}

TEST_CASE("a victim that was woken and has not run since is killed at that wait") {
  green::Event<int> event;
  int got = 0;
  auto thread = green::spawn([&] {
    got = event.wait();
    green::sleep(test::watchdog);
  });
  green::sleep(0);
  event.send(1);
  thread.kill();
  CHECK(thread.dead());
  CHECK(got == 0);
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
}

TEST_CASE("a kill in a yield is thrown there") {
  test::Log log;
  auto thread = green::spawn([&] {
    try {
      for (;;) green::sleep(0);
    } catch (const GreenletExit&) {
      log("killed");
    }
  });
  green::sleep(0);
  thread.kill();
  CHECK(log.text() == "killed");
  thread.wait();
}

TEST_CASE("destructors of a killed green thread may block") {
  test::Log log;
  struct Closing {
    ~Closing() {
      green::sleep(0.001);
      (*log)("closed");
    }
    test::Log* log;
  };
  auto thread = green::spawn([&] {
    const Closing closing{&log};
    green::sleep(test::watchdog);
  });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
  CHECK(log.text() == "closed");
}

TEST_CASE("a kill that comes while a destructor runs during unwinding waits for it") {
  test::Log log;
  struct Closing {
    ~Closing() {
      green::sleep(0.005);
      (*log)("closed");
    }
    test::Log* log;
  };
  const test::Quiet quiet;
  auto thread = green::spawn([&] {
    try {
      const Closing closing{&log};
      throw Failure("first");
    } catch (const Failure&) {
      log("caught");
    }
    green::sleep(test::watchdog);
  });
  green::sleep(0);
  thread.kill();  // returns meanwhile
  CHECK(log.text().empty());
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
  CHECK(log.text() == "closed caught");
}

TEST_CASE("a waiter that is killed leaves its target alone") {
  auto target = green::spawn([] {
    green::sleep(0.005);
    return 8;
  });
  auto waiter = green::spawn([&] { return target.wait(); });
  auto other = green::spawn([&] { return target.wait(); });
  green::sleep(0);
  waiter.kill();
  CHECK_THROWS_AS(waiter.wait(), GreenletExit);
  CHECK_FALSE(target.dead());
  CHECK(other.wait() == 8);
  CHECK(target.wait() == 8);
}

TEST_CASE("a green thread may kill the one that kills it") {
  green::GreenThread<void> a;
  green::GreenThread<void> b;
  a = green::spawn([&] {
    try {
      green::sleep(test::watchdog);
    } catch (const GreenletExit&) {
      b.kill();
    }
  });
  b = green::spawn([&] {
    a.kill();
    green::sleep(test::watchdog);
  });
  CHECK_THROWS_AS(b.wait(), GreenletExit);
  a.wait();
  CHECK(a.dead());
}

TEST_CASE("main can be killed by a green thread, and goes on") {
  const green::Greenlet self = green::getcurrent();
  auto killer = green::spawn([self] { self.kill(Failure("to main")); });
  CHECK_THROWS_WITH_AS(green::sleep(test::watchdog), "to main", Failure);
  killer.wait();
  green::sleep(0);
}

// --- cancel --------------------------------------------------------------------------------------

TEST_CASE("cancel ends what has not started, and nothing else") {
  bool ran = false;
  auto early = green::spawn([&] { ran = true; });
  early.cancel();
  CHECK_FALSE(ran);
  CHECK(early.dead());
  CHECK_THROWS_AS(early.wait(), GreenletExit);

  auto running = green::spawn([] {
    green::sleep(0.001);
    return 4;
  });
  green::sleep(0);
  running.cancel();
  running.cancel(Failure("no effect"));
  CHECK(running.wait() == 4);
  running.cancel();
}

TEST_CASE("cancel takes an exception as kill does") {
  const test::Quiet quiet;
  auto thread = green::spawn_after(test::watchdog, [] {});
  thread.cancel(Failure("cancelled"));
  CHECK_THROWS_WITH_AS(thread.wait(), "cancelled", Failure);
}

// --- in other places -----------------------------------------------------------------------------

TEST_CASE("ten levels of green threads that wait for each other unwind from a kill of the first") {
  int alive = 0;
  std::function<void(int)> nest = [&](int depth) {
    const test::Counted counted(alive);
    if (depth == 0) green::sleep(test::watchdog);
    auto child = green::spawn(nest, depth - 1);
    try {
      child.wait();
    } catch (const GreenletExit&) {
      child.kill();
      throw;
    }
  };
  auto top = green::spawn(nest, 10);
  while (alive < 11) green::sleep(0);
  top.kill();
  CHECK_THROWS_AS(top.wait(), GreenletExit);
  CHECK(alive == 0);
}

TEST_CASE("a kill takes an exception_ptr for what it holds; a null one is an invalid argument") {
  const test::Quiet quiet;
  auto thread = parked();
  CHECK_THROWS_AS(thread.kill(std::exception_ptr()), std::invalid_argument);
  CHECK_FALSE(thread.dead());
  green::kill(thread, std::make_exception_ptr(std::domain_error("held")));
  CHECK_THROWS_WITH_AS(thread.wait(), "held", std::domain_error);
}

TEST_CASE("a kill with an exception that is not standard") {
  const test::Quiet quiet;
  auto thread = parked();
  thread.kill(NotStandard{4});
  CHECK_THROWS_AS(thread.wait(), NotStandard);
  auto unstarted = green::spawn([] {});
  unstarted.kill(NotStandard{5});
  CHECK_THROWS_AS(unstarted.wait(), NotStandard);
}

TEST_CASE("killing who joins another, in a chain, kills that one alone") {
  auto last = parked();
  auto middle = green::spawn([&] { last.wait(); });
  auto first = green::spawn([&] { middle.wait(); });
  green::sleep(0);
  middle.kill();
  CHECK_THROWS_AS(middle.wait(), green::GreenletExit);
  CHECK_FALSE(last.dead());
  CHECK_THROWS_AS(first.wait(), green::GreenletExit);  // the result of `middle`
  last.kill();
}

TEST_CASE("a killer that is killed while its victim runs") {
  test::Log log;
  green::Greenlet killer;
  auto victim = green::spawn([&] {
    try {
      green::sleep(test::watchdog);
    } catch (const green::GreenletExit&) {
      killer.kill();
      log("victim");
      throw;
    }
  });
  green::sleep(0);
  auto thread = green::spawn([&] {
    killer = green::getcurrent();
    victim.kill();
    log("killer went on");
  });
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "victim");
}

TEST_CASE("a kill of a task's green::Greenlet cancels it with that exception") {
  green::Greenlet task;
  auto sleeps = [](green::Greenlet& self) -> aio::task<void> {
    self = green::getcurrent();
    co_await aio::sleep(test::watchdog);
  };
  auto future = aio::create_task(sleeps(task));
  green::sleep(0.001);
  task.kill();
  CHECK_THROWS_AS(green::awaitlet(future), green::GreenletExit);
  auto second = aio::create_task(sleeps(task));
  green::sleep(0.001);
  task.kill(std::runtime_error("why"));
  CHECK_THROWS_WITH_AS(green::awaitlet(second), "why", std::runtime_error);
}

TEST_CASE("random kills over spawned, waiting and joined ones leave nothing behind") {
  const test::Quiet quiet;
  int alive = 0;
  unsigned seed = 4711;
  auto random = [&](unsigned below) { return (seed = seed * 1103515245 + 12345) / 65536 % below; };
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 1000; ++i) {
    const unsigned kind = random(3);
    const green::GreenThread<void> joined =
        threads.empty() ? green::GreenThread<void>()
                        : threads[random(static_cast<unsigned>(threads.size()))];
    threads.push_back(green::spawn([&alive, kind, joined, held = test::Counted(alive)] {
      const test::Counted counted(alive);
      if (kind == 0) green::sleep(0);
      if (kind == 1) green::sleep(0.001);
      if (kind == 2 && joined.id()) joined.wait();
    }));
    if (random(4) == 0) green::sleep(0);
    if (random(2) == 0) threads[random(static_cast<unsigned>(threads.size()))].kill();
  }
  for (auto& thread : threads) try {
      thread.wait();
    } catch (const green::GreenletExit&) {
    }
  CHECK(alive == 0);
}

TEST_CASE("a green thread that survives the kill of its awaiter still cancels that") {
  auto stubborn = []() -> aio::task<int> {
    auto thread = green::spawn([] {
      try {
        green::sleep(test::watchdog);
      } catch (const green::GreenletExit&) {
      }
      return 5;
    });
    co_return co_await thread;
  };
  auto future = aio::create_task(stubborn());
  green::sleep(0.001);
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
}
