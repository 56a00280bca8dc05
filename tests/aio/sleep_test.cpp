#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/sleep.hpp>

#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>

using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;
using test::Log;

}  // namespace

TEST_CASE("sleep never ends early") {
  for (const double seconds : {0.001, 0.0105, 0.02}) {
    const auto start = Clock::now();
    aio::run(aio::sleep(seconds));
    CHECK(std::chrono::duration<double>(Clock::now() - start).count() >= seconds);
  }
}

TEST_CASE("sleep is not early after a busy stretch: deadlines come from a fresh clock") {
  const auto busy = Clock::now();
  while (Clock::now() - busy < 20ms) {
  }
  const auto start = Clock::now();
  green::awaitlet(aio::sleep(10ms));
  CHECK(Clock::now() - start >= 10ms);
}

TEST_CASE("sleep takes seconds as a number and any chrono duration") {
  auto body = []() -> aio::task<> {
    co_await aio::sleep(0);
    co_await aio::sleep(0.001);
    co_await aio::sleep(0.001f);
    co_await aio::sleep(0u);
    co_await aio::sleep(1ms);
    co_await aio::sleep(10us);
    co_await aio::sleep(std::chrono::duration<float>(0.001f));
  };
  aio::run(body());
}

TEST_CASE("a negative length is zero, NaN is invalid_argument") {
  aio::run(aio::sleep(-5));
  CHECK_THROWS_AS(aio::sleep(std::nan("")), std::invalid_argument);
}

TEST_CASE("sleep of zero goes to the back of the line") {
  Log log;
  auto steps = [](Log& to, std::string name) -> aio::task<> {
    for (int i = 0; i < 3; ++i) {
      to(name);
      co_await aio::sleep(0);
    }
  };
  auto first = aio::create_task(steps(log, "a"));
  auto second = aio::create_task(steps(log, "b"));
  green::awaitlet(first);
  green::awaitlet(second);
  CHECK(log.text() == "a b a b a b");
}

TEST_CASE("sleepers wake in the order of their deadlines") {
  Log log;
  auto sleeper = [](Log& to, double seconds, std::string name) -> aio::task<> {
    co_await aio::sleep(seconds);
    to(name);
  };
  std::vector<aio::Future<>> all;
  all.push_back(aio::create_task(sleeper(log, 0.03, "c")));
  all.push_back(aio::create_task(sleeper(log, 0.01, "a")));
  all.push_back(aio::create_task(sleeper(log, 0.02, "b")));
  for (auto& one : all) green::awaitlet(one);
  CHECK(log.text() == "a b c");
}

TEST_CASE("sleep with a value gives it") {
  CHECK(aio::run(aio::sleep(0, 3)) == 3);
  CHECK(green::awaitlet(aio::sleep(0.001, std::string("text"))) == "text");
  CHECK(*aio::run(aio::sleep(0, std::make_unique<int>(4))) == 4);
}

TEST_CASE("sleep converts to a task") {
  aio::task<void> nap = aio::sleep(0.001);
  aio::run(std::move(nap));
  aio::task<int> value = aio::sleep(0.001, 5);
  CHECK(aio::run(std::move(value)) == 5);
  std::vector<aio::task<void>> naps;
  naps.push_back(aio::sleep(0));
  naps.push_back(aio::sleep(0.001));
  for (auto& one : naps) green::awaitlet(std::move(one));
}

TEST_CASE("a sleep that is never awaited takes no time") {
  const aio::task<void> unused = aio::sleep(3600);
  const auto named = aio::sleep(3600);
}

TEST_CASE("sleep for ever ends by cancel") {
  auto body = []() -> aio::task<> { co_await aio::sleep(std::numeric_limits<double>::infinity()); };
  auto future = aio::create_task(body());
  green::sleep(0.001);
  CHECK(!future.done());
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
}

TEST_CASE("a cancelled sleeper may sleep again") {
  auto body = []() -> aio::task<int> {
    try {
      co_await aio::sleep(3600);
    } catch (const aio::CancelledError&) {
    }
    co_await aio::sleep(0.001);
    co_return 1;
  };
  auto future = aio::create_task(body());
  green::sleep(0);
  future.cancel();
  CHECK(green::awaitlet(future) == 1);
}

TEST_CASE("a spinning task starves neither timers nor others") {
  bool stop = false;
  auto spin = [](bool& end) -> aio::task<> {
    while (!end) co_await aio::sleep(0);
  };
  auto timer = [](bool& end) -> aio::task<> {
    co_await aio::sleep(0.005);
    end = true;
  };
  auto first = aio::create_task(spin(stop));
  auto second = aio::create_task(timer(stop));
  green::with_timeout(test::watchdog, [&] { green::awaitlet(first); });
  CHECK(second.done());
}
