#include <green/debug.hpp>

#include "../standard_error.hpp"
#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/event.hpp>
#include <green/semaphore.hpp>
#include <green/socket.hpp>
#include <uvlet/testing.hpp>

#include <algorithm>
#include <limits>
#include <sstream>
#include <stdexcept>

// Not in an unnamed namespace: some are, to have both kinds.
[[gnu::noinline]] int wait_far_below(green::Event<int>& event, int depth) {
  int result = depth > 0 ? wait_far_below(event, depth - 1) + 1 : event.wait();
  __asm__ volatile("" : "+r"(result));  // neither a tail call nor a loop
  return result;
}

namespace {

using green::GreenletInfo;

const GreenletInfo& of(const std::vector<GreenletInfo>& all, const green::Greenlet& thread) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const GreenletInfo& one) { return one.id == thread.id(); });
  REQUIRE(found != all.end());
  return *found;
}

std::string text_of(const std::vector<void*>& frames) {
  std::string text;
  for (void* frame : frames) text += green::debug::format_address(frame) + "\n";
  return text;
}

std::string trace(const green::Greenlet& thread) {
  return text_of(green::debug::backtrace(thread));
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

[[gnu::noinline]] void static_sleeper() {
  green::sleep(test::watchdog * 10);
  __asm__ volatile("");
}

aio::task<int> inner_task(green::Event<int>& event) { co_return co_await event.wait_async(); }
aio::task<int> outer_task(green::Event<int>& event) { co_return co_await inner_task(event) + 1; }

[[gnu::noinline]] int waits_by_awaitlet(green::Event<int>& event) {
  return green::awaitlet(outer_task(event)) + 1;
}
aio::task<int> calls_green_code(green::Event<int>& event) { co_return wait_far_below(event, 2); }

}  // namespace

TEST_CASE("ps says who runs, is ready, waits, and has not started") {
  green::Event<> event;
  green::Semaphore gate(0);
  auto waiter = green::spawn([&] { event.wait(); });
  auto sleeper = green::spawn([] { green::sleep(test::watchdog); });
  sleeper.set_name("sleepy");
  auto yielder = green::spawn([&] {
    gate.acquire();
    green::sleep(0);
  });
  auto task = aio::create_task(aio::as_task(event.wait_async()));
  green::sleep(0);
  gate.release();
  auto unstarted = green::spawn([] {});
  const auto all = green::debug::ps();
  CHECK(all.front().id == green::getcurrent().id());
  CHECK(all.front().state == "running");
  CHECK(all.front().waiting_on.empty());
  CHECK(all.front().spawned_at == nullptr);
  CHECK(of(all, waiter).state == "waiting");
  CHECK(of(all, waiter).waiting_on == "an event");
  CHECK(of(all, sleeper).waiting_on == "sleep");
  CHECK(of(all, sleeper).name == "sleepy");
  CHECK(of(all, yielder).state == "ready");
  CHECK(of(all, yielder).waiting_on.empty());
  CHECK(of(all, unstarted).state == "unstarted");
  CHECK(of(all, unstarted).name == "green-thread-" + std::to_string(unstarted.id()));
  CHECK(of(all, waiter).spawned_at != nullptr);
  CHECK(all.size() == 6);
  CHECK(std::is_sorted(all.begin() + 1, all.end(),
                       [](const auto& a, const auto& b) { return a.id < b.id; }));
  for (const GreenletInfo& one : all) CHECK(one.for_seconds >= 0);
  event.send();
  sleeper.kill();
  waiter.wait();
  yielder.wait();
  unstarted.wait();
  green::awaitlet(task);
  CHECK_FALSE(green::debug::find(waiter.id()));
  CHECK(green::debug::ps().size() == 1);
}

TEST_CASE("ps gives the names that handles give, also where there is no handle yet") {
  auto sleeper = green::spawn(static_sleeper);
  green::spawn_n(static_sleeper);
  auto task = aio::create_task(aio::as_task(aio::sleep(test::watchdog)));
  green::sleep(0);
  const auto all = green::debug::ps();
  CHECK(all.size() == 4);
  for (const GreenletInfo& one : all) {
    CAPTURE(one.name);
    CHECK(one.name == green::debug::find(one.id)->name());
  }
  for (std::size_t i = 1; i < all.size(); ++i) green::debug::find(all[i].id)->kill();
}

TEST_CASE("ps says for how long, on the hub's clock") {
  uvlet::testing::simulate(1, [] {
    auto sleeper = green::spawn([] { green::sleep(100); });
    auto busy = green::spawn([] {
      for (;;) green::sleep(1);
    });
    green::sleep(7.5);
    const auto all = green::debug::ps();
    CHECK(of(all, sleeper).for_seconds == doctest::Approx(7.5));
    CHECK(of(all, busy).for_seconds < 1);
    CHECK(of(all, green::getcurrent()).for_seconds < 0.001);
    auto late = green::spawn([] {});
    CHECK(of(green::debug::ps(), late).for_seconds < 0.001);
  });
}

TEST_CASE("print_ps gives a line to each, and where it was spawned") {
  auto sleeper = green::spawn(static_sleeper);
  sleeper.set_name("dormouse");
  green::sleep(0);
  std::ostringstream out;
  green::debug::print_ps(out);
  CHECK(count(out.str(), "\n") == 3);
  CHECK(out.str().find("dormouse, sleep, ") != std::string::npos);
  CHECK(out.str().find("running") != std::string::npos);
  sleeper.kill();
}

TEST_CASE("the backtrace of a parked one names its functions, static ones too") {
  green::Event<int> event;
  auto deep = green::spawn([&] { return wait_far_below(event, 3); });
  auto sleeper = green::spawn(static_sleeper);
  green::sleep(0);
  CHECK(count(trace(deep), "wait_far_below") == 4);
  CHECK(trace(sleeper).find("static_sleeper") != std::string::npos);
  CHECK(trace(sleeper).find("wait_far_below") == std::string::npos);
  sleeper.kill();
  event.send(1);
  CHECK(deep.wait() == 4);
}

TEST_CASE("a backtrace leaves who is parked as it was, however often it is taken") {
  green::Event<int> event;
  int seen = 0;
  auto thread = green::spawn([&] {
    double held[32];
    for (int i = 0; i < 32; ++i) held[i] = i * 0.5;
    try {
      throw std::runtime_error("held");
    } catch (const std::exception& error) {
      errno = 77;
      seen = wait_far_below(event, 1);
      CHECK(errno == 77);
      CHECK(std::string(error.what()) == "held");
      CHECK(std::current_exception() != nullptr);
    }
    double sum = 0;
    for (const double value : held) sum += value;
    return sum;
  });
  green::sleep(0);
  const std::string first = trace(thread);
  const std::vector<void*> frames = green::debug::backtrace(thread);
  for (int i = 0; i < 20'000; ++i) REQUIRE(green::debug::backtrace(thread) == frames);
  CHECK(trace(thread) == first);
  CHECK(std::current_exception() == nullptr);
  event.send(5);
  CHECK(thread.wait() == 248);
  CHECK(seen == 6);
}

TEST_CASE("there is no backtrace of one that is dead, unstarted or nobody") {
  auto thread = green::spawn([] {});
  CHECK(green::debug::backtrace(thread).empty());
  thread.wait();
  CHECK(green::debug::backtrace(thread).empty());
  CHECK(green::debug::backtrace(green::Greenlet()).empty());
}

TEST_CASE("the backtrace of the one that runs is the caller's; main can be looked at too") {
  const green::Greenlet main = green::getcurrent();
  CHECK(trace(main).find("main+0x") != std::string::npos);
  auto other = green::spawn([&] { return trace(main); });
  CHECK(other.wait().find("main+0x") != std::string::npos);
}

TEST_CASE("coroutines that wait for one another are in the backtrace, innermost first") {
  green::Event<int> event;
  auto task = green::spawn_for_awaitable(outer_task(event));
  auto thread = green::spawn([&] { return waits_by_awaitlet(event); });
  auto future = aio::create_task(outer_task(event));
  green::sleep(0);
  for (const std::string& text : {trace(task), trace(thread)}) {
    CHECK(text.find("inner_task") < text.find("outer_task"));
    CHECK(text.find("outer_task") != std::string::npos);
  }
  CHECK(trace(thread).find("waits_by_awaitlet") != std::string::npos);
  std::string all;
  for (const GreenletInfo& one : green::debug::ps())
    if (one.id != task.id() && one.id != thread.id() && one.state == "waiting")
      all += trace(*green::debug::find(one.id));
  CHECK(all.find("inner_task") < all.find("outer_task"));
  CHECK(all.find("outer_task") != std::string::npos);
  event.send(1);
  CHECK(task.wait() == 2);
  CHECK(thread.wait() == 3);
  CHECK(green::awaitlet(future) == 2);
}

TEST_CASE("a task that is inside a green call shows the stack that it was lent") {
  green::Event<int> event;
  auto future = aio::create_task(calls_green_code(event));
  green::sleep(0);
  std::string text;
  for (const GreenletInfo& one : green::debug::ps())
    if (one.state == "waiting") text += trace(*green::debug::find(one.id));
  CHECK(count(text, "wait_far_below") == 3);
  CHECK(text.find("calls_green_code") != std::string::npos);
  event.send(1);
  CHECK(green::awaitlet(future) == 3);
}

TEST_CASE("format_hub_listeners gives a line to each descriptor that is waited for") {
  auto [one, other] = uvlet::testing::stream_pair();
  auto a = green::Socket::from_fd(one);
  auto b = green::Socket::from_fd(other);
  CHECK(green::debug::format_hub_listeners().empty());
  auto reader = green::spawn([&] { return a.recv(10); });
  reader.set_name("listener");
  green::sleep(0);
  const std::string text = green::debug::format_hub_listeners();
  CHECK(text.find("descriptor " + std::to_string(one) + ": ") != std::string::npos);
  CHECK(text.find("'listener'") != std::string::npos);
  CHECK(count(text, "\n") == 1);
  auto writer = green::spawn([&] { b.sendall(std::string(10'000'000, 'x')); });
  green::sleep(0.001);
  CHECK(green::debug::format_hub_listeners().find("descriptor " + std::to_string(other) +
                                                  ": writer") != std::string::npos);
  reader.wait();
  writer.kill();
  CHECK(green::debug::format_hub_listeners().empty());
}

TEST_CASE("format_hub_timers gives a line to each timer, the next first, and whom it is for") {
  CHECK(green::debug::format_hub_timers().empty());
  green::Semaphore semaphore(0);
  green::Event<> event;
  auto late = green::spawn([] { green::sleep(2000); });
  auto early = green::spawn([&] { semaphore.try_acquire_for(1000); });
  auto last = green::spawn([&] { event.wait(3000); });
  early.set_name("early");
  const green::Timeout timeout(1500);
  green::sleep(0);
  const std::string text = green::debug::format_hub_timers();
  CHECK(count(text, "\n") == 4);
  CHECK(text.find("a semaphore for green thread") < text.find("a Timeout for the main"));
  CHECK(text.find("a Timeout for the main") < text.find("sleep for green thread"));
  CHECK(text.find("sleep for green thread") < text.find("an event for green thread"));
  CHECK(text.find("an event for green thread") != std::string::npos);
  CHECK(text.find("'early'") != std::string::npos);
  CHECK(text.find("in ") == 0);
  for (const green::Greenlet& thread :
       {green::Greenlet(late), green::Greenlet(early), green::Greenlet(last)})
    thread.kill();
}

TEST_CASE("what is seen from a libuv callback is the same") {
  auto sleeper = green::spawn(static_sleeper);
  green::sleep(0);
  test::in_libuv_callback([&] {
    CHECK(trace(sleeper).find("static_sleeper") != std::string::npos);
    CHECK(of(green::debug::ps(), sleeper).state == "waiting");
    CHECK(green::debug::format_hub_timers().find("sleep") != std::string::npos);
  });
  sleeper.kill();
}

TEST_CASE(
    "what ends a green thread is printed while hub_exceptions is on, and GreenletExit never") {
  test::StandardError error;
  green::debug::hub_exceptions(false);
  green::spawn([] { throw std::runtime_error("silent"); });
  green::spawn_n([] { throw std::runtime_error("silent"); });
  green::sleep(0);
  green::debug::hub_exceptions(true);
  green::spawn([] { throw green::GreenletExit(); });
  green::spawn_n([] { throw green::GreenletExit(); });
  auto killed = green::spawn(static_sleeper);
  green::sleep(0);
  killed.kill();
  CHECK(error.text() == "");
  green::spawn([] { throw std::runtime_error("loud"); });
  green::spawn_n([] { throw std::runtime_error("loud"); });
  green::spawn_n([] { throw 5; });
  green::sleep(0);
  CHECK(count(error.text(), "ended with std::runtime_error: loud") == 2);
  CHECK(count(error.text(), "ended with ") == 3);
}
