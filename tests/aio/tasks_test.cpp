#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/tasks.hpp>

namespace {

aio::task<std::string> own_name() { co_return aio::current_task_name(); }
aio::task<> forever() { co_await aio::sleep(uvlet::Duration::forever()); }

}  // namespace

TEST_CASE("a task knows its name") {
  CHECK(aio::run(aio::create_task(own_name(), "reader")) == "reader");
  auto unnamed = aio::create_task(own_name());
  CHECK(green::awaitlet(unnamed).rfind("Task-", 0) == 0);
  CHECK(unnamed.name() == unnamed.result());
}

TEST_CASE("a coroutine that a green thread awaits has that one's name") {
  auto thread = green::spawn([] { return green::awaitlet(own_name()); });
  thread.set_name("worker");
  CHECK(thread.wait() == "worker");
  CHECK(aio::current_task_name() == green::getcurrent().name());
}

TEST_CASE("all_tasks gives those that are not done, in the order of creation") {
  CHECK(aio::all_tasks().empty());
  auto first = aio::create_task(forever(), "first");
  auto second = aio::create_task(forever(), "second");
  auto done = aio::create_task(own_name(), "done");
  green::awaitlet(done);
  const auto tasks = aio::all_tasks();
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].name() == "first");
  CHECK(tasks[1].name() == "second");
  CHECK(tasks[0] != tasks[1]);
  for (aio::AnyTask task : tasks) CHECK(task.cancel());
  green::sleep(0.001);
  CHECK(first.cancelled());
  CHECK(tasks[1].cancelled());
  CHECK(aio::all_tasks().empty());
}

TEST_CASE("current_task is the one whose Future create_task gave, also in what it awaits") {
  aio::AnyTask seen;  // as its own result it would keep itself alive
  auto own = [&]() -> aio::task<> {
    seen = aio::current_task();
    co_return;
  };
  auto outer = [&]() -> aio::task<> { co_await own(); };
  auto task = aio::create_task(outer(), "mine");
  green::awaitlet(task);
  REQUIRE(seen);
  CHECK(seen == aio::AnyTask(task));
  CHECK(seen.name() == "mine");
  CHECK(seen.done());
}

TEST_CASE("a task can cancel itself by current_task") {
  auto cancels = []() -> aio::task<> {
    CHECK(aio::current_task().cancel());
    co_await aio::sleep(uvlet::Duration::forever());
  };
  CHECK_THROWS_AS(aio::run(cancels()), aio::CancelledError);
}

TEST_CASE("outside of a task there is no current_task, and nothing can be asked of it") {
  aio::AnyTask none = aio::current_task();
  CHECK_FALSE(none);
  CHECK(none == aio::AnyTask());
  CHECK_THROWS_AS(none.name(), aio::InvalidStateError);
  CHECK_THROWS_AS(none.cancel(), aio::InvalidStateError);
  auto own = []() -> aio::task<aio::AnyTask> { co_return aio::current_task(); };
  CHECK_FALSE(green::awaitlet(own()));
  CHECK_FALSE(green::spawn([] { return aio::current_task(); }).wait());
}

TEST_CASE("a task is among all_tasks while it runs") {
  auto count = []() -> aio::task<std::size_t> { co_return aio::all_tasks().size(); };
  CHECK(aio::run(aio::create_task(count())) == 1);
  CHECK(green::awaitlet(count()) == 0);
}
