// Each allocation of each operation fails once: the operation throws bad_alloc or does its work,
// and what it works on stays usable. Each operation on a hub of its own.

#include "../support.hpp"
#include "sockets.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>
#include <uvlet/testing_new.hpp>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

// How many checks failed. doctest's own would count what they ask for as failed when that throws.
int wrong = 0;
void check(bool holds) { wrong += !holds; }

// A green thread that waits for ever, and is killed at the end of the scope, which allocates
// nothing.
struct Sleeper {
  Sleeper() {
    while (!thread.started()) green::sleep(0);
  }
  ~Sleeper() {
    if (!thread.dead()) thread.kill();
  }
  Sleeper(const Sleeper&) = delete;
  green::Event<> never;
  green::GreenThread<void> thread = green::spawn([this] { never.wait(); });
};

template <class Body>
auto joined(Body body) {
  return green::spawn(std::move(body)).wait();
}

void kills_with_an_exception() {
  Sleeper sleeper;
  sleeper.thread.kill(std::runtime_error("killed"));
  check(sleeper.thread.dead());
}

void expires() {
  check(!green::move_on_after(0.0001, [] { green::sleep(test::watchdog); }));
}

void expires_with_an_exception() {
  const green::Timeout limit(0.0001, std::runtime_error("late"));
  try {
    green::sleep(test::watchdog);
    check(false);
  } catch (const std::runtime_error&) {
  }
}

void sends_an_event() {
  green::Event<std::string> event;
  event.send(std::string(100, 'x'));
  check(event.wait().size() == 100);
}

template <class Q>
void puts_and_gets() {
  Q queue;
  queue.put(1);
  queue.put(2);
  check(queue.get() + queue.get() == 3);
  check(queue.empty());
}

void puts_on_a_full_queue() {
  green::Queue<int> queue(1);
  for (int i = 0; i < 3; ++i) try {
      queue.put(i, 0.0001);
    } catch (const green::Full&) {
    }
  check(queue.get() == 0);
  check(queue.empty());
}

void pools() {
  green::GreenPool pool(2);
  struct Waiting {
    green::GreenPool& of;
    ~Waiting() {
      while (of.running() > 0) green::sleep(0);  // waitall() may throw here
      check(of.free() == 2);
    }
  } waiting{pool};
  for (int i = 0; i < 4; ++i) pool.spawn_n([] { green::sleep(0); });
}

void links() {
  int linked = 0;
  auto thread = green::spawn([] {});
  struct Joined {
    green::GreenThread<void>& of;
    ~Joined() { of.wait(); }
  } joined{thread};
  thread.link([&](green::GreenThread<void>) { ++linked; });
  thread.wait();
  check(linked == 1);
}

void uses_a_local() {
  static green::local<std::vector<int>> numbers;
  joined([] {
    numbers->assign(100, 1);
    check(numbers->size() == 100);
  });
}

void sets_a_result() {
  auto future = aio::Future<int>::create();
  future.set_result(3);
  check(green::awaitlet(future) == 3);
}

void cancels_a_future() {
  auto future = aio::Future<int>::create();
  check(future.cancel());
  check(future.cancelled());
}

void calls_back() {
  auto future = aio::Future<int>::create();
  int called = 0;
  future.add_done_callback([&](aio::Future<int>) { ++called; });
  future.set_result(1);
  green::sleep(0);
  green::sleep(0);
  check(called == 1);
}

void awaits() {
  auto child = []() -> aio::task<int> {
    co_await aio::sleep(0);
    co_return 1;
  };
  auto parent = [&]() -> aio::task<int> { co_return co_await child() + 1; };
  check(green::awaitlet(parent()) == 2);
}

void locks() {
  green::mutex mutex;
  green::Semaphore semaphore(1);
  {
    const std::scoped_lock both(mutex, semaphore);
    joined([&] { check(!semaphore.try_acquire_for(0.0001)); });
  }
  check(mutex.try_lock());
  mutex.unlock();
  check(semaphore.balance() == 1);
}

void connects() {
  green::Socket listener = green::listen(test::anywhere());
  green::Socket client = green::connect(listener.getsockname());
  green::Socket server = listener.accept().first;
  client.sendall("line\n");
  check(server.makefile().readline() == "line\n");
}

void executes() {
  check(green::tpool::execute([] { return 7; }) == 7);
}

void uses_a_pipe() {
  const auto [reader, writer] = green::os::pipe();
  const green::OwnedFd reads(reader), writes(writer);
  green::os::write(writer, "x");
  check(green::os::read(reader, 10) == "x");
}

// The hub's first wait and first kill, which leave it what it needs for more.
void warm_up() { const Sleeper sleeper; }

// What a system call could not have for want of memory is told as its error.
void with_enomem_as_bad_alloc(const std::function<void()>& operation) {
  try {
    operation();
  } catch (const std::system_error& error) {
    if (error.code().value() != ENOMEM) throw;
    throw std::bad_alloc();
  }
}

// Runs it on a hub of its own with allocation `at` failing; false if it does not get so far.
bool fails_at(std::uint64_t at, const std::function<void()>& operation) {
  std::uint64_t failed = 0;
  std::thread([&] {
    warm_up();
    std::uint64_t run = 0;
    failed = uvlet::testing::fail_each_allocation([&] {
      while (run < at) try {
          ::operator delete(::operator new(1));
        } catch (const std::bad_alloc&) {
          ++run;
          throw;
        }
      if (run++ == at) with_enomem_as_bad_alloc(operation);
    });
    check(joined([] { return 5; }) == 5);
    check(uvlet::Hub::get().stats().tasks == 0);
    check(uvlet::Hub::get().stats().timers == 0);
  }).join();
  return failed > at;
}

void each_fails(const char* name, const std::function<void()>& operation) {
  CAPTURE(name);
  wrong = 0;
  std::uint64_t at = 0;
  while (fails_at(at, operation)) ++at;
  MESSAGE(std::string(name), ": ", at, " allocations");
  CHECK(wrong == 0);
}

#define EACH_FAILS(operation)          \
  TEST_CASE(#operation) {              \
    const test::Quiet quiet;           \
    each_fails(#operation, operation); \
  }

}  // namespace

TEST_SUITE_BEGIN("each allocation fails once, and nothing is lost, where one");

TEST_CASE("spawns") {
  const test::Quiet quiet;
  each_fails("spawn", [] { check(joined([] { return 5; }) == 5); });
  each_fails("spawn_n", [] {
    static int ran = 0;
    const int before = ran;
    green::spawn_n([] { ++ran; });
    green::sleep(0);
    check(ran == before + 1);
  });
  each_fails("spawn_after",
             [] { check(green::spawn_after(0.0001, [] { return 5; }).wait() == 5); });
  each_fails("with a name", [] {
    Sleeper sleeper;
    sleeper.thread.set_name(std::string(100, 'n'));
    check(sleeper.thread.name().size() == 100);
  });
}
TEST_CASE("kills") {
  const test::Quiet quiet;
  each_fails("kill", warm_up);
  each_fails("kill with an exception", kills_with_an_exception);
}
EACH_FAILS(expires)
EACH_FAILS(expires_with_an_exception)
EACH_FAILS(sends_an_event)
EACH_FAILS(puts_and_gets<green::Queue<int>>)
EACH_FAILS(puts_and_gets<green::LifoQueue<int>>)
EACH_FAILS(puts_and_gets<green::PriorityQueue<int>>)
EACH_FAILS(puts_on_a_full_queue)
EACH_FAILS(pools)
EACH_FAILS(links)
EACH_FAILS(uses_a_local)
EACH_FAILS(sets_a_result)
EACH_FAILS(cancels_a_future)
EACH_FAILS(calls_back)
EACH_FAILS(awaits)
EACH_FAILS(locks)
EACH_FAILS(connects)
EACH_FAILS(executes)
EACH_FAILS(uses_a_pipe)

TEST_SUITE_END();
