#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/sleep.hpp>
#include <aio/task.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <type_traits>

namespace {

using test::Counted;
using test::Log;

aio::task<int> number(int value) { co_return value; }
aio::task<int> number_later(int value) {
  co_await aio::sleep(0.001);
  co_return value;
}
aio::task<int> note(Log& log, std::string entry) {
  log(std::move(entry));
  co_return 1;
}
aio::task<> nothing() { co_return; }
aio::task<int> fail(std::string text) {
  throw std::runtime_error(text);
  co_return 0;
}
aio::task<std::unique_ptr<int>> boxed(std::unique_ptr<int> value) {
  co_await aio::sleep(0);
  co_return std::move(value);
}
aio::task<int> down(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await down(depth - 1);
}

struct NoDefault {
  explicit NoDefault(int number) : value(number) {}
  int value;
};

static_assert(!std::is_copy_constructible_v<aio::task<int>>);
static_assert(!std::is_copy_assignable_v<aio::task<int>>);
static_assert(std::is_nothrow_move_constructible_v<aio::task<int>>);
static_assert(std::is_same_v<aio::task<>, aio::task<void>>);
static_assert(!std::is_base_of_v<std::exception, aio::CancelledError>);
static_assert(std::is_base_of_v<uvlet::BaseException, aio::CancelledError>);
static_assert(std::is_same_v<aio::CancelledError, uvlet::CancelledError>);

}  // namespace

TEST_CASE("a task runs when it is awaited") { CHECK(green::awaitlet(number(42)) == 42); }

TEST_CASE("a task does nothing before it is awaited") {
  Log log;
  aio::task<int> work = note(log, "ran");
  green::sleep(0);
  CHECK(log.text() == "");
  CHECK(green::awaitlet(std::move(work)) == 1);
  CHECK(log.text() == "ran");
}

TEST_CASE("a task that was never awaited frees its arguments and runs nothing") {
  Log log;
  int alive = 0;
  {
    auto holder = [](Log& to, Counted) -> aio::task<> {
      to("ran");
      co_return;
    };
    aio::task<> work = holder(log, Counted(alive));
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
  CHECK(log.text() == "");
}

TEST_CASE("run runs a task from a plain function") {
  CHECK(aio::run(number_later(7)) == 7);
  aio::run(nothing());
  CHECK_THROWS_WITH_AS(aio::run(fail("broken")), "broken", std::runtime_error);
}

TEST_CASE("run gives move-only results") { CHECK(*aio::run(boxed(std::make_unique<int>(5))) == 5); }

TEST_CASE("a task awaits a task") {
  auto sum = []() -> aio::task<int> { co_return co_await number(1) + co_await number_later(2); };
  CHECK(aio::run(sum()) == 3);
}

TEST_CASE("a result without a default constructor, and a move-only one, are given by value") {
  auto plain = []() -> aio::task<NoDefault> { co_return NoDefault(3); };
  CHECK(green::awaitlet(plain()).value == 3);
  CHECK(*green::awaitlet(boxed(std::make_unique<int>(4))) == 4);
}

TEST_CASE("an exception of a task arrives where it is awaited, and can be caught there") {
  auto survives = []() -> aio::task<std::string> {
    std::string text;
    try {
      co_await fail("inner");
    } catch (const std::runtime_error& error) {
      text = error.what();
    }
    co_await aio::sleep(0);
    co_return text;
  };
  CHECK(aio::run(survives()) == "inner");
}

TEST_CASE("what is thrown need not be a std::exception") {
  auto throws = []() -> aio::task<> {
    co_await aio::sleep(0);
    throw 42;
  };
  CHECK_THROWS_AS(aio::run(throws()), int);
  CHECK_THROWS_AS(green::awaitlet(throws()), int);
}

TEST_CASE("a named task is awaited as an lvalue, once") {
  auto twice = []() -> aio::task<int> {
    aio::task<int> work = number(1);
    int sum = co_await work;
    try {
      sum += co_await work;
    } catch (const std::logic_error&) {
      sum += 10;
    }
    co_return sum;
  };
  CHECK(aio::run(twice()) == 11);
}

TEST_CASE("awaiting a task that was moved from is a logic_error") {
  aio::task<int> work = number(1);
  aio::task<int> other = std::move(work);
  CHECK_THROWS_AS(green::awaitlet(std::move(work)), std::logic_error);
  CHECK_THROWS_AS(aio::create_task(std::move(work)), std::logic_error);
  CHECK_THROWS_AS(aio::run(std::move(work)), std::logic_error);
  CHECK(green::awaitlet(std::move(other)) == 1);
  CHECK_THROWS_AS(green::awaitlet(std::move(other)), std::logic_error);
}

TEST_CASE("assigning to a task frees the one it held") {
  int alive = 0;
  auto holder = [](Counted) -> aio::task<> { co_return; };
  aio::task<> work = holder(Counted(alive));
  CHECK(alive == 1);
  work = nothing();
  CHECK(alive == 0);
  green::awaitlet(std::move(work));
}

TEST_CASE("arguments live until the task is destroyed, locals until it ends") {
  int alive = 0;
  auto holder = [](Counted) -> aio::task<> { co_await aio::sleep(0.001); };
  aio::run(holder(Counted(alive)));
  CHECK(alive == 0);
}

TEST_CASE("references go by std::ref and by reference parameters") {
  auto add = [](int& to, std::reference_wrapper<int> other) -> aio::task<> {
    co_await aio::sleep(0);
    ++to;
    ++other.get();
  };
  int first = 0, second = 0;
  aio::run(add(first, std::ref(second)));
  CHECK(first == 1);
  CHECK(second == 1);
}

TEST_CASE("a million ready tasks in a loop need no stack") {
  auto loop = []() -> aio::task<int> {
    int sum = 0;
    for (int i = 0; i < 1'000'000; ++i) sum += co_await number(1);
    co_return sum;
  };
  test::in_green_thread([&] { CHECK(green::awaitlet(loop()) == 1'000'000); });
  CHECK(aio::run(loop()) == 1'000'000);
}

TEST_CASE("tasks nest a hundred thousand deep") {
  test::in_green_thread([] { CHECK(green::awaitlet(down(100'000)) == 100'000); });
  CHECK(aio::run(down(100'000)) == 100'000);
}

TEST_CASE("an exception passes through a thousand tasks") {
  struct Dig {
    static aio::task<int> dig(int depth) {
      if (depth == 0) throw std::runtime_error("bottom");
      co_return co_await dig(depth - 1);
    }
  };
  CHECK_THROWS_WITH_AS(aio::run(Dig::dig(1000)), "bottom", std::runtime_error);
}

TEST_CASE("locals are destroyed innermost first when an exception unwinds tasks") {
  Log log;
  struct Note {
    Log& log;
    std::string entry;
    ~Note() { log(entry); }
  };
  auto inner = [](Log& to) -> aio::task<> {
    const Note note{to, "inner"};
    co_await aio::sleep(0);
    throw std::runtime_error("out");
  };
  auto outer = [&inner](Log& to) -> aio::task<> {
    const Note note{to, "outer"};
    co_await inner(to);
  };
  CHECK_THROWS_AS(aio::run(outer(log)), std::runtime_error);
  CHECK(log.text() == "inner outer");
}

TEST_CASE("a caught exception stays the current one across a wait in a task") {
  auto failing = [](std::string text) -> aio::task<std::string> {
    std::string seen;
    try {
      throw std::runtime_error(text);
    } catch (const std::runtime_error&) {
      // co_await is not allowed in a handler; a blocking call is, and suspends just this coroutine.
      green::sleep(0.001);
      try {
        throw;
      } catch (const std::runtime_error& error) {
        seen = error.what();
      }
    }
    co_return seen;
  };
  auto first = aio::create_task(failing("first"));
  auto second = aio::create_task(failing("second"));
  CHECK(green::awaitlet(first) == "first");
  CHECK(green::awaitlet(second) == "second");
}

TEST_CASE("a cancelled task runs its destructors") {
  int alive = 0;
  {
    auto holder = [](Counted) -> aio::task<> { co_await aio::sleep(uvlet::Duration::forever()); };
    auto future = aio::create_task(holder(Counted(alive)));
    green::sleep(0);
    CHECK(alive == 1);
    CHECK(future.cancel());
    CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  }
  CHECK(alive == 0);
}

TEST_CASE("a coroutine lambda kept alive may capture") {
  int hits = 0;
  auto body = [&hits]() -> aio::task<int> {
    for (int i = 0; i < 3; ++i) {
      co_await aio::sleep(0);
      ++hits;
    }
    co_return hits;
  };
  CHECK(aio::run(body()) == 3);
}

TEST_CASE("blocking green calls inside a task suspend only that task") {
  Log log;
  auto blocks = [](Log& to) -> aio::task<> {
    to("sleep");
    green::sleep(0.02);
    to("slept");
    co_return;
  };
  auto awaits = [](Log& to) -> aio::task<> {
    co_await aio::sleep(0);
    to("between");
  };
  auto first = aio::create_task(blocks(log));
  auto second = aio::create_task(awaits(log));
  green::awaitlet(first);
  green::awaitlet(second);
  CHECK(log.text() == "sleep between slept");
}

TEST_CASE("a result may be returned by conversion") {
  auto text = []() -> aio::task<std::string> { co_return "literal"; };
  CHECK(aio::run(text()) == "literal");
  auto pair = []() -> aio::task<std::pair<int, int>> { co_return std::pair<int, int>(1, 2); };
  CHECK(aio::run(pair()).second == 2);
}
