#include <green/event.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <memory>
#include <stdexcept>
#include <type_traits>

namespace {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace

TEST_CASE("wait gives what was sent, to each waiter") {
  green::Event<std::string> event;
  std::vector<green::GreenThread<std::string>> waiters;
  for (int i = 0; i < 3; ++i) waiters.push_back(green::spawn([&] { return event.wait(); }));
  green::sleep(0);
  event.send("hello");
  for (auto& waiter : waiters) CHECK(waiter.wait() == "hello");
  CHECK(event.wait() == "hello");
}

TEST_CASE("wait returns at once when it was sent before") {
  green::Event<int> event;
  event.send(3);
  bool others_ran = false;
  auto other = green::spawn([&] { others_ran = true; });
  CHECK(event.wait() == 3);
  CHECK_FALSE(others_ran);
  other.wait();
}

TEST_CASE("an event without a value") {
  green::Event<> event;
  static_assert(std::is_same_v<green::Event<>, green::Event<void>>);
  static_assert(std::is_void_v<decltype(event.wait())>);
  static_assert(std::is_same_v<bool, decltype(event.wait(1))>);
  static_assert(std::is_same_v<bool, decltype(event.poll())>);
  static_assert(std::is_same_v<bool, decltype(event.poll_result())>);
  auto waiter = green::spawn([&] { event.wait(); });
  green::sleep(0);
  CHECK_FALSE(waiter.dead());
  CHECK_FALSE(event.poll());
  event.send();
  waiter.wait();
  CHECK(event.poll());
  CHECK(event.poll_result());
  CHECK(event.poll_exception() == nullptr);
  CHECK(event.wait(0));
}

TEST_CASE("the types are as promised") {
  const green::Event<int> event;
  static_assert(std::is_same_v<int, decltype(event.wait())>);
  static_assert(std::is_same_v<std::optional<int>, decltype(event.wait(1))>);
  static_assert(std::is_same_v<std::optional<int>, decltype(event.poll())>);
  static_assert(std::is_same_v<std::optional<int>, decltype(event.poll_result())>);
  static_assert(std::is_same_v<std::exception_ptr, decltype(event.poll_exception())>);
}

TEST_CASE("waiters wake in the order in which they came") {
  green::Event<> event;
  test::Log log;
  std::vector<green::GreenThread<void>> waiters;
  for (int i = 0; i < 5; ++i)
    waiters.push_back(green::spawn([&, i] {
      event.wait();
      log(std::to_string(i));
    }));
  green::sleep(0);
  event.send();
  for (auto& waiter : waiters) waiter.wait();
  CHECK(log.text() == "0 1 2 3 4");
}

TEST_CASE("send never switches") {
  green::Event<int> event;
  bool woken = false;
  auto waiter = green::spawn([&] {
    event.wait();
    woken = true;
  });
  green::sleep(0);
  event.send(1);
  CHECK_FALSE(woken);
  waiter.wait();
  CHECK(woken);
}

TEST_CASE("an exception is thrown in each waiter, the same object") {
  green::Event<int> event;
  std::vector<const void*> seen;
  auto wait = [&] {
    try {
      event.wait();
    } catch (const Failure& failure) {
      seen.push_back(&failure);
    }
  };
  auto a = green::spawn(wait);
  auto b = green::spawn(wait);
  green::sleep(0);
  event.send_exception(Failure("sent"));
  a.wait();
  b.wait();
  wait();
  REQUIRE(seen.size() == 3);
  CHECK(seen[0] == seen[1]);
  CHECK(seen[1] == seen[2]);
  CHECK_THROWS_WITH_AS(event.wait(), "sent", Failure);
  CHECK_THROWS_WITH_AS(event.wait(1), "sent", Failure);
}

TEST_CASE("an exception_ptr is sent as the exception it holds") {
  green::Event<> event;
  const std::exception_ptr error = std::make_exception_ptr(Failure("held"));
  event.send_exception(error);
  CHECK_THROWS_WITH_AS(event.wait(), "held", Failure);
  CHECK(event.poll_exception() == error);
}

TEST_CASE("GreenletExit and TimeoutExpired can be sent like any exception") {
  green::Event<int> event;
  event.send_exception(green::GreenletExit());
  CHECK_THROWS_AS(event.wait(), green::GreenletExit);
  event.reset();
  event.send_exception(green::TimeoutExpired(5));
  CHECK_THROWS_AS(event.wait(), green::TimeoutExpired);
  CHECK_THROWS_AS(event.wait(1), green::TimeoutExpired);  // sent, and not its own limit
}

TEST_CASE("the state: fresh, sent, failed") {
  green::Event<int> event;
  CHECK_FALSE(event.ready());
  CHECK_FALSE(event.has_result());
  CHECK_FALSE(event.has_exception());
  CHECK(event.poll() == std::nullopt);
  CHECK(event.poll_result() == std::nullopt);
  CHECK(event.poll_exception() == nullptr);
  event.send(4);
  CHECK(event.ready());
  CHECK(event.has_result());
  CHECK_FALSE(event.has_exception());
  CHECK(event.poll() == 4);
  CHECK(event.poll_result() == 4);
  CHECK(event.poll_exception() == nullptr);
  event.reset();
  event.send_exception(Failure("x"));
  CHECK(event.ready());
  CHECK_FALSE(event.has_result());
  CHECK(event.has_exception());
  CHECK_THROWS_AS(event.poll(), Failure);
  CHECK(event.poll_result() == std::nullopt);
  CHECK(event.poll_exception() != nullptr);
}

TEST_CASE("a void event that failed throws in poll, and has no result") {
  green::Event<> event;
  event.send_exception(Failure("x"));
  CHECK_THROWS_AS(event.poll(), Failure);
  CHECK_FALSE(event.poll_result());
  CHECK_THROWS_AS(event.wait(0.001), Failure);
}

TEST_CASE("sending twice without a reset is a logic_error, and changes nothing") {
  green::Event<int> event;
  event.send(1);
  CHECK_THROWS_AS(event.send(2), std::logic_error);
  CHECK_THROWS_AS(event.send_exception(Failure("x")), std::logic_error);
  CHECK(event.wait() == 1);
  event.reset();
  event.send_exception(Failure("x"));
  CHECK_THROWS_AS(event.send(2), std::logic_error);
  CHECK_THROWS_AS(event.wait(), Failure);
}

TEST_CASE("reset makes it fresh; reset of a fresh one is a logic_error") {
  green::Event<int> event;
  CHECK_THROWS_AS(event.reset(), std::logic_error);
  event.send(1);
  event.reset();
  CHECK_FALSE(event.ready());
  CHECK_THROWS_AS(event.reset(), std::logic_error);
  CHECK(event.wait(0.001) == std::nullopt);
  event.send(2);
  CHECK(event.wait() == 2);
}

TEST_CASE("a reset right after a send takes nothing from who was woken") {
  green::Event<std::string> event;
  auto waiter = green::spawn([&] { return event.wait(); });
  green::sleep(0);
  event.send("first");
  event.reset();
  event.send("second");
  CHECK(waiter.wait() == "first");
  CHECK(event.wait() == "second");
}

TEST_CASE("a wait with a limit gives nullopt, or false, when nothing came") {
  green::Event<int> event;
  green::Event<> plain;
  const uvlet::Time start = uvlet::Hub::get().now();
  CHECK(event.wait(0.01) == std::nullopt);
  CHECK(uvlet::Hub::get().now() - start >= 10'000'000);
  CHECK_FALSE(plain.wait(std::chrono::milliseconds(1)));
  CHECK(event.wait(0) == std::nullopt);
  CHECK(event.wait(-1) == std::nullopt);
  CHECK_THROWS_AS(event.wait(std::numeric_limits<double>::quiet_NaN()), std::invalid_argument);
  event.send(1);
  CHECK(event.wait() == 1);
}

TEST_CASE("a wait with a limit gives the value that came in time") {
  green::Event<int> event;
  auto waiter = green::spawn([&] { return event.wait(test::watchdog); });
  auto for_ever = green::spawn([&] { return event.wait(std::numeric_limits<double>::infinity()); });
  green::sleep(0.001);
  event.send(7);
  CHECK(waiter.wait() == 7);
  CHECK(for_ever.wait() == 7);
  CHECK(event.wait(0) == 7);
}

TEST_CASE("a wait that ran out of time does not hear a later send") {
  green::Event<int> event;
  auto waiter = green::spawn([&] { return event.wait(0.001); });
  CHECK(waiter.wait() == std::nullopt);
  event.send(1);
  CHECK(event.poll() == 1);
}

TEST_CASE("a waiter that is killed or times out leaves the others alone") {
  green::Event<int> event;
  auto killed = green::spawn([&] { return event.wait(); });
  auto timed =
      green::spawn([&] { return green::with_timeout_or(0.001, -1, [&] { return event.wait(); }); });
  auto patient = green::spawn([&] { return event.wait(); });
  green::sleep(0);
  killed.kill();
  CHECK(timed.wait() == -1);
  event.send(5);
  CHECK(patient.wait() == 5);
  CHECK_THROWS_AS(killed.wait(), green::GreenletExit);
}

TEST_CASE("a waiter killed between the send and its turn is dropped safely") {
  green::Event<int> event;
  auto waiter = green::spawn([&] {
    const int got = event.wait();
    green::sleep(test::watchdog);
    return got;
  });
  auto other = green::spawn([&] { return event.wait(); });
  green::sleep(0);
  event.send(5);
  waiter.kill();
  CHECK_THROWS_AS(waiter.wait(), green::GreenletExit);
  CHECK(other.wait() == 5);
}

TEST_CASE("coroutines and green threads wait for the same event") {
  green::Event<int> event;
  auto coroutine = aio::create_task(
      [](auto& source) -> aio::task<int> { co_return co_await source.wait_async(); }(event));
  auto thread = green::spawn([&] { return event.wait(); });
  green::Event<> expired;
  auto limited = aio::create_task([](auto& source, auto& first_over) -> aio::task<bool> {
    const std::optional<int> early = co_await source.wait_async(0.001);
    first_over.send();
    const std::optional<int> value = co_await source.wait_async(test::watchdog);
    co_return !early && value == 9;
  }(event, expired));
  expired.wait();
  event.send(9);
  CHECK(green::awaitlet(coroutine) == 9);
  CHECK(thread.wait() == 9);
  CHECK(green::awaitlet(limited));
}

TEST_CASE("a coroutine sends to a green thread") {
  green::Event<std::string> event;
  auto sender = aio::create_task([](auto& target) -> aio::task<void> {
    co_await aio::sleep(0.001);
    target.send("from a coroutine");
  }(event));
  CHECK(event.wait() == "from a coroutine");
  green::awaitlet(sender);
}

TEST_CASE("cancelling a coroutine that waits leaves the event usable") {
  green::Event<int> event;
  auto waiting = aio::create_task(
      [](auto& source) -> aio::task<int> { co_return co_await source.wait_async(); }(event));
  green::sleep(0.001);
  waiting.cancel();
  CHECK_THROWS_AS(green::awaitlet(waiting), aio::CancelledError);
  event.send(1);
  CHECK(event.wait() == 1);
}

TEST_CASE("values may be built in place and may be containers") {
  green::Event<std::vector<int>> event;
  event.send({1, 2, 3});
  CHECK(event.wait() == std::vector<int>{1, 2, 3});
  green::Event<std::shared_ptr<int>> shared;
  shared.send(std::make_unique<int>(4));
  CHECK(*shared.wait() == 4);
  green::Event<bool> flag;
  flag.send(false);
  CHECK(flag.wait(0) == std::optional<bool>(false));
}

TEST_CASE("a value that is sent as an lvalue is copied") {
  green::Event<std::string> event;
  std::string text = "kept";
  event.send(text);
  CHECK(text == "kept");
  CHECK(event.wait() == "kept");
}

TEST_CASE("an event that is destroyed by who is woken does no harm") {
  auto event = std::make_unique<green::Event<int>>();
  auto first = green::spawn([&] {
    const int got = event->wait();
    event.reset();
    return got;
  });
  auto second = green::spawn([source = event.get()] { return source->wait(); });
  green::sleep(0);
  event->send(3);
  CHECK(first.wait() == 3);
  CHECK(second.wait() == 3);
}
