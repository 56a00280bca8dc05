#include <aio/signal_receiver.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <csignal>
#include <memory>
#include <stdexcept>
#include <thread>
#include <unistd.h>

namespace {

int next_of(aio::SignalReceiver& receiver) {
  return green::with_timeout(test::watchdog, [&] { return green::awaitlet(receiver.receive()); });
}

bool has_default_action(int number) {
  struct sigaction action {};
  REQUIRE(sigaction(number, nullptr, &action) == 0);
  return action.sa_handler == SIG_DFL;
}

}  // namespace

TEST_CASE("signals that come between two waits are kept, each once, in order") {
  aio::SignalReceiver receiver({SIGUSR1, SIGHUP});
  for (int i = 0; i < 3; ++i) {
    kill(getpid(), SIGHUP);  // its default action would end us
    kill(getpid(), SIGHUP);
    green::sleep(0.001);
    kill(getpid(), SIGUSR1);
    CHECK(next_of(receiver) == SIGHUP);
    CHECK(next_of(receiver) == SIGUSR1);
    auto none = aio::create_task(receiver.receive());
    green::sleep(0.005);
    CHECK(!none.done());
    none.cancel();
    green::sleep(0);
  }
}

TEST_CASE("every receiver gets a signal, of several waits at one receiver one") {
  aio::SignalReceiver one(SIGUSR1);
  aio::SignalReceiver other(SIGUSR1);
  auto first = aio::create_task(one.receive());
  auto second = aio::create_task(one.receive());
  green::sleep(0);
  kill(getpid(), SIGUSR1);
  CHECK(next_of(other) == SIGUSR1);
  CHECK(green::awaitlet(first) == SIGUSR1);
  CHECK(!second.done());
  kill(getpid(), SIGUSR1);
  CHECK(green::awaitlet(second) == SIGUSR1);
}

TEST_CASE("a wait that is cut short loses nothing") {
  aio::SignalReceiver receiver(SIGUSR1);
  CHECK_THROWS_AS(aio::run(aio::wait_for(receiver.receive(), 0.001)), aio::TimeoutError);
  auto waiting = aio::create_task(receiver.receive());
  green::sleep(0);
  kill(getpid(), SIGUSR1);
  waiting.cancel();
  CHECK(next_of(receiver) == SIGUSR1);
}

TEST_CASE("the default action is back with the end of the last receiver, also of one that moved") {
  {
    aio::SignalReceiver first(SIGUSR2);
    aio::SignalReceiver moved(std::move(first));
    CHECK_THROWS_AS((void)first.receive(), std::logic_error);
    CHECK(!has_default_action(SIGUSR2));
    kill(getpid(), SIGUSR2);
    CHECK(next_of(moved) == SIGUSR2);
  }
  CHECK(has_default_action(SIGUSR2));
}

TEST_CASE("who waits while a receiver is destroyed is told") {
  auto receiver = std::make_unique<aio::SignalReceiver>(SIGUSR2);
  auto waiting = aio::create_task(receiver->receive());
  green::sleep(0);
  receiver.reset();
  CHECK_THROWS_AS(green::awaitlet(waiting), std::logic_error);
}

TEST_CASE("a receiver may outlive its hub") {
  std::unique_ptr<aio::SignalReceiver> receiver;
  std::thread([&] { receiver = std::make_unique<aio::SignalReceiver>(SIGUSR2); }).join();
  receiver.reset();
  CHECK(has_default_action(SIGUSR2));
}

TEST_CASE("what is no signal, or cannot be caught, is invalid_argument") {
  for (const int number : {0, -1, 10'000, SIGKILL}) {
    CHECK_THROWS_AS(aio::SignalReceiver{number}, std::invalid_argument);
    CHECK_THROWS_AS(aio::SignalReceiver({SIGUSR2, number}), std::invalid_argument);
  }
  CHECK(has_default_action(SIGUSR2));
}
