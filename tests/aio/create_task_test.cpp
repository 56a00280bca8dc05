#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/sleep.hpp>

#include <green/awaitlet.hpp>
#include <green/timeout.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using test::Counted;
using test::Log;

aio::task<int> note(Log& log, std::string entry) {
  log(std::move(entry));
  co_return 1;
}
aio::task<> forever() { co_await aio::sleep(uvlet::Duration::forever()); }

}  // namespace

TEST_CASE("create_task schedules: it starts on the next turn, in order") {
  Log log;
  auto first = aio::create_task(note(log, "a"));
  auto second = aio::create_task(note(log, "b"));
  log("made");
  green::awaitlet(second);
  CHECK(log.text() == "made a b");
  CHECK(first.result() == 1);
}

TEST_CASE("a task runs on when all handles are dropped") {
  Log log;
  auto slow = [](Log& to) -> aio::task<> {
    co_await aio::sleep(0.001);
    to("done");
  };
  (void)aio::create_task(slow(log));
  green::sleep(0.02);
  CHECK(log.text() == "done");
}

TEST_CASE("a task cancelled before it starts never runs, and frees what it holds") {
  int alive = 0;
  bool ran = false;
  auto body = [](bool& flag, Counted) -> aio::task<> {
    flag = true;
    co_return;
  };
  auto future = aio::create_task(body(ran, Counted(alive)));
  CHECK(alive == 1);
  CHECK(future.cancel());
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(future.cancelled());
  CHECK(!ran);
  CHECK(alive == 0);
}

TEST_CASE("cancel only asks: the coroutine gets CancelledError on the next turn") {
  Log log;
  auto body = [](Log& to) -> aio::task<> {
    try {
      co_await aio::sleep(uvlet::Duration::forever());
    } catch (const aio::CancelledError&) {
      to("cancelled");
      throw;
    }
  };
  auto future = aio::create_task(body(log));
  green::sleep(0);
  CHECK(future.cancel());
  CHECK(!future.done());
  CHECK(log.text() == "");
  green::sleep(0);
  CHECK(future.done());
  CHECK(future.cancelled());
  CHECK(log.text() == "cancelled");
}

TEST_CASE("a task that catches its cancellation goes on and has a result") {
  auto stubborn = []() -> aio::task<int> {
    int caught = 0;
    for (int i = 0; i < 2; ++i) {
      try {
        co_await aio::sleep(uvlet::Duration::forever());
      } catch (const aio::CancelledError&) {
        ++caught;
      }
    }
    co_await aio::sleep(0.001);
    co_return caught;
  };
  auto future = aio::create_task(stubborn());
  green::sleep(0);
  future.cancel();
  green::sleep(0);
  CHECK(!future.done());
  future.cancel();
  CHECK(green::awaitlet(future) == 2);
  CHECK(!future.cancelled());
}

TEST_CASE("catch of std::exception does not swallow a cancel") {
  bool swallowed = false;
  auto body = [](bool& flag) -> aio::task<> {
    try {
      co_await forever();
    } catch (const std::exception&) {
      flag = true;
    }
  };
  auto future = aio::create_task(body(swallowed));
  green::sleep(0);
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(!swallowed);
}

TEST_CASE("a cancel that comes after the last wait is too late") {
  auto body = []() -> aio::task<int> {
    co_await aio::sleep(0);
    co_return 3;
  };
  auto future = aio::create_task(body());
  CHECK(green::awaitlet(future) == 3);
  CHECK(!future.cancel());
  CHECK(future.result() == 3);
}

TEST_CASE("an exception that replaces the CancelledError is what the Future ends with") {
  auto body = []() -> aio::task<> {
    try {
      co_await forever();
    } catch (const aio::CancelledError&) {
      throw std::runtime_error("cleanup failed");
    }
  };
  auto future = aio::create_task(body());
  green::sleep(0);
  future.cancel();
  CHECK_THROWS_WITH_AS(green::awaitlet(future), "cleanup failed", std::runtime_error);
  CHECK(!future.cancelled());
}

TEST_CASE("a task has the name it was given, and is a Greenlet of its own") {
  std::uint64_t inside = 0;
  std::string name;
  auto body = [](std::uint64_t& id, std::string& named) -> aio::task<> {
    id = green::getcurrent().id();
    named = green::getcurrent().name();
    co_return;
  };
  auto future = aio::create_task(body(inside, name), "worker");
  CHECK(future.name() == "worker");
  green::awaitlet(future);
  CHECK(inside != green::getcurrent().id());
  CHECK(inside != 0);
  CHECK(name == "worker");
}

TEST_CASE("coroutines that a task awaits share its Greenlet") {
  auto current = []() -> aio::task<std::uint64_t> { co_return green::getcurrent().id(); };
  auto body = [&]() -> aio::task<bool> {
    co_return co_await current() == green::getcurrent().id();
  };
  CHECK(green::awaitlet(aio::create_task(body())));
  // Under awaitlet the coroutine is part of the green thread that waits.
  CHECK(green::awaitlet(current()) == green::getcurrent().id());
}

TEST_CASE("killing a top-level task cancels it with that exception") {
  green::Greenlet self;
  Log log;
  auto body = [](green::Greenlet& me, Log& to) -> aio::task<> {
    me = green::getcurrent();
    try {
      co_await forever();
    } catch (const green::GreenletExit&) {
      to("exit");
      throw;
    }
  };
  auto future = aio::create_task(body(self, log));
  green::sleep(0);
  self.kill();
  CHECK_THROWS_AS(green::awaitlet(future), green::GreenletExit);
  CHECK(log.text() == "exit");
  CHECK(self.dead());
}

TEST_CASE("killing a top-level task with an exception of one's own ends its Future with it") {
  green::Greenlet self;
  auto body = [](green::Greenlet& me) -> aio::task<> {
    me = green::getcurrent();
    co_await forever();
  };
  auto future = aio::create_task(body(self));
  green::sleep(0);
  green::kill(self, std::runtime_error("stop"));
  CHECK_THROWS_WITH_AS(green::awaitlet(future), "stop", std::runtime_error);
  CHECK(!future.cancelled());
}

TEST_CASE("a task that cancels itself sees it at its next wait") {
  aio::Future<> self;
  Log log;
  auto body = [](aio::Future<>& me, Log& to) -> aio::task<> {
    me.cancel();
    to("asked");
    co_await aio::sleep(0);
    to("never");
  };
  self = aio::create_task(body(self, log));
  CHECK_THROWS_AS(green::awaitlet(self), aio::CancelledError);
  CHECK(log.text() == "asked");
}

TEST_CASE("create_task takes a Future, a GreenThread and an operation") {
  auto future = aio::Future<int>::create();
  auto from_future = aio::create_task(future);
  auto from_thread = aio::create_task(green::spawn([] { return 2; }));
  auto from_operation = aio::create_task(aio::sleep(0.001, std::string("three")));
  future.set_result(1);
  CHECK(green::awaitlet(from_future) == 1);
  CHECK(green::awaitlet(from_thread) == 2);
  CHECK(green::awaitlet(from_operation) == "three");
}

TEST_CASE("ensure_future gives a Future back as it is, and makes a task of others") {
  auto future = aio::Future<int>::create();
  aio::Future<int> same = aio::ensure_future(future);
  same.set_result(1);
  CHECK(future.result() == 1);
  auto number = []() -> aio::task<int> { co_return 2; };
  CHECK(green::awaitlet(aio::ensure_future(number())) == 2);
  CHECK(green::awaitlet(aio::ensure_future(green::spawn([] { return 3; }))) == 3);
  green::awaitlet(aio::ensure_future(aio::sleep(0)));
}

TEST_CASE("run takes any awaitable of ours") {
  CHECK(aio::run(aio::sleep(0, 4)) == 4);
  CHECK(aio::run(green::spawn([] { return 5; })) == 5);
  auto future = aio::Future<int>::create();
  future.set_result(6);
  CHECK(aio::run(future) == 6);
  aio::run(aio::sleep(0));
}

TEST_CASE("a move-only result is awaited once, by its only handle") {
  auto box = []() -> aio::task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
  CHECK(*green::awaitlet(aio::create_task(box())) == 7);
  auto in_coroutine = [&]() -> aio::task<int> {
    auto future = aio::create_task(box());
    auto value = co_await std::move(future);
    co_return *value;
  };
  CHECK(aio::run(in_coroutine()) == 7);
}

TEST_CASE("five thousand tasks that await each other are cancelled without recursion") {
  auto link = [](aio::Future<> next) -> aio::task<> { co_await next; };
  auto last = aio::create_task(forever());
  std::vector<aio::Future<>> chain{last};
  for (int i = 0; i < 5000; ++i) chain.push_back(aio::create_task(link(chain.back())));
  green::sleep(0);
  chain.back().cancel();
  CHECK_THROWS_AS(green::awaitlet(chain.back()), aio::CancelledError);
  for (const auto& one : chain) REQUIRE(one.cancelled());
}

TEST_CASE("ten thousand tasks are alive at once") {
  int alive = 0, most = 0;
  auto body = [](int& now, int& top) -> aio::task<> {
    if (++now > top) top = now;
    co_await aio::sleep(0.001);
    --now;
  };
  std::vector<aio::Future<>> all;
  for (int i = 0; i < 10'000; ++i) all.push_back(aio::create_task(body(alive, most)));
  for (auto& one : all) green::awaitlet(one);
  CHECK(most == 10'000);
  CHECK(alive == 0);
}

TEST_CASE("a Timeout made inside a task throws at the task's own wait") {
  auto body = []() -> aio::task<bool> {
    const green::Timeout timeout(0.001);
    try {
      co_await forever();
    } catch (const green::TimeoutExpired& expired) {
      co_return expired.is(timeout);
    }
    co_return false;
  };
  CHECK(aio::run(body()));
  CHECK(green::awaitlet(body()));
}

TEST_CASE("cancels before the first is thrown are thrown as one, a later one anew") {
  int delivered = 0;
  auto patient = [](int& count) -> aio::task<int> {
    for (;;) {
      try {
        co_await aio::sleep(count < 2 ? 100 : 0.001);
        co_return count;
      } catch (const aio::CancelledError&) {
        ++count;
      }
    }
  };
  auto task = aio::create_task(patient(delivered));
  green::sleep(0);
  for (int i = 0; i < 3; ++i) CHECK(task.cancel());
  green::sleep(0);
  CHECK(delivered == 1);
  CHECK(task.cancel());
  CHECK(green::awaitlet(task) == 2);
}

TEST_CASE("a task that awaits itself is told so") {
  aio::Future<int> itself;
  itself = aio::create_task([](aio::Future<int>& own) -> aio::task<int> {
    own.set_name("narcissus");
    co_return co_await own;
  }(itself));
  std::string text;
  try {
    green::awaitlet(itself);
  } catch (const std::logic_error& error) {
    text = error.what();
  }
  CHECK(text == "'narcissus' awaits itself");
}

TEST_CASE("tasks that await each other in a circle end when one is cancelled") {
  constexpr std::size_t count = 3;
  std::vector<aio::Future<int>> circle(count);
  auto awaits = [](std::vector<aio::Future<int>>& all, std::size_t next) -> aio::task<int> {
    co_return co_await all[next];
  };
  const auto close = [&] {
    for (std::size_t i = 0; i < count; ++i)
      circle[i] = aio::create_task(awaits(circle, (i + 1) % count));
    green::sleep(0);
  };
  close();
  CHECK(circle[1].cancel());
  for (const auto& task : circle) CHECK_THROWS_AS(green::awaitlet(task), aio::CancelledError);
  close();
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { green::awaitlet(circle[0]); }),
                  green::TimeoutExpired);
  for (const auto& task : circle) CHECK(task.cancelled());
  close();
  CHECK_THROWS_AS(green::awaitlet(circle[2]), uvlet::Deadlock);
}

TEST_CASE("a task of a circle that is itself killed, or out of time, ends with that") {
  for (const bool kill : {true, false}) {
    aio::Future<int> outer;
    green::Greenlet victim;
    auto inner = aio::create_task(
        [](aio::Future<int>& other) -> aio::task<int> { co_return co_await other; }(outer));
    outer = aio::create_task(
        [](aio::Future<int> other, bool wait, green::Greenlet& self) -> aio::task<int> {
          self = green::getcurrent();
          const green::Timeout limit(wait ? 100 : 0.001);
          co_return co_await other;
        }(inner, kill, victim));
    green::sleep(0);
    if (kill) {
      victim.kill();
      CHECK_THROWS_AS(green::awaitlet(outer), green::GreenletExit);
    } else {
      CHECK_THROWS_AS(green::awaitlet(outer), green::TimeoutExpired);
    }
    CHECK_THROWS(green::awaitlet(inner));
  }
}

TEST_CASE("a task that cancelled itself passes a later cancel on as well") {
  int delivered = 0;
  auto patient = [](int& count) -> aio::task<int> {
    for (;;) {
      try {
        co_await aio::sleep(100);
      } catch (const aio::CancelledError&) {
        if (++count == 2) co_return count;
      }
    }
  };
  auto inner = aio::create_task(patient(delivered));
  aio::Future<int> outer;
  outer = aio::create_task([](aio::Future<int> other, aio::Future<int>& own) -> aio::task<int> {
    own.cancel();
    co_return co_await other;
  }(inner, outer));
  green::sleep(0);
  green::sleep(0);
  CHECK(delivered == 1);
  CHECK(outer.cancel());
  CHECK_THROWS_AS(green::awaitlet(outer),
                  aio::CancelledError);  // its own, once the other has ended
  CHECK(delivered == 2);
}
