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

TEST_CASE("a task is among all_tasks while it runs") {
  auto count = []() -> aio::task<std::size_t> { co_return aio::all_tasks().size(); };
  CHECK(aio::run(aio::create_task(count())) == 1);
  CHECK(green::awaitlet(count()) == 0);
}
