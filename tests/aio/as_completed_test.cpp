#include "../support.hpp"

#include <aio/as_completed.hpp>
#include <aio/sleep.hpp>

#include <memory>
#include <stdexcept>

namespace {

aio::task<int> after(double seconds, int value) {
  co_await aio::sleep(seconds);
  if (value < 0) throw std::runtime_error("negative");
  co_return value;
}
std::vector<aio::task<int>> work(std::vector<int> milliseconds) {
  std::vector<aio::task<int>> all;
  for (int one : milliseconds) all.push_back(after(0.003 * std::abs(one), one));
  return all;
}

}  // namespace

TEST_CASE("results come in the order in which they are done") {
  std::vector<int> order;
  for (auto& next : aio::as_completed(work({3, 1, 2})))
    order.push_back(green::awaitlet(std::move(next)));
  CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("in a coroutine too") {
  auto collect = []() -> aio::task<std::vector<int>> {
    std::vector<int> order;
    auto all = aio::as_completed(work({2, 1}));
    for (auto& next : all) order.push_back(co_await std::move(next));
    co_return order;
  };
  CHECK(aio::run(collect()) == std::vector{1, 2});
}

TEST_CASE("an error comes in its turn and the others still come") {
  auto all = aio::as_completed(work({3, -1, 2}));
  CHECK_THROWS_AS(green::awaitlet(std::move(all[0])), std::runtime_error);
  CHECK(green::awaitlet(std::move(all[1])) == 2);
  CHECK(green::awaitlet(std::move(all[2])) == 3);
}

TEST_CASE("the first that is awaited gets the first that is done") {
  auto all = aio::as_completed(work({3, 1}));
  CHECK(green::awaitlet(std::move(all[1])) == 1);
  CHECK(green::awaitlet(std::move(all[0])) == 3);
}

TEST_CASE("cancelling who awaits cancels no work and loses no result") {
  auto all = aio::as_completed(work({1, 2}));
  auto victim = aio::create_task(std::move(all[0]));
  green::sleep(0);
  victim.cancel();
  CHECK_THROWS_AS(green::awaitlet(victim), aio::CancelledError);
  CHECK(green::awaitlet(std::move(all[1])) == 1);
}

TEST_CASE("dropping the results lets the work go on") {
  int done = 0;
  auto count = [](int& to) -> aio::task<> {
    co_await aio::sleep(0.001);
    ++to;
  };
  {
    std::vector<aio::task<>> two;
    two.push_back(count(done));
    two.push_back(count(done));
    const auto dropped = aio::as_completed(std::move(two));
    green::sleep(0);
  }
  green::sleep(0.02);
  CHECK(done == 2);
}

TEST_CASE("Futures, done ones among them, and none at all") {
  auto ready = aio::Future<int>::create();
  ready.set_result(9);
  std::vector<aio::Future<int>> both{aio::create_task(after(0.001, 1)), ready};
  auto all = aio::as_completed(both);
  REQUIRE(all.size() == 2);
  CHECK(green::awaitlet(std::move(all[0])) == 9);
  CHECK(green::awaitlet(std::move(all[1])) == 1);
  CHECK(ready.result() == 9);
  CHECK(aio::as_completed(std::vector<aio::task<int>>()).empty());
}

TEST_CASE("move-only results") {
  auto box = []() -> aio::task<std::unique_ptr<int>> { co_return std::make_unique<int>(8); };
  std::vector<aio::task<std::unique_ptr<int>>> one;
  one.push_back(box());
  auto all = aio::as_completed(std::move(one));
  CHECK(*green::awaitlet(std::move(all[0])) == 8);
}
