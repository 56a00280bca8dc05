// usage: awaitlet [--json FILE] [ROUNDS]
//
// What it costs an ordinary function to wait for a coroutine, and a coroutine for a task, beside
// what others have for that. bench/README.md says which peers are found where.

#include "peers/peers.hpp"
#include "support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

// As the bare jump is: a function that returns after a switch costs a mispredicted `ret`.
#define INLINED __attribute__((always_inline))

namespace {

aio::task<int> ready() { co_return 1; }
aio::task<int> suspends_once() {
  co_await aio::sleep(0);
  co_return 1;
}

double awaitlet_ready() {
  return bench::each_of(4'000'000, []() INLINED { green::awaitlet(ready()); });
}

// Alone there is nobody to switch to meanwhile; else two switches a call, one of them ours.
template <bool alone>
double awaitlet_suspending() {
  green::GreenThread<void> other;
  if (!alone) {
    other = green::spawn([] {
      for (;;) green::sleep(0);
    });
    green::sleep(0);
  }
  const double time = bench::each_of(1'000'000, []() INLINED { green::awaitlet(suspends_once()); });
  if (!alone) other.kill();
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

  const auto ready_task = suite.row("awaitlet, ready", awaitlet_ready);
  suite.row("Asio, ready", ASIO(asio_ready));
  const auto asio_any =
      suite.row("Asio with any_io_executor, ready", ASIO(asio_ready_any_executor));
  suite.row("Python's awaitlet, ready", peers::python("awaitlet_ready"));

  const auto beside = suite.row("awaitlet, suspends beside another", awaitlet_suspending<false>);
  const auto asio_beside =
      suite.row("Asio, suspends beside another", ASIO(asio_suspending_beside_another));
  const auto alone = suite.row("awaitlet, suspends alone", awaitlet_suspending<true>);
  const auto asio_alone = suite.row("Asio, suspends alone", ASIO(asio_suspending));
  const auto asio_any_alone =
      suite.row("Asio with any_io_executor, suspends alone", ASIO(asio_suspending_any_executor));
  const auto python_alone =
      suite.row("Python's awaitlet, suspends alone", peers::python("awaitlet_suspending"));

  const auto thread = suite.row("an OS thread + promise", peers::thread_and_promise);
  const auto thread_loop =
      suite.row("an OS thread with a loop of its own", peers::thread_with_loop);
  suite.row("Python, a thread with a loop of its own", peers::python("thread_with_loop"));
  const auto created = suite.row("create_task + co_await of it", create_task_and_await);
  const auto spawned = suite.row("spawn + wait", spawn_and_wait);

  suite.at_most(ready_task, 2.6);
  suite.ahead(ready_task, asio_any, 35);
  suite.at_most(beside, 10);
  suite.ahead(beside, asio_beside, 9);
  suite.ahead(alone, asio_alone, 9);
  suite.ahead(alone, asio_any_alone, 9);
  suite.ahead(alone, python_alone, 90);
  suite.ahead(beside, thread, 250);
  suite.ahead(beside, thread_loop, 250);
  suite.at_most(created, 25);
  suite.at_most(spawned, 8.3);  // 40 ns where a jump takes 4.8
  return suite.run(argc, argv);
}
