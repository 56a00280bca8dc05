// Coroutines and awaitables of other libraries, in both directions.

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/event.hpp>
#include <green/socket.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using test::Counted;
using test::Log;

// A coroutine type as another library might have it: eager, knows nothing of ours, and owns its
// frame.
class Alien {
 public:
  struct promise_type {
    Alien get_return_object() {
      return Alien(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_value(int value) { result = value; }
    void unhandled_exception() { error = std::current_exception(); }
    std::optional<int> result;
    std::exception_ptr error;
  };

  explicit Alien(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Alien(Alien&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  ~Alien() {
    if (handle_) handle_.destroy();
  }
  bool done() const { return handle_.done(); }
  int get() const {
    for (int i = 0; i < 2000 && !done(); ++i) green::sleep(0.001);
    REQUIRE(done());
    if (handle_.promise().error) std::rethrow_exception(handle_.promise().error);
    return *handle_.promise().result;
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

template <class A>
Alien alien_awaits(A awaited) {
  co_return co_await std::move(awaited);
}
Alien alien_waits_for(green::Event<int>& event) { co_return co_await event.wait_async(); }

// Awaitables in the shapes that the language allows.
struct Ready {
  bool await_ready() const { return true; }
  void await_suspend(std::coroutine_handle<>) const {}
  int await_resume() const { return 1; }
};
struct RefusesToSuspend {
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<>) const { return false; }
  int await_resume() const { return 2; }
};
struct ResumesInside {
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiting) const { waiting.resume(); }
  int await_resume() const { return 3; }
};
struct Transfers {
  bool await_ready() const { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) const { return waiting; }
  int await_resume() const { return 4; }
};
struct HasMember {
  Ready operator co_await() const { return {}; }
};
struct HasFree {};
Ready operator co_await(HasFree) { return {}; }
struct Throws {
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<>) const { return false; }
  int await_resume() const { throw std::runtime_error("alien"); }
};
struct ThrowsInSuspend {
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<>) const { throw std::runtime_error("suspend"); }
  int await_resume() const { return 0; }
};
struct GivesNothing {
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<>) const { return false; }
  void await_resume() const {}
};
struct GivesMoveOnly {
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<>) const { return false; }
  std::unique_ptr<int> await_resume() const { return std::make_unique<int>(5); }
};
// Resumed by somebody else on this thread.
struct Slot {
  std::coroutine_handle<> waiting;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) { waiting = handle; }
  int await_resume() const { return 6; }
};
// Resumed on another OS thread; `worker` must be joined.
struct ElsewhereResumed {
  std::thread& worker;
  int delay_ms;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiting) const {
    worker = std::thread([waiting, delay = delay_ms] {
      std::this_thread::sleep_for(std::chrono::milliseconds(delay));
      waiting.resume();
    });
  }
  int await_resume() const { return 7; }
};

template <class A>
aio::task<aio::await_result_t<A>> task_awaits(A awaited) {
  co_return co_await std::move(awaited);
}

}  // namespace

TEST_CASE("awaitlet takes every shape of an awaitable that does not wait") {
  CHECK(green::awaitlet(Ready()) == 1);
  CHECK(green::awaitlet(RefusesToSuspend()) == 2);
  CHECK(green::awaitlet(ResumesInside()) == 3);
  CHECK(green::awaitlet(Transfers()) == 4);
  CHECK(green::awaitlet(HasMember()) == 1);
  CHECK(green::awaitlet(HasFree()) == 1);
  CHECK(*green::awaitlet(GivesMoveOnly()) == 5);
  green::awaitlet(GivesNothing());
}

TEST_CASE("a task takes every shape of an awaitable that does not wait") {
  CHECK(aio::run(task_awaits(Ready())) == 1);
  CHECK(aio::run(task_awaits(RefusesToSuspend())) == 2);
  CHECK(aio::run(task_awaits(ResumesInside())) == 3);
  CHECK(aio::run(task_awaits(Transfers())) == 4);
  CHECK(green::awaitlet(task_awaits(HasMember())) == 1);
  CHECK(green::awaitlet(task_awaits(HasFree())) == 1);
  CHECK(*green::awaitlet(task_awaits(GivesMoveOnly())) == 5);
  green::awaitlet(task_awaits(GivesNothing()));
}

TEST_CASE("an awaitable may be an lvalue, which is not moved from") {
  Ready ready;
  CHECK(green::awaitlet(ready) == 1);
  const HasMember member;
  CHECK(green::awaitlet(member) == 1);
}

TEST_CASE("an exception of another library's awaitable is thrown where it is awaited") {
  CHECK_THROWS_WITH_AS(green::awaitlet(Throws()), "alien", std::runtime_error);
  CHECK_THROWS_WITH_AS(aio::run(task_awaits(Throws())), "alien", std::runtime_error);
  CHECK_THROWS_WITH_AS(green::awaitlet(ThrowsInSuspend()), "suspend", std::runtime_error);
  CHECK_THROWS_WITH_AS(aio::run(task_awaits(ThrowsInSuspend())), "suspend", std::runtime_error);
}

TEST_CASE("an awaitable resumed by another green thread of this hub") {
  Slot slot;
  auto waiting = green::spawn([&] { return green::awaitlet(slot); });
  green::sleep(0);
  REQUIRE(slot.waiting);
  std::exchange(slot.waiting, nullptr).resume();
  CHECK(waiting.wait() == 6);
}

TEST_CASE("an awaitable resumed on another OS thread ends on its own hub") {
  for (const int delay : {0, 5}) {
    std::thread worker;
    const auto here = std::this_thread::get_id();
    auto body = [&]() -> aio::task<bool> {
      auto elsewhere = ElsewhereResumed{worker, delay};
      const int value = co_await std::move(elsewhere);
      co_return value == 7 && std::this_thread::get_id() == here;
    };
    CHECK(aio::run(body()));
    worker.join();
    CHECK(green::awaitlet(ElsewhereResumed{worker, delay}) == 7);
    worker.join();
  }
}

TEST_CASE("others go on while an awaitable is busy on another OS thread") {
  Log log;
  std::thread worker;
  auto other = green::spawn([&] {
    green::sleep(0.001);
    log("other");
  });
  log(std::to_string(green::awaitlet(ElsewhereResumed{worker, 30})));
  worker.join();
  CHECK(log.text() == "other 7");
}

TEST_CASE("a kill waits for another library's awaitable, which may refer to our frames") {
  Log log;
  Slot slot;
  auto victim = green::spawn([&] {
    try {
      green::awaitlet(slot);
      log("value");
    } catch (const green::GreenletExit&) {
      log("killed");
      throw;
    }
  });
  green::sleep(0);
  victim.kill();
  CHECK(!victim.dead());
  std::exchange(slot.waiting, nullptr).resume();
  CHECK_THROWS_AS(victim.wait(), green::GreenletExit);
  CHECK(log.text() == "killed");
}

TEST_CASE("a coroutine of another library awaits our tasks, operations, Futures, green threads") {
  auto number = []() -> aio::task<int> {
    co_await aio::sleep(0.001);
    co_return 1;
  };
  auto at_once = []() -> aio::task<int> { co_return 2; };
  auto future = aio::Future<int>::create();
  Alien first = alien_awaits(number());
  Alien second = alien_awaits(at_once());
  Alien third = alien_awaits(aio::sleep(0.001, 3));
  Alien fourth = alien_awaits(future);
  Alien fifth = alien_awaits(green::spawn([] { return 5; }));
  CHECK(!fourth.done());
  future.set_result(4);
  CHECK(first.get() + second.get() + third.get() + fourth.get() + fifth.get() == 15);
}

TEST_CASE("a coroutine of another library waits for an Event, beside green threads") {
  green::Event<int> event;
  Alien alien = alien_waits_for(event);
  auto thread = green::spawn([&] { return event.wait(); });
  green::sleep(0);
  event.send(8);
  CHECK(alien.get() == 8);
  CHECK(thread.wait() == 8);
}

TEST_CASE("exceptions of ours arrive in a coroutine of another library") {
  auto fails = []() -> aio::task<int> {
    co_await aio::sleep(0);
    throw std::runtime_error("ours");
  };
  CHECK_THROWS_WITH_AS(alien_awaits(fails()).get(), "ours", std::runtime_error);
  auto future = aio::Future<int>::create();
  Alien waits = alien_awaits(future);
  future.cancel();
  CHECK_THROWS_AS(waits.get(), aio::CancelledError);
}

TEST_CASE("a coroutine of another library may block once we have resumed it") {
  auto blocks = []() -> Alien {
    auto nap = aio::sleep(0.001);
    co_await std::move(nap);
    green::sleep(0.001);
    co_return green::awaitlet(aio::sleep(0.001, 9));
  };
  Log log;
  Alien alien = blocks();
  CHECK(alien.get() == 9);
}

TEST_CASE("a suspended coroutine of another library is destroyed in each kind of wait") {
  green::Event<int> event;
  auto future = aio::Future<int>::create();
  bool thread_ran_on = false;
  auto thread = green::spawn([&] {
    green::sleep(0.01);
    thread_ran_on = true;
    return 1;
  });
  {
    Alien first = alien_waits_for(event);
    Alien second = alien_awaits(future);
    Alien third = alien_awaits(aio::sleep(3600, 1));
    Alien fourth = alien_awaits(thread);
    green::sleep(0.001);
    CHECK(!first.done());
    CHECK(!fourth.done());
  }
  event.send(1);
  CHECK(!future.done());  // it had no say in what became of it
  future.set_result(1);
  CHECK(thread.wait() == 1);
  CHECK(thread_ran_on);
  CHECK(event.wait() == 1);
}

TEST_CASE("destroying a coroutine of another library destroys the task it awaits") {
  int alive = 0;
  Log log;
  auto holder = [](Counted, Log& to) -> aio::task<int> {
    struct Note {
      Log& log;
      ~Note() { log("gone"); }
    } note{to};
    co_await aio::sleep(3600);
    co_return 1;
  };
  {
    Alien suspended = alien_awaits(holder(Counted(alive), log));
    green::sleep(0.001);
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
  CHECK(log.text() == "gone");
  { Alien unstarted = alien_awaits(holder(Counted(alive), log)); }
  CHECK(alive == 0);
}

TEST_CASE("destroying a coroutine of another library cancels the task it awaits first") {
  Log log;
  bool function_ended = false;
  auto blocks = [&] {
    try {
      green::sleep(3600);
    } catch (const green::GreenletExit&) {
      green::sleep(0.001);
      function_ended = true;
      throw;
    }
  };
  auto body = [&]() -> aio::task<int> {
    try {
      co_await aio::async_def(blocks);
    } catch (const aio::CancelledError&) {
      log("cancelled");
      throw;
    }
    co_return 1;
  };
  {
    Alien suspended = alien_awaits(body());
    green::sleep(0.001);
  }
  CHECK(function_ended);
  CHECK(log.text() == "cancelled");

  auto future = aio::create_task(aio::sleep(3600, 1));
  auto awaits = [](aio::Future<int> on) -> aio::task<int> { co_return co_await on; };
  {
    Alien suspended = alien_awaits(awaits(future));
    green::sleep(0.001);
  }
  CHECK(future.cancelled());
}

TEST_CASE(
    "a coroutine of another library is destroyed when its task has ended and it not resumed") {
  green::Event<int> event;
  int alive = 0;
  auto body = [&]() -> aio::task<int> {
    const Counted counted(alive);
    co_return co_await event.wait_async();
  };
  {
    Alien suspended = alien_awaits(body());
    green::sleep(0);
    event.send(1);
    while (alive > 0) green::sleep(0);
  }
  green::sleep(0.001);
  CHECK(alive == 0);
}

TEST_CASE("a child of fork destroys a coroutine of another library that awaits a task") {
  auto body = []() -> aio::task<int> {
    co_await aio::sleep(3600);
    co_return 1;
  };
  auto suspended = std::make_unique<Alien>(alien_awaits(body()));
  green::sleep(0.001);
  const pid_t child = fork();
  if (child == 0) {
    alarm(static_cast<unsigned>(test::watchdog));
    suspended.reset();
    _exit(7);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("a wait that is refused to a coroutine of another library leaves nothing behind") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  green::Socket socket = green::Socket::from_fd(ends[0]);
  auto reader = green::spawn([&] { return socket.recv(1); });
  green::sleep(0);
  const std::size_t before = uvlet::Hub::get().stats().tasks;
  auto reads = [&]() -> Alien {
    try {
      co_await socket.recv_async(1);
    } catch (const std::logic_error&) {
      co_return 1;
    }
    co_return 0;
  };
  CHECK(reads().get() == 1);
  CHECK(uvlet::Hub::get().stats().tasks == before);
  CHECK(::write(ends[1], "x", 1) == 1);
  CHECK(reader.wait() == "x");
  ::close(ends[1]);
}

TEST_CASE("a granted wait that is destroyed before it resumes is withdrawn") {
  green::Event<int> event;
  {
    Alien alien = alien_waits_for(event);
    event.send(1);
  }
  green::sleep(0.001);
  CHECK(event.wait() == 1);
}
