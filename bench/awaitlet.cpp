// usage: awaitlet [--json FILE] [ROUNDS]
//
// What it costs an ordinary function to wait for a coroutine, and a coroutine for a task, beside
// what others have for that. bench/README.md says which peers are found where.

#include "peers/peers.hpp"
#include "support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <vector>

namespace {

aio::task<int> ready() { co_return 1; }
aio::task<int> suspends_once() {
  co_await aio::sleep(0);
  co_return 1;
}

double awaitlet_ready() {
  return bench::each_of(4'000'000, [] { green::awaitlet(ready()); });
}

double awaitlet_suspending_alone() {
  return bench::each_of(1'000'000, [] { green::awaitlet(suspends_once()); });
}

// With another green thread to go to meanwhile: two switches a call, one of them ours.
double awaitlet_suspending() {
  const auto other = green::spawn([] {
    for (;;) green::sleep(0);
  });
  green::sleep(0);
  const double time = awaitlet_suspending_alone();
  other.kill();
  return time;
}

aio::task<double> create_and_await_each(int calls) {
  const auto start = bench::Clock::now();
  for (int i = 0; i < calls; ++i) co_await aio::create_task(ready());
  co_return bench::nanoseconds_since(start) / calls;
}
double create_task_and_await() { return aio::run(create_and_await_each(500'000)); }

double spawn_and_wait() {
  return bench::each_of(500'000, [] { green::spawn([] {}).wait(); });
}

aio::task<void> sleeper() { co_await aio::sleep(3600); }
double idle_task_bytes() {
  constexpr int count = 100'000;
  green::sleep(0);
  const double before = bench::resident_bytes();
  for (int i = 0; i < count; ++i) aio::create_task(sleeper());
  green::sleep(0);  // all have started
  green::sleep(0);
  return (bench::resident_bytes() - before) / count;
}

#if defined(HAVE_ASIO)
#define ASIO(function) peers::function
#else
#define ASIO(function) nullptr
#endif

}  // namespace

int main(int argc, char** argv) {
  bench::Suite suite("awaitlet");
  suite.bytes("idle task parked in sleep", idle_task_bytes, 400);
  suite.bytes("idle awaitable parked in a timer, Asio", ASIO(asio_idle_bytes));

  const auto ours = suite.row("awaitlet of a ready task", awaitlet_ready);
  const auto asio = suite.row("Asio spawn + co_spawn, ready", ASIO(asio_ready));
  const auto asio_any =
      suite.row("Asio spawn + co_spawn, ready, any_io_executor", ASIO(asio_ready_any_executor));
  const auto python = suite.row("Python's awaitlet, ready", peers::python("awaitlet_ready"));
  const auto suspending = suite.row("awaitlet of a task that suspends once", awaitlet_suspending);
  suite.row("the same, with nobody to switch to", awaitlet_suspending_alone);
  const auto asio_suspending =
      suite.row("Asio spawn + co_spawn, suspends once", ASIO(asio_suspending));
  const auto asio_suspending_any = suite.row(
      "Asio spawn + co_spawn, suspends once, any_io_executor", ASIO(asio_suspending_any_executor));
  const auto python_suspending =
      suite.row("Python's awaitlet, suspends once", peers::python("awaitlet_suspending"));
  const auto thread = suite.row("an OS thread + promise a call", peers::thread_and_promise);
  const auto thread_loop =
      suite.row("an OS thread with a loop of its own a call", peers::thread_with_loop);
  const auto python_thread = suite.row("Python: a thread with a loop of its own a call",
                                       peers::python("thread_with_loop"));
  const auto created = suite.row("create_task + co_await of it", create_task_and_await);
  const auto spawned = suite.row("spawn + wait", spawn_and_wait);

  suite.at_most(ours, 2.6);
  suite.ahead(ours, asio, 35);
  suite.ahead(ours, asio_any, 35);
  suite.ahead(ours, python, 90);
  suite.at_most(suspending, 10);
  suite.ahead(suspending, asio_suspending, 9);
  suite.ahead(suspending, asio_suspending_any, 9);
  suite.ahead(suspending, python_suspending, 90);
  suite.ahead(suspending, thread, 250);
  suite.ahead(suspending, thread_loop, 250);
  suite.ahead(suspending, python_thread, 250);
  suite.at_most(created, 25);
  suite.at_most(spawned, 12);
  return suite.run(argc, argv);
}
