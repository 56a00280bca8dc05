#include <aio/wait_signal.hpp>

#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <csignal>
#include <stdexcept>
#include <unistd.h>

TEST_CASE("a signal wakes all who wait for it, and nobody else") {
  auto first = aio::create_task(aio::wait_signal(SIGUSR1));
  auto second = green::spawn([] { return green::awaitlet(aio::wait_signal(SIGUSR1)); });
  auto other = aio::create_task(aio::wait_signal(SIGUSR2));
  green::sleep(0);
  kill(getpid(), SIGUSR1);
  CHECK(green::awaitlet(first) == SIGUSR1);
  CHECK(second.wait() == SIGUSR1);
  CHECK(!other.done());
  kill(getpid(), SIGUSR2);
  CHECK(green::awaitlet(other) == SIGUSR2);
}

TEST_CASE("it can be waited for again, and a cancelled wait leaves") {
  CHECK_THROWS_AS(aio::run(aio::wait_for(aio::wait_signal(SIGUSR1), 0.001)), aio::TimeoutError);
  for (int i = 0; i < 3; ++i) {
    auto waiting = aio::create_task(aio::wait_signal(SIGUSR1));
    green::sleep(0);
    kill(getpid(), SIGUSR1);
    CHECK(green::awaitlet(waiting) == SIGUSR1);
  }
}

TEST_CASE("while nobody waits the default action is back") {
  CHECK_THROWS_AS(aio::run(aio::wait_for(aio::wait_signal(SIGUSR2), 0.001)), aio::TimeoutError);
  struct sigaction action {};
  REQUIRE(sigaction(SIGUSR2, nullptr, &action) == 0);
  const bool is_default = action.sa_handler == SIG_DFL;
  CHECK(is_default);
}

TEST_CASE("what is no signal, or cannot be caught, is invalid_argument") {
  for (const int number : {0, -1, 10'000, SIGKILL})
    CHECK_THROWS_AS(aio::run(aio::wait_signal(number)), std::invalid_argument);
}
