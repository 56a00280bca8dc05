#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/task_group.hpp>
#include <aio/wait_for.hpp>

#include <stdexcept>

namespace {

using test::Log;

aio::task<int> number(int value) {
  co_await aio::sleep(0.001);
  co_return value;
}
aio::task<> fail(double after, std::string what) {
  co_await aio::sleep(after);
  throw std::runtime_error(what);
}
aio::task<> until_cancelled(Log& log, std::string name) {
  try {
    co_await aio::sleep(uvlet::Duration::forever());
  } catch (const aio::CancelledError&) {
    log(name);
    throw;
  }
}

}  // namespace

TEST_CASE("join waits for all tasks of the group, and their Futures have the results") {
  auto body = []() -> aio::task<int> {
    aio::TaskGroup group;
    auto first = group.create_task(number(1));
    auto second = group.create_task(number(2), "second");
    CHECK(second.name() == "second");
    co_await group.join();
    co_return first.result() + second.result();
  };
  CHECK(aio::run(body()) == 3);
}

TEST_CASE("a group of no tasks is joined at once") {
  aio::TaskGroup group;
  green::awaitlet(group.join());
}

TEST_CASE("the first failure cancels the rest and join throws all that failed") {
  Log log;
  aio::TaskGroup group;
  auto stays = group.create_task(until_cancelled(log, "cancelled"));
  group.create_task(fail(0.001, "broken"));
  try {
    green::awaitlet(group.join());
    FAIL("join threw nothing");
  } catch (const aio::ExceptionGroup& error) {
    REQUIRE(error.exceptions().size() == 1);
    CHECK_THROWS_WITH_AS(std::rethrow_exception(error.exceptions()[0]), "broken",
                         std::runtime_error);
    CHECK(std::string(error.what()) ==
          "unhandled errors in a TaskGroup (1 sub-exception); std::runtime_error: broken");
  }
  CHECK(log.text() == "cancelled");
  CHECK(stays.cancelled());
}

TEST_CASE("what fails while it is cancelled is in the group too") {
  auto fails_late = []() -> aio::task<> {
    try {
      co_await aio::sleep(uvlet::Duration::forever());
    } catch (const aio::CancelledError&) {
    }
    throw std::logic_error("late");
  };
  aio::TaskGroup group;
  group.create_task(fails_late());
  group.create_task(fail(0, "first"));
  try {
    green::awaitlet(group.join());
    FAIL("join threw nothing");
  } catch (const aio::ExceptionGroup& error) {
    REQUIRE(error.exceptions().size() == 2);
    CHECK_THROWS_AS(std::rethrow_exception(error.exceptions()[0]), std::runtime_error);
    CHECK_THROWS_AS(std::rethrow_exception(error.exceptions()[1]), std::logic_error);
  }
}

TEST_CASE("a task that is cancelled by itself is no failure") {
  aio::TaskGroup group;
  auto one = group.create_task(number(1));
  auto other = group.create_task(number(2));
  one.cancel();
  green::awaitlet(group.join());
  CHECK(one.cancelled());
  CHECK(other.result() == 2);
}

TEST_CASE("cancelling join cancels all") {
  Log log;
  auto body = [](Log& to) -> aio::task<> {
    aio::TaskGroup group;
    group.create_task(until_cancelled(to, "a"));
    group.create_task(until_cancelled(to, "b"));
    co_await group.join();
  };
  auto outer = aio::create_task(body(log));
  green::sleep(0);
  green::sleep(0);
  outer.cancel();
  CHECK_THROWS_AS(green::awaitlet(outer), aio::CancelledError);
  CHECK(log.text() == "a b");
}

TEST_CASE("a kill and a timeout around join cancel all and are thrown themselves") {
  Log log;
  auto thread = green::spawn([&] {
    aio::TaskGroup group;
    group.create_task(until_cancelled(log, "a"));
    green::awaitlet(group.join());
  });
  green::sleep(0.001);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  aio::TaskGroup group;
  group.create_task(until_cancelled(log, "b"));
  CHECK_THROWS_AS(aio::run(aio::wait_for(group.join(), 0.001)), aio::TimeoutError);
  CHECK(log.text() == "a b");
}

TEST_CASE("a group destroyed without join cancels its tasks and waits for their ends") {
  Log log;
  auto ends_slowly = [](Log& to) -> aio::task<> {
    try {
      co_await aio::sleep(uvlet::Duration::forever());
    } catch (const aio::CancelledError&) {
    }
    co_await aio::sleep(0.005);
    to("ended");
  };
  {
    aio::TaskGroup group;
    group.create_task(ends_slowly(log));
    green::sleep(0);
  }
  CHECK(log.text() == "ended");
}

TEST_CASE("a kill while a destroyed group waits does not cut the wait short") {
  Log log;
  auto ends_slowly = [](Log& to) -> aio::task<> {
    try {
      co_await aio::sleep(uvlet::Duration::forever());
    } catch (const aio::CancelledError&) {
    }
    co_await aio::sleep(0.01);
    to("ended");
  };
  auto thread = green::spawn([&] {
    {
      aio::TaskGroup group;
      group.create_task(ends_slowly(log));
      green::sleep(0);
    }
    log("left");
    green::sleep(1);
    log("not reached");
  });
  green::sleep(0.003);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "ended left");
}

TEST_CASE("a task may start others of its group while it is joined") {
  Log log;
  aio::TaskGroup group;
  auto child = [](Log& to) -> aio::task<> {
    co_await aio::sleep(0.001);
    to("child");
  };
  auto parent = [](Log& to, aio::TaskGroup& of, auto make) -> aio::task<> {
    co_await aio::sleep(0);
    of.create_task(make(to));
  };
  group.create_task(parent(log, group, child));
  green::awaitlet(group.join());
  CHECK(log.text() == "child");
}

TEST_CASE("no task may be added after a failure or after join") {
  aio::TaskGroup joined;
  green::awaitlet(joined.join());
  CHECK_THROWS_AS(joined.create_task(number(1)), std::logic_error);
  aio::TaskGroup failed;
  failed.create_task(fail(0, "x"));
  green::sleep(0.001);
  CHECK_THROWS_AS(failed.create_task(number(1)), std::logic_error);
  CHECK_THROWS_AS(green::awaitlet(failed.join()), aio::ExceptionGroup);
}

TEST_CASE("GreenThreads and operations may be in a group") {
  aio::TaskGroup group;
  auto result = group.create_task(green::spawn([] { return 5; }));
  group.create_task(aio::sleep(0.001));
  green::awaitlet(group.join());
  CHECK(result.result() == 5);
}
