#include "../support.hpp"

#include <aio/gather.hpp>
#include <aio/sleep.hpp>

#include <memory>
#include <stdexcept>
#include <tuple>
#include <variant>

namespace {

using test::Log;

aio::task<int> number(int value) {
  co_await aio::sleep(0.001 * (5 - value % 5));
  co_return value;
}
aio::task<std::string> text(std::string value) { co_return value; }
aio::task<> nothing() { co_await aio::sleep(0); }
aio::task<int> fail(double after, std::string what) {
  co_await aio::sleep(after);
  throw std::runtime_error(what);
}
aio::task<int> until_cancelled(Log& log, std::string name) {
  try {
    co_await aio::sleep(uvlet::Duration::forever());
  } catch (const aio::CancelledError&) {
    log(name);
    throw;
  }
  co_return 0;
}

static_assert(std::is_same_v<decltype(aio::gather(number(1), text(""), nothing())),
                             aio::task<std::tuple<int, std::string, std::monostate>>>);
static_assert(std::is_same_v<decltype(aio::gather(std::vector<aio::task<int>>())),
                             aio::task<std::vector<int>>>);
static_assert(std::is_same_v<decltype(aio::gather(std::vector<aio::task<>>())),
                             aio::task<std::vector<std::monostate>>>);

}  // namespace

TEST_CASE("gather gives a tuple of the results, in the order of the arguments") {
  const auto [first, second, third] = aio::run(aio::gather(number(1), text("two"), nothing()));
  CHECK(first == 1);
  CHECK(second == "two");
  CHECK(third == std::monostate());
}

TEST_CASE("gather of a vector gives a vector in the same order") {
  std::vector<aio::task<int>> work;
  for (int i = 0; i < 10; ++i) work.push_back(number(i));
  const std::vector<int> results = aio::run(aio::gather(std::move(work)));
  REQUIRE(results.size() == 10);
  for (int i = 0; i < 10; ++i) CHECK(results[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("gather of nothing is done at once") {
  CHECK(aio::run(aio::gather(std::vector<aio::task<int>>())).empty());
  CHECK(aio::run(aio::gather()) == std::tuple<>());
  CHECK(green::awaitlet(aio::gather(std::vector<aio::task<>>())).empty());
}

TEST_CASE("the branches run at the same time") {
  Log log;
  auto steps = [](Log& to, std::string name) -> aio::task<> {
    to(name + "1");
    co_await aio::sleep(0);
    to(name + "2");
  };
  green::awaitlet(aio::gather(steps(log, "a"), steps(log, "b")));
  CHECK(log.text() == "a1 b1 a2 b2");
}

TEST_CASE("each branch is a Greenlet of its own") {
  auto who = []() -> aio::task<std::uint64_t> { co_return green::getcurrent().id(); };
  const auto [first, second] = green::awaitlet(aio::gather(who(), who()));
  CHECK(first != second);
  CHECK(first != green::getcurrent().id());
}

TEST_CASE("branches may block") {
  auto blocks = []() -> aio::task<int> {
    green::sleep(0.001);
    co_return 1;
  };
  const auto [first, second] = aio::run(aio::gather(blocks(), blocks()));
  CHECK(first + second == 2);
}

TEST_CASE("gather takes tasks, Futures, GreenThreads and operations side by side") {
  auto future = aio::Future<int>::create();
  green::spawn_after(0.001, [future]() mutable { future.set_result(2); });
  const auto [first, second, third, fourth] = aio::run(aio::gather(
      number(1), future, green::spawn([] { return 3; }), aio::sleep(0.001, std::string("4"))));
  CHECK(first == 1);
  CHECK(second == 2);
  CHECK(third == 3);
  CHECK(fourth == "4");
}

TEST_CASE("move-only results") {
  auto box = [](int value) -> aio::task<std::unique_ptr<int>> {
    co_return std::make_unique<int>(value);
  };
  auto [first, second] = aio::run(aio::gather(box(1), box(2)));
  CHECK(*first + *second == 3);
  std::vector<aio::task<std::unique_ptr<int>>> work;
  work.push_back(box(4));
  auto results = aio::run(aio::gather(std::move(work)));
  CHECK(*results.at(0) == 4);
}

TEST_CASE("the same Future may be in it twice") {
  auto future = aio::Future<int>::create();
  green::spawn_after(0.001, [future]() mutable { future.set_result(2); });
  const auto [first, second] = aio::run(aio::gather(future, future));
  CHECK(first == 2);
  CHECK(second == 2);
}

TEST_CASE("a gathered Future keeps its result for its other readers") {
  auto future = aio::Future<std::string>::create();
  future.set_result("a text that is too long for the string's own buffer");
  const auto [copy] = aio::run(aio::gather(future));
  CHECK(copy == future.result());
  CHECK(!future.result().empty());
  std::vector<aio::Future<std::string>> both{future, future};
  const auto results = aio::run(aio::gather(both));
  CHECK(results[0] == results[1]);
  CHECK(!results[1].empty());
}

TEST_CASE("the first error is rethrown at once and cancels nothing") {
  Log log;
  auto slow = [](Log& to) -> aio::task<int> {
    co_await aio::sleep(0.02);
    to("slow done");
    co_return 1;
  };
  CHECK_THROWS_WITH_AS(
      aio::run(aio::gather(slow(log), fail(0.005, "second"), fail(0.001, "first"))), "first",
      std::runtime_error);
  CHECK(log.text() == "");
  green::sleep(0.05);
  CHECK(log.text() == "slow done");
}

TEST_CASE("a branch that failed before gather waits is found") {
  auto failed = aio::Future<int>::create();
  failed.set_exception(std::make_exception_ptr(std::runtime_error("before")));
  auto pending = aio::Future<int>::create();
  CHECK_THROWS_WITH_AS(aio::run(aio::gather(pending, failed)), "before", std::runtime_error);
  CHECK(!pending.done());
}

TEST_CASE("cancelling gather cancels all of it") {
  Log log;
  auto all = aio::create_task(
      aio::gather(until_cancelled(log, "a"), until_cancelled(log, "b"), number(1)));
  green::sleep(0);
  green::sleep(0);
  CHECK(all.cancel());
  CHECK_THROWS_AS(green::awaitlet(all), aio::CancelledError);
  CHECK(all.cancelled());
  CHECK(log.text() == "a b");
}

TEST_CASE("killing a green thread that awaits gather cancels all of it") {
  Log log;
  auto thread = green::spawn(
      [&] { green::awaitlet(aio::gather(until_cancelled(log, "a"), until_cancelled(log, "b"))); });
  green::sleep(0.001);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "a b");
}

TEST_CASE("a Timeout around gather cancels all of it and is thrown itself") {
  Log log;
  std::vector<aio::task<int>> work;
  work.push_back(until_cancelled(log, "a"));
  work.push_back(until_cancelled(log, "b"));
  CHECK_THROWS_AS(
      green::with_timeout(0.005, [&] { green::awaitlet(aio::gather(std::move(work))); }),
      green::TimeoutExpired);
  CHECK(log.text() == "a b");
}

TEST_CASE("a branch that is cancelled from outside is CancelledError in gather") {
  Log log;
  auto branch = aio::create_task(until_cancelled(log, "a"));
  auto all = aio::create_task(aio::gather(branch, number(1)));
  green::sleep(0);
  branch.cancel();
  CHECK_THROWS_AS(green::awaitlet(all), aio::CancelledError);
}

TEST_CASE("gather of gathers") {
  const auto [first, second] =
      aio::run(aio::gather(aio::gather(number(1), number(2)), aio::gather(text("x"))));
  CHECK(first == std::tuple(1, 2));
  CHECK(std::get<0>(second) == "x");
}

TEST_CASE("a thousand branches") {
  std::vector<aio::task<int>> work;
  for (int i = 0; i < 1000; ++i) work.push_back(number(i));
  int sum = 0;
  for (int one : aio::run(aio::gather(std::move(work)))) sum += one;
  CHECK(sum == 499'500);
}

TEST_CASE("gather_settled waits for all of them and gives errors as results") {
  Log log;
  std::vector<aio::task<int>> work;
  work.push_back(fail(0, "first"));
  work.push_back(number(2));
  work.push_back(number(3));
  const auto results = aio::run(aio::gather_settled(std::move(work)));
  static_assert(
      std::is_same_v<decltype(results), const std::vector<std::variant<int, std::exception_ptr>>>);
  REQUIRE(results.size() == 3);
  CHECK_THROWS_WITH_AS(std::rethrow_exception(std::get<1>(results[0])), "first",
                       std::runtime_error);
  CHECK(std::get<0>(results[1]) == 2);
  CHECK(std::get<0>(results[2]) == 3);
  CHECK(aio::run(aio::gather_settled(std::vector<aio::task<>>())).empty());
}

TEST_CASE("a cancelled branch is a result of gather_settled, and cancelling that cancels all") {
  Log log;
  auto branch = aio::create_task(until_cancelled(log, "a"));
  std::vector<aio::Future<int>> work{branch, aio::create_task(number(1))};
  auto all = aio::create_task(aio::gather_settled(work));
  green::sleep(0);
  green::sleep(0);
  branch.cancel();
  const auto results = green::awaitlet(all);
  CHECK_THROWS_AS(std::rethrow_exception(std::get<1>(results[0])), aio::CancelledError);
  CHECK(std::get<0>(results[1]) == 1);

  std::vector<aio::task<int>> both;
  both.push_back(until_cancelled(log, "b"));
  both.push_back(until_cancelled(log, "c"));
  auto cancelled = aio::create_task(aio::gather_settled(std::move(both)));
  green::sleep(0);
  green::sleep(0);
  cancelled.cancel();
  CHECK_THROWS_AS(green::awaitlet(cancelled), aio::CancelledError);
  CHECK(log.text() == "a b c");
}
