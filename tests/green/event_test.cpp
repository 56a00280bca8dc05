#include "../support.hpp"

#include <green/event.hpp>

#include <memory>

TEST_CASE("a value that is sent reaches every waiter, in the order in which they came") {
  green::Event<int> event;
  test::Log log;
  std::vector<green::GreenThread<void>> waiters;
  for (int i = 0; i < 5; ++i)
    waiters.push_back(green::spawn(
        [&, i] { log(std::to_string(i) + ":" + std::to_string(event.wait())); }));
  green::sleep(0);
  event.send(7);
  CHECK(log.entries().empty());  // send never switches
  for (auto& waiter : waiters) waiter.wait();
  CHECK(log.text() == "0:7 1:7 2:7 3:7 4:7");
}

TEST_CASE("an event that was sent is waited for without a switch") {
  green::Event<std::string> event;
  CHECK_FALSE(event.ready());
  CHECK_FALSE(event.poll());
  event.send("now");
  CHECK(event.ready());
  CHECK(event.has_result());
  CHECK(event.wait() == "now");
  CHECK(event.poll() == "now");
  CHECK(event.wait(0.0) == "now");
}

TEST_CASE("a wait with a limit gives nothing when the time is over first") {
  green::Event<int> event;
  green::Event<> nothing;
  CHECK(event.wait(0.01) == std::nullopt);
  CHECK(nothing.wait(0.01) == false);
  event.send(1);
  nothing.send();
  CHECK(event.wait(0.01) == 1);
  CHECK(nothing.wait(0.01) == true);
  CHECK(nothing.poll() == true);
}

TEST_CASE("an exception that is sent is rethrown to each waiter, and by poll") {
  green::Event<int> event;
  event.send_exception(std::runtime_error("bad"));
  CHECK(event.has_exception());
  CHECK_FALSE(event.has_result());
  CHECK_THROWS_AS(event.wait(), std::runtime_error);
  CHECK_THROWS_AS(event.wait(1), std::runtime_error);
  CHECK_THROWS_AS(event.poll(), std::runtime_error);
  CHECK(event.poll_exception() != nullptr);
  CHECK_FALSE(event.poll_result());
  green::Event<> from_pointer;
  from_pointer.send_exception(std::make_exception_ptr(std::logic_error("held")));
  CHECK_THROWS_AS(from_pointer.wait(), std::logic_error);
}

TEST_CASE("sending twice and resetting too early are logic errors, and change nothing") {
  green::Event<int> event;
  CHECK_THROWS_AS(event.reset(), std::logic_error);
  event.send(1);
  CHECK_THROWS_AS(event.send(2), std::logic_error);
  CHECK_THROWS_AS(event.send_exception(std::runtime_error("x")), std::logic_error);
  CHECK(event.wait() == 1);
  event.reset();
  CHECK_FALSE(event.ready());
  event.send(2);
  CHECK(event.wait() == 2);
}

TEST_CASE("a reset right after a send does not lose the wake-up") {
  green::Event<int> event;
  auto waiter = green::spawn([&] { return event.wait(); });
  green::sleep(0);
  event.send(1);
  event.reset();
  event.send(2);
  CHECK(waiter.wait() == 1);
  CHECK(event.wait() == 2);
}

TEST_CASE("a waiter that is killed leaves the event to the others") {
  green::Event<int> event;
  auto first = green::spawn([&] { return event.wait(); });
  auto second = green::spawn([&] { return event.wait(); });
  green::sleep(0);
  first.kill();
  event.send(3);
  CHECK(second.wait() == 3);
  CHECK_THROWS_AS(first.wait(), green::GreenletExit);
}

TEST_CASE("a coroutine waits for what a green thread sends, and the reverse") {
  green::Event<int> event, answer;
  auto asks = [](green::Event<int>& from, green::Event<int>& to) -> aio::task<void> {
    to.send(co_await from.wait_async() + 1);
  };
  auto task = aio::create_task(asks(event, answer));
  green::sleep(0);
  event.send(1);
  CHECK(answer.wait() == 2);
}
