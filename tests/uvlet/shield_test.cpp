#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/event.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

using green::Shield;

namespace {

constexpr double long_time = test::watchdog;

static_assert(!std::is_copy_constructible_v<Shield>);
static_assert(!std::is_copy_assignable_v<Shield>);
static_assert(std::is_default_constructible_v<Shield>);

template <class F>
struct AtExit {
  explicit AtExit(F f) : function(std::move(f)) {}
  AtExit(const AtExit&) = delete;
  AtExit& operator=(const AtExit&) = delete;
  ~AtExit() { function(); }
  F function;
};

}  // namespace

TEST_CASE("in a Shield a kill waits; it is thrown at the first wait after") {
  test::Log log;
  auto thread = green::spawn([&] {
    {
      const Shield shield;
      green::sleep(0.005);
      green::sleep(0);
      log("inside");
    }
    log("after");
    green::sleep(long_time);
    log("not reached");
  });
  green::sleep(0);
  thread.kill();  // returns
  CHECK_FALSE(thread.dead());
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "inside after");
}

TEST_CASE("in a Shield a Timeout waits, and is thrown at the first wait after") {
  bool inside = false;
  const green::Timeout timeout(0.002);
  {
    const Shield shield;
    green::sleep(0.02);
    inside = true;
  }
  CHECK(inside);
  CHECK_THROWS_AS(green::sleep(long_time), green::TimeoutExpired);
}

TEST_CASE("Shields nest: the outermost counts") {
  test::Log log;
  auto thread = green::spawn([&] {
    const Shield outer;
    {
      const Shield inner;
      green::sleep(0.002);
      log("inner");
    }
    green::sleep(0.002);
    log("outer");
  });
  green::sleep(0);
  thread.kill();
  thread.wait();
  CHECK(log.text() == "inner outer");
}

TEST_CASE("a kill with an exception waits too, and keeps its exception") {
  const test::Quiet quiet;
  auto thread = green::spawn([] {
    {
      const Shield shield;
      green::sleep(0.002);
    }
    green::sleep(long_time);
  });
  green::sleep(0);
  thread.kill(std::runtime_error("kept"));
  CHECK_FALSE(thread.dead());
  CHECK_THROWS_WITH_AS(thread.wait(), "kept", std::runtime_error);
}

TEST_CASE("a target that never waits after its Shield ends normally") {
  auto thread = green::spawn([] {
    {
      const Shield shield;
      green::sleep(0.002);
    }
    return 4;
  });
  green::sleep(0);
  thread.kill();
  CHECK(thread.wait() == 4);
}

TEST_CASE("killing oneself in a Shield only requests it") {
  test::Log log;
  auto thread = green::spawn([&] {
    {
      const Shield shield;
      green::getcurrent().kill();
      log("inside");
      green::sleep(0);
      log("slept");
    }
    green::sleep(0);
    log("not reached");
  });
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "inside slept");
}

TEST_CASE("a Shield is of its green thread alone") {
  auto shielded = green::spawn([] {
    const Shield shield;
    green::sleep(0.01);
  });
  auto other = green::spawn([] { green::sleep(long_time); });
  green::sleep(0);
  other.kill();
  CHECK(other.dead());
  shielded.wait();
}

TEST_CASE("who spawns in a Shield spawns no shielded one") {
  const Shield shield;
  auto thread = green::spawn([] { green::sleep(long_time); });
  green::sleep(0);
  thread.kill();
  CHECK(thread.dead());
}

TEST_CASE("a Timeout made in a Shield waits for its end as well") {
  test::Log log;
  {
    const Shield shield;
    log(green::move_on_after(0.002, [] { green::sleep(0.01); }) ? "finished" : "cut");
  }
  green::sleep(0);
  CHECK(log.text() == "finished");
}

TEST_CASE("awaitlet in a Shield lets its task finish") {
  int finished = 0;
  auto work = [](int& done) -> aio::task<void> {
    co_await aio::sleep(0.005);
    green::sleep(0.005);
    co_await aio::sleep(0.005);
    ++done;
  };
  auto thread = green::spawn([&] {
    {
      const Shield shield;
      green::awaitlet(work(finished));
      green::awaitlet(aio::create_task(work(finished)));
    }
    green::sleep(long_time);
  });
  green::sleep(0.001);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(finished == 2);
}

TEST_CASE("a Shield in a task holds a cancel back, and a kill of who drives it") {
  test::Log log;
  auto work = [](test::Log& to) -> aio::task<void> {
    {
      const Shield shield;
      co_await aio::sleep(0.01);
      to("inside");
    }
    co_await aio::sleep(long_time);
    to("not reached");
  };
  auto future = aio::create_task(work(log));
  green::sleep(0.001);
  CHECK(future.cancel());
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  auto thread = green::spawn([&] { green::awaitlet(work(log)); });
  green::sleep(0.001);
  thread.kill();
  CHECK_FALSE(thread.dead());
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "inside inside");
}

TEST_CASE("kills that waited for a Shield are thrown in their order, before an expired Timeout") {
  test::Log log;
  auto thread = green::spawn([&] {
    const green::Timeout timeout(0.002);
    {
      const Shield shield;
      green::sleep(0.02);
    }
    for (int i = 0; i < 4; ++i) try {
        green::sleep(0.002);
        log("slept");
      } catch (const std::runtime_error& error) {
        log(error.what());
      } catch (const green::TimeoutExpired&) {
        log("timeout");
      }
  });
  green::sleep(0.01);
  thread.kill(std::runtime_error("first"));
  thread.kill(std::runtime_error("second"));
  thread.wait();
  CHECK(log.text() == "first second timeout slept");
}

TEST_CASE("two interrupts that waited for a Shield are thrown one after the other") {
  test::Log log;
  auto thread = green::spawn([&] {
    const green::Timeout timeout(0.002);
    {
      const Shield shield;
      green::sleep(0.02);
    }
    for (int i = 0; i < 3; ++i) try {
        green::sleep(0.002);
        log("slept");
      } catch (const green::BaseException& interrupt) {
        log(dynamic_cast<const green::TimeoutExpired*>(&interrupt) ? "timeout" : "exit");
      }
  });
  green::sleep(0.001);
  thread.kill();
  thread.wait();
  const std::string seen = log.text();
  CHECK((seen == "timeout exit slept" || seen == "exit timeout slept"));
}

TEST_CASE("of Timeouts that wait for a Shield any can be cancelled, and the others are thrown") {
  const char* const left[] = {"12", "02", "01"};
  for (std::size_t cancelled = 0; cancelled < 3; ++cancelled) {
    CAPTURE(cancelled);
    std::optional<Shield> shield(std::in_place);
    green::Timeout first(0), second(0), third(0);
    green::Timeout* const all[] = {&first, &second, &third};
    all[cancelled]->cancel();
    shield.reset();
    std::string thrown;
    for (int i = 0; i < 3; ++i) try {
        green::sleep(0);
      } catch (const green::TimeoutExpired& interrupt) {
        for (std::size_t k = 0; k < 3; ++k)
          if (interrupt.is(*all[k])) thrown += std::to_string(k);
      }
    CHECK(thrown == left[cancelled]);
  }
}

// --- while exceptions are being unwound

TEST_CASE("a destructor that waits during unwinding is not interrupted by a kill") {
  test::Log log;
  auto thread = green::spawn([&] {
    try {
      const AtExit cleanup([&] {
        green::sleep(0.005);
        log("cleaned");
      });
      throw std::runtime_error("unwinds");
    } catch (const std::runtime_error&) {
      log("caught");
    }
    green::sleep(long_time);
    log("not reached");
  });
  green::sleep(0);  // it sleeps in the destructor
  thread.kill();
  CHECK_FALSE(thread.dead());
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "cleaned caught");
}

TEST_CASE("a destructor that waits during unwinding is not interrupted by an outer Timeout") {
  test::Log log;
  const green::Timeout timeout(0.002);
  try {
    const AtExit cleanup([&] {
      green::sleep(0.02);
      log("cleaned");
    });
    throw std::runtime_error("unwinds");
  } catch (const std::runtime_error&) {
    log("caught");
  }
  CHECK_THROWS_AS(green::sleep(long_time), green::TimeoutExpired);
  CHECK(log.text() == "cleaned caught");
}

TEST_CASE("a Timeout made in that destructor interrupts what the destructor waits for") {
  test::Log log;
  auto thread = green::spawn([&] {
    const AtExit cleanup([&] {
      log(green::move_on_after(0.002, [] { green::sleep(long_time); }) ? "finished" : "cut");
      try {
        green::with_timeout(0.002, [] { green::sleep(long_time); });
      } catch (const green::TimeoutExpired&) {
        log("thrown");
      }
    });
    green::sleep(long_time);
  });
  green::sleep(0);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "cut thrown");
}

TEST_CASE("many kills during clean-up end the victim once") {
  int cleaned = 0;
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 200; ++i)
    threads.push_back(green::spawn([&] {
      const AtExit first([&] {
        green::sleep(0.001);
        ++cleaned;
      });
      const AtExit second([&] {
        green::sleep(0);
        green::awaitlet(aio::sleep(0.001));
        ++cleaned;
      });
      green::sleep(long_time);
    }));
  green::sleep(0);
  for (int round = 0; round < 3; ++round)
    for (auto& thread : threads) thread.kill();
  for (auto& thread : threads) CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(cleaned == 400);
}

TEST_CASE("in a catch block, with nothing being unwound, a kill is thrown at once") {
  auto thread = green::spawn([] {
    try {
      throw std::runtime_error("caught");
    } catch (const std::runtime_error&) {
      green::sleep(long_time);
    }
  });
  green::sleep(0);
  thread.kill();
  CHECK(thread.dead());
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
}

TEST_CASE("a Shield in a destructor that runs during unwinding ends with it") {
  test::Log log;
  auto thread = green::spawn([&] {
    const AtExit cleanup([&] {
      const Shield shield;
      green::sleep(0.002);
      log("cleaned");
    });
    green::sleep(long_time);
  });
  green::sleep(0);
  thread.kill();
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(log.text() == "cleaned");
}

TEST_CASE("a wait under a Shield keeps its result, and the interrupt comes at the next wait") {
  green::Event<int> event;
  int got = 0;
  auto thread = green::spawn([&] {
    {
      const Shield shield;
      got = event.wait();
    }
    green::sleep(long_time);
  });
  green::sleep(0);
  thread.kill();
  event.send(6);
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(got == 6);
}
