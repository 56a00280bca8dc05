#include <aio/event.hpp>

#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

TEST_CASE("wait ends when the event is set, for all who wait, and gives true") {
  aio::Event event;
  int woken = 0;
  auto waiter = [](aio::Event& on, int& count) -> aio::task<> {
    CHECK(co_await on.wait());
    ++count;
  };
  auto first = aio::create_task(waiter(event, woken));
  auto second = aio::create_task(waiter(event, woken));
  auto third = green::spawn([&] { woken += green::awaitlet(event.wait()); });
  green::sleep(0);
  CHECK(!event.is_set());
  CHECK(woken == 0);
  event.set();
  CHECK(woken == 0);
  green::awaitlet(first);
  green::awaitlet(second);
  third.wait();
  CHECK(woken == 3);
  CHECK(green::awaitlet(event.wait()));
}

TEST_CASE("cleared before they run, those who waited are woken all the same") {
  aio::Event event;
  auto waiter = green::spawn([&] { return green::awaitlet(event.wait()); });
  green::sleep(0);
  event.set();
  event.clear();
  CHECK(waiter.wait());
  CHECK_THROWS_AS(aio::run(aio::wait_for(event.wait(), 0.001)), aio::TimeoutError);
}

TEST_CASE("a cancelled waiter leaves") {
  aio::Event event;
  auto waiter = [](aio::Event& on) -> aio::task<> { co_await on.wait(); };
  auto cancelled = aio::create_task(waiter(event));
  green::sleep(0);
  cancelled.cancel();
  CHECK_THROWS_AS(green::awaitlet(cancelled), aio::CancelledError);
  event.set();
  CHECK(event.is_set());
}
