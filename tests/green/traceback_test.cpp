#include "../standard_error.hpp"
#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/debug.hpp>
#include <green/green.hpp>
#include <uvlet/traceback.hpp>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

// Neither inlined nor a tail call: it has a frame.
#define HAS_A_FRAME [[gnu::noinline]]
#define RETURN(call)      \
  const auto kept = call; \
  __asm__ volatile("");   \
  return kept

struct Traces {
  Traces() { green::debug::exception_traces(true); }
  ~Traces() { green::debug::exception_traces(false); }
};

HAS_A_FRAME int parse(int value) {
  if (value < 0) throw std::runtime_error("a negative value");
  RETURN(value);
}
aio::task<int> innermost(int value) {
  co_await aio::sleep(0);
  co_return parse(value);
}
aio::task<int> middle(int value) {
  const int result = co_await innermost(value);
  co_return result + 1;
}
HAS_A_FRAME int edge(int value) { RETURN(green::awaitlet(middle(value))); }
HAS_A_FRAME int business_logic(int value) { RETURN(edge(value)); }
aio::task<int> upper(int value) { co_return co_await aio::async_def(business_logic, value); }
HAS_A_FRAME int endpoint(int value) { RETURN(green::awaitlet(upper(value))); }

// The trace of what `function` throws, as it is caught here.
template <class F>
HAS_A_FRAME std::string trace_of(F function) {
  try {
    function();
  } catch (...) {
    return green::debug::traceback();
  }
  return "nothing was thrown";
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

// The parts stand in the text in this order.
bool in_order(const std::string& text, const std::vector<std::string>& parts) {
  std::size_t at = 0;
  for (const std::string& part : parts) {
    const std::size_t found = text.find(part, at);
    if (found == std::string::npos) {
      MESSAGE("not found, or not there: ", part, " in\n", text);
      return false;
    }
    at = found + part.size();
  }
  return true;
}

}  // namespace

TEST_CASE("a trace joins functions and coroutines, layer by layer, innermost first") {
  const Traces on;
  const std::string text = trace_of([] { endpoint(-1); });
  CHECK(in_order(text, {"::parse", "::innermost", "::middle", "awaitlet at ", "traceback_test.cpp:",
                        ", in edge\n", "::edge", "::business_logic", "green thread ", "::upper",
                        "awaitlet at ", ", in endpoint\n", "::endpoint", "trace_of", "main+0x"}));
  for (const char* once : {"::parse", "::innermost", "::middle", "::business_logic"})
    CHECK(count(text, once) == 1);
  CHECK(count(text, "awaitlet at ") == 2);
  CHECK(count(text, "uvlet::") == 0);
  CHECK(text.ends_with('\n'));
}

TEST_CASE("a trace names lambdas and templates without their parameters") {
  const Traces on;
  auto by_lambda = [](const std::vector<std::string>& values) {
    return parse(-int(values.size()));
  };
  const std::string text = trace_of(
      [&] { green::awaitlet(aio::async_def(by_lambda, std::vector<std::string>{"one"})); });
  CHECK(in_order(text, {"::parse", "green thread ", ", spawned at aio::detail::async_def+0x",
                        "awaitlet at "}));
  CHECK(count(text, "basic_string") == 0);
}

TEST_CASE("who waits for a green thread that failed sees its way, and then his own") {
  const Traces on;
  const test::Quiet quiet;
  auto failed = green::spawn(endpoint, -1);
  failed.set_name("worker");
  auto other = green::spawn([&] { return trace_of([&] { failed.wait(); }); });
  CHECK(in_order(other.wait(), {"::parse", "awaitlet at ", ", in endpoint\n", "::endpoint",
                                "green thread ", "'worker', spawned at ", "trace_of"}));
}

TEST_CASE("a task, gather and wait_for hand the trace on") {
  const Traces on;
  auto by_task = [](int value) -> aio::task<int> {
    co_return co_await aio::create_task(middle(value));
  };
  CHECK(in_order(trace_of([&] { green::awaitlet(by_task(-1)); }),
                 {"::parse", "::middle", "task ", "awaitlet at "}));
  CHECK(in_order(trace_of([] { green::awaitlet(aio::gather(middle(1), middle(-1))); }),
                 {"::parse", "::middle", "task ", "awaitlet at "}));
  CHECK(in_order(trace_of([] { green::awaitlet(aio::wait_for(middle(-1), test::watchdog)); }),
                 {"::parse", "::middle", "aio::wait_for", "awaitlet at "}));
}

TEST_CASE("a Timeout's trace begins where it found its victim") {
  const Traces on;
  auto sleeps = []() -> aio::task<> { co_await aio::sleep(test::watchdog); };
  const std::string text = trace_of([&] {
    const green::Timeout timeout(0.001);
    green::awaitlet(sleeps());
  });
  CHECK(in_order(text, {"awaitlet at ", "trace_of"}));
}

TEST_CASE("the trace of an exception that was never thrown begins with who awaits it") {
  const Traces on;
  auto future = aio::Future<int>::create();
  future.set_exception(std::make_exception_ptr(std::runtime_error("made")));
  auto awaits = [](aio::Future<int> made) -> aio::task<int> { co_return co_await made; };
  CHECK(in_order(trace_of([&] { green::awaitlet(awaits(future)); }), {"awaitlet at ", "trace_of"}));
  CHECK(in_order(trace_of([&] { green::awaitlet(future); }), {"awaitlet at ", "trace_of"}));
}

TEST_CASE("an exception of another OS thread keeps its trace") {
  const Traces on;
  CHECK(in_order(trace_of([] { green::awaitlet(aio::to_thread(parse, -1)); }),
                 {"::parse", "awaitlet at ", "trace_of"}));
}

TEST_CASE("a coroutine that throws another exception begins another way") {
  const Traces on;
  auto translates = []() -> aio::task<int> {
    std::string what;
    try {
      co_return co_await middle(-1);
    } catch (const std::exception& error) {
      what = error.what();
    }
    throw std::logic_error(what);
  };
  const std::string text = trace_of([&] { green::awaitlet(translates()); });
  CHECK(count(text, "::parse") == 0);
  CHECK(in_order(text, {"awaitlet at ", "trace_of"}));
}

TEST_CASE("kills and cancels are not traced") {
  const Traces on;
  std::string seen = "nothing";
  auto victim = green::spawn([&] { seen = trace_of([] { green::sleep(test::watchdog); }); });
  green::sleep(0);
  victim.kill();
  CHECK(seen.empty());
  auto sleeps = [&]() -> aio::task<> {
    try {
      co_await aio::sleep(test::watchdog);
    } catch (...) {
      seen = green::debug::traceback();
      throw;
    }
  };
  seen = "nothing";
  auto future = aio::create_task(sleeps());
  green::sleep(0);
  future.cancel();
  green::sleep(0);
  CHECK(seen.empty());
}

TEST_CASE("nothing is recorded while traces are off") {
  green::debug::exception_traces(false);
  CHECK(trace_of([] { endpoint(-1); }).empty());
  CHECK(green::debug::traceback(nullptr).empty());
  CHECK(green::debug::traceback().empty());
}

TEST_CASE("an exception that is thrown later has nothing of one that was at its address") {
  int alive = 0;
  struct Heavy : test::Counted {
    using Counted::Counted;
  };
  for (int i = 0; i < 1000; ++i) {
    {
      const Traces on;
      CHECK(!trace_of([&] { throw Heavy(alive); }).empty());
      REQUIRE(alive == 0);
    }
    REQUIRE(trace_of([&] { throw Heavy(alive); }).empty());
    REQUIRE(trace_of([] { throw 7; }).empty());
  }
}

TEST_CASE("a trace goes with its exception: a hundred thousand take no memory") {
  const Traces on;
#if defined(UVLET_ASAN)
  constexpr int rounds = 2'000;  // its quarantine keeps what is freed
#else
  constexpr int rounds = 100'000;
#endif
  std::size_t before = 0;
  for (int i = 0; i < rounds; ++i) {
    if (i == rounds / 100) before = test::resident_bytes();
    try {
      edge(-1);
    } catch (const std::runtime_error&) {
    }
  }
#if !defined(UVLET_ASAN)
  CHECK(test::resident_bytes() < before + (std::size_t{20} << 20));  // traces take a kilobyte each
#endif
}

TEST_CASE("a trace that many add to stays bounded") {
  const Traces on;
  auto future = aio::Future<int>::create();
  future.set_exception(std::make_exception_ptr(std::runtime_error("read often")));
  std::string text;
  for (int i = 0; i < 1000; ++i) text = trace_of([&] { green::awaitlet(future); });
  CHECK(count(text, "\n") <= 256 + 64);
  CHECK(count(text, "awaitlet at ") > 10);
}

TEST_CASE("threads that throw at the same time do not disturb one another") {
  const Traces on;
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        right += count(trace_of([] { edge(-1); }), "::parse");
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 800);
}

TEST_CASE("the report of an exception that nobody caught has its trace") {
  const Traces on;
  test::StandardError error;
  green::spawn_n(edge, -1);
  green::sleep(0.01);
  CHECK(in_order(error.text(), {"ended with std::runtime_error: a negative value\n", "::parse",
                                "awaitlet at ", ", in edge\n", "::edge"}));
}

TEST_CASE("the report of a task whose exception nobody read has its trace") {
  const Traces on;
  test::StandardError error;
  aio::create_task(middle(-1));
  green::sleep(0.01);
  CHECK(in_order(error.text(), {"exception was never retrieved", "a negative value\n", "::parse",
                                "::innermost", "::middle", "task "}));
}
