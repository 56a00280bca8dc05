// Interrupts on their way through alternating layers of green calls and coroutines.

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/event.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <stdexcept>

namespace {

using test::Log;

// Runs the body and notes what it ended with; passes it on.
template <class F>
auto noting(Log& log, std::string name, F body) {
  try {
    return body();
  } catch (const green::GreenletExit&) {
    log(name + ":exit");
    throw;
  } catch (const aio::CancelledError&) {
    log(name + ":cancelled");
    throw;
  } catch (const green::TimeoutExpired&) {
    log(name + ":expired");
    throw;
  } catch (const aio::TimeoutError&) {
    log(name + ":timeout");
    throw;
  } catch (const std::exception& error) {
    log(name + ":" + error.what());
    throw;
  }
}

aio::task<int> leaf_awaits(Log& log) {
  try {
    co_await aio::sleep(3600);
  } catch (const aio::CancelledError&) {
    log("leaf:cancelled");
    throw;
  } catch (const green::BaseException&) {
    log("leaf:other");
    throw;
  }
  co_return 1;
}
aio::task<int> leaf_blocks(Log& log) {
  co_return noting(log, "leaf", [] {
    green::sleep(3600);
    return 1;
  });
}
// A coroutine over a blocking call over a coroutine.
aio::task<int> middle(Log& log, std::function<aio::task<int>(Log&)> leaf) {
  co_return noting(log, "middle", [&] { return green::awaitlet(leaf(log)); });
}
aio::task<int> middle_awaits(Log& log, std::function<aio::task<int>(Log&)> leaf) {
  try {
    co_return co_await leaf(log);
  } catch (const aio::CancelledError&) {
    log("middle:cancelled");
    throw;
  } catch (const green::BaseException&) {
    log("middle:other");
    throw;
  }
}
int top(Log& log, aio::task<int> work) {
  return noting(log, "top", [&] { return green::awaitlet(std::move(work)); });
}

}  // namespace

TEST_CASE("a kill is CancelledError at the co_await, and itself at each blocking call above") {
  Log log;
  auto thread = green::spawn([&] { return top(log, middle(log, leaf_awaits)); });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "leaf:cancelled middle:exit top:exit");
}

TEST_CASE("a kill is itself at a blocking call inside a coroutine") {
  Log log;
  auto thread = green::spawn([&] { return top(log, middle(log, leaf_blocks)); });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "leaf:exit middle:exit top:exit");
}

TEST_CASE("between two coroutines a kill stays CancelledError") {
  Log log;
  auto thread = green::spawn([&] { return top(log, middle_awaits(log, leaf_awaits)); });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "leaf:cancelled middle:cancelled top:exit");
}

TEST_CASE("a kill with an exception of one's own goes the same way") {
  Log log;
  const test::Quiet quiet;
  auto thread = green::spawn([&] { return top(log, middle(log, leaf_awaits)); });
  green::sleep(0);
  thread.kill(std::runtime_error("stop"));
  CHECK_THROWS_WITH_AS(thread.wait(), "stop", std::runtime_error);
  CHECK(log.text() == "leaf:cancelled middle:stop top:stop");
}

TEST_CASE("the exception object of a kill is the one that arrives") {
  const auto error = std::make_exception_ptr(std::runtime_error("same"));
  const test::Quiet quiet;
  Log log;
  auto thread = green::spawn([&] { return top(log, leaf_awaits(log)); });
  green::sleep(0);
  thread.kill(error);
  try {
    thread.wait();
    FAIL("not reached");
  } catch (...) {
    CHECK(std::current_exception() == error);
  }
}

TEST_CASE("a cancelled top-level task is CancelledError at a wait and at a blocking call alike") {
  for (auto leaf : {leaf_awaits, leaf_blocks}) {
    Log log;
    auto future = aio::create_task(middle(log, leaf));
    green::sleep(0);
    future.cancel();
    CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
    CHECK(log.text() == "leaf:cancelled middle:cancelled");
  }
}

TEST_CASE("a Timeout made outside is a cancellation in the coroutine and itself above") {
  Log log;
  CHECK_THROWS_AS(green::with_timeout(0.005, [&] { top(log, middle_awaits(log, leaf_awaits)); }),
                  green::TimeoutExpired);
  CHECK(log.text() == "leaf:cancelled middle:cancelled top:expired");
}

TEST_CASE("a Timeout made in the middle is a cancellation below it only") {
  Log log;
  auto limited = [](Log& to) -> aio::task<int> {
    try {
      co_return green::with_timeout(0.005, [&] { return green::awaitlet(leaf_awaits(to)); });
    } catch (const green::TimeoutExpired&) {
      to("limited:expired");
    }
    co_return co_await aio::sleep(0.001, 7);
  };
  CHECK(top(log, limited(log)) == 7);
  CHECK(log.text() == "leaf:cancelled limited:expired");
}

TEST_CASE("what a coroutine makes of a cancellation does not keep the kill from its caller") {
  Log log;
  auto swallows = [](Log& to) -> aio::task<int> {
    try {
      co_await aio::sleep(3600);
    } catch (const aio::CancelledError&) {
      to("swallowed");
    }
    co_await aio::sleep(0.001);
    to("went on");
    co_return 5;
  };
  auto thread = green::spawn([&] { return top(log, swallows(log)); });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "swallowed went on top:exit");
}

TEST_CASE("nor does another exception") {
  Log log;
  auto replaces = [](Log& to) -> aio::task<int> {
    try {
      co_await aio::sleep(3600);
    } catch (const aio::CancelledError&) {
      to("replaced");
      throw std::runtime_error("cleanup");
    }
    co_return 0;
  };
  auto thread = green::spawn([&] { return top(log, replaces(log)); });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "replaced top:exit");
}

TEST_CASE("a victim may catch the kill above its coroutines and await again") {
  auto thread = green::spawn([] {
    Log log;
    int kills = 0;
    for (int i = 0; i < 3; ++i) {
      try {
        green::awaitlet(middle(log, leaf_awaits));
      } catch (const green::GreenletExit&) {
        ++kills;
      }
    }
    return kills + green::awaitlet(aio::sleep(0.001, 10));
  });
  green::sleep(0);
  for (int i = 0; i < 3; ++i) thread.kill();
  CHECK(thread.wait() == 13);
}

TEST_CASE("a killed green thread that drives wait_for is cancelled inside it") {
  Log log;
  auto limited = [](Log& to) -> aio::task<int> {
    try {
      co_return co_await aio::wait_for(leaf_awaits(to), 3600);
    } catch (const aio::CancelledError&) {
      to("limited:cancelled");
      throw;
    } catch (const green::GreenletExit&) {
      to("limited:exit");
      throw;
    }
  };
  auto thread = green::spawn([&] { return top(log, limited(log)); });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "leaf:cancelled limited:cancelled top:exit");
}

TEST_CASE("cancelling a task that waits for async_def kills the function and cancels the task") {
  Log log;
  auto function = [&log] {
    noting(log, "function", [] {
      green::sleep(3600);
      return 1;
    });
  };
  auto body = [&](Log& to) -> aio::task<> {
    auto call = aio::async_def(function);
    try {
      co_await std::move(call);
    } catch (const aio::CancelledError&) {
      to("task:cancelled");
      throw;
    }
  };
  auto future = aio::create_task(body(log));
  green::sleep(0.001);
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(log.text() == "function:exit task:cancelled");
}

TEST_CASE("a killed green thread that awaits a task's Future cancels that task") {
  Log log;
  auto future = aio::create_task(leaf_awaits(log));
  auto thread =
      green::spawn([&] { return noting(log, "awaiter", [&] { return green::awaitlet(future); }); });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(future.cancelled());
  CHECK(log.text() == "leaf:cancelled awaiter:exit");
}

TEST_CASE("a coroutine that awaits a killed green thread gets CancelledError, wait_async itself") {
  auto victim = green::spawn([] { green::sleep(3600); });
  auto awaits = [](green::GreenThread<void> on, Log& to) -> aio::task<> {
    try {
      co_await on;
    } catch (const aio::CancelledError&) {
      to("await:cancelled");
    }
    try {
      co_await on.wait_async();
    } catch (const green::GreenletExit&) {
      to("wait:exit");
    }
  };
  Log log;
  auto future = aio::create_task(awaits(victim, log));
  green::sleep(0);
  victim.kill();
  green::awaitlet(future);
  CHECK(log.text() == "await:cancelled wait:exit");
}

TEST_CASE("cancelling who waits with wait_async leaves the green thread alone") {
  auto target = green::spawn([] {
    green::sleep(0.01);
    return 4;
  });
  auto waits = [](green::GreenThread<int> on) -> aio::task<int> {
    co_return co_await on.wait_async();
  };
  auto future = aio::create_task(waits(target));
  green::sleep(0);
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(target.wait() == 4);
}

TEST_CASE("spawn_for_awaitable: a kill with any exception cancels the task") {
  const test::Quiet quiet;
  for (const bool custom : {false, true}) {
    Log log;
    auto thread = green::spawn_for_awaitable(leaf_awaits(log));
    green::sleep(0);
    if (custom)
      thread.kill(std::runtime_error("own"));
    else
      thread.kill();
    if (custom)
      CHECK_THROWS_WITH_AS(thread.wait(), "own", std::runtime_error);
    else
      CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
    CHECK(log.text() == "leaf:cancelled");
  }
}

TEST_CASE("spawn_for_awaitable: killed before it starts, it cancels the Future all the same") {
  auto future = aio::Future<int>::create();
  auto thread = green::spawn_for_awaitable(future);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(future.cancelled());
}

TEST_CASE("three nested Timeouts fire in every order, each caught where it was made") {
  std::array<int, 3> order{0, 1, 2};
  do {
    // limits[i]: how soon the Timeout of layer i fires; layer 0 is the outermost.
    std::array<double, 3> limits{};
    for (int rank = 0; rank < 3; ++rank)
      limits[static_cast<std::size_t>(order[static_cast<std::size_t>(rank)])] =
          rank == 0 ? 0.002 : 3600;
    std::string caught;
    const green::Timeout outer(limits[0]);
    try {
      auto body = [&]() -> aio::task<> {
        const green::Timeout between(limits[1]);
        try {
          const green::Timeout inner(limits[2]);
          try {
            co_await aio::sleep(7200);
          } catch (const green::TimeoutExpired& expired) {
            if (!expired.is(inner)) throw;
            caught = "inner";
          }
        } catch (const green::TimeoutExpired& expired) {
          if (!expired.is(between)) throw;
          caught = "between";
        }
      };
      green::awaitlet(body());
    } catch (const green::TimeoutExpired& expired) {
      if (!expired.is(outer)) throw;
      caught = "outer";
    }
    const std::array<const char*, 3> names{"outer", "between", "inner"};
    CHECK(caught == names[static_cast<std::size_t>(order[0])]);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("a kill waits for a Shield in a coroutine, and arrives at the first wait after it") {
  Log log;
  auto guarded = [](Log& to) -> aio::task<int> {
    {
      const green::Shield shield;
      co_await aio::sleep(0.01);
      to("shielded");
    }
    co_await aio::sleep(3600);
    to("never");
    co_return 1;
  };
  auto thread = green::spawn([&] { return top(log, guarded(log)); });
  green::sleep(0);
  thread.kill();  // only asks
  CHECK(!thread.dead());
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "shielded top:exit");
}

TEST_CASE("a second kill while the first unwinds does not cut the cleaning short") {
  Log log;
  struct Cleaning {
    Log& log;
    ~Cleaning() {
      green::awaitlet(aio::sleep(0.01));
      log("cleaned");
    }
  };
  auto thread = green::spawn([&] {
    const Cleaning cleaning{log};
    Log ignored;
    green::awaitlet(leaf_awaits(ignored));
  });
  green::sleep(0);
  thread.kill();
  CHECK(!thread.dead());
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "cleaned");
}

TEST_CASE("who is killed and woken in the same turn ends, and leaves the Event whole") {
  for (const bool send_first : {true, false}) {
    green::Event<int> event;
    auto first = green::spawn([&] { return event.wait(); });
    auto second = green::spawn([&] { return event.wait(); });
    green::sleep(0);
    if (send_first) event.send(3);
    first.kill();
    if (!send_first) event.send(3);
    CHECK(second.wait() == 3);
    CHECK(event.wait() == 3);
    int value = 3;
    try {
      value = first.wait();
    } catch (const green::GreenletExit&) {
    }
    CHECK(value == 3);
    CHECK(first.dead());
  }
}

TEST_CASE("locals of all layers are destroyed innermost first") {
  Log log;
  struct Note {
    Log& log;
    const char* name;
    ~Note() { log(name); }
  };
  auto inner = [](Log& to) -> aio::task<> {
    const Note note{to, "inner-task"};
    co_await aio::sleep(3600);
  };
  auto outer = [&](Log& to) -> aio::task<> {
    const Note note{to, "outer-task"};
    [&] {
      const Note blocking{to, "blocking"};
      green::awaitlet(inner(to));
    }();
    co_return;
  };
  auto thread = green::spawn([&] {
    const Note note{log, "thread"};
    green::awaitlet(outer(log));
  });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "inner-task blocking outer-task thread");
}
