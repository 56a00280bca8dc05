#include <green/mutex.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/event.hpp>

#include <coroutine>
#include <functional>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <system_error>

using namespace green;  // NOLINT: no name of the standard's may clash with one of ours

namespace {

template <class F>
std::errc error_of(F call) {
  try {
    call();
  } catch (const std::system_error& error) {
    CHECK(std::string(error.what()).size() > 10);
    return static_cast<std::errc>(error.code().value());
  }
  return std::errc();
}
constexpr auto deadlock = std::errc::resource_deadlock_would_occur;
constexpr auto not_permitted = std::errc::operation_not_permitted;

// Locks, notes its name, and keeps the lock until told.
template <class M>
GreenThread<void> hold(M& lockable, test::Log& log, std::string name, const Event<>& until) {
  return spawn([&lockable, &log, &until, name = std::move(name)] {
    const std::lock_guard lock(lockable);
    log(name);
    until.wait();
  });
}

aio::task<void> lock_in_task(green::mutex& lockable, test::Log& log) {
  co_await lockable.lock_async();
  log("task");
  co_await aio::sleep(0.001);
  lockable.unlock();
}

// A coroutine of another library.
struct Foreign {
  struct promise_type {
    Foreign get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const { throw; }
  };
};
Foreign lock_elsewhere(green::mutex& lockable, Event<>& locked, Event<>& until) {
  co_await lockable.lock_async();
  locked.send();
  co_await until.wait_async();
  lockable.unlock();
}

}  // namespace

TEST_CASE_TEMPLATE("the standard's locks work on it", M, green::mutex, timed_mutex, recursive_mutex,
                   shared_mutex) {
  M one;
  M other;
  {
    const std::lock_guard lock(one);
    CHECK_FALSE(spawn([&] { return one.try_lock(); }).wait());
  }
  {
    std::unique_lock lock(one, std::try_to_lock);
    CHECK(lock.owns_lock());
    lock.unlock();
    const std::scoped_lock both(one, other);
    CHECK_FALSE(spawn([&] { return other.try_lock(); }).wait());
  }
  CHECK(spawn([&] {
          const bool got = one.try_lock();
          if (got) one.unlock();
          return got;
        }).wait());
}

TEST_CASE_TEMPLATE("served in the order of coming, and unlock does not switch", M, green::mutex,
                   timed_mutex, recursive_mutex, shared_mutex) {
  M lockable;
  test::Log log;
  Event<> go;
  lockable.lock();
  auto a = hold(lockable, log, "a", go);
  auto b = hold(lockable, log, "b", go);
  go.send();
  sleep(0);
  lockable.unlock();
  CHECK(log.text().empty());
  CHECK_FALSE(lockable.try_lock());
  lockable.lock();
  log("again");
  lockable.unlock();
  CHECK(log.text() == "a b again");
}

TEST_CASE_TEMPLATE("a waiter that is killed, even after its grant, leaves the lock to the next", M,
                   green::mutex, timed_mutex, recursive_mutex, shared_mutex) {
  M lockable;
  test::Log log;
  Event<> go;
  go.send();
  lockable.lock();
  auto early = hold(lockable, log, "early", go);
  auto late = hold(lockable, log, "late", go);
  auto next = hold(lockable, log, "next", go);
  sleep(0);
  early.kill();
  lockable.unlock();
  late.kill();
  next.wait();
  CHECK(log.text() == "next");
  CHECK(lockable.try_lock());
  lockable.unlock();
}

TEST_CASE_TEMPLATE("a Timeout interrupts the wait, a free lock is taken without one", M,
                   green::mutex, recursive_mutex, shared_mutex) {
  M lockable;
  Event<> go;
  test::Log log;
  auto holder = hold(lockable, log, "holder", go);
  sleep(0);
  CHECK_FALSE(move_on_after(0.001, [&] { lockable.lock(); }));
  go.send();
  holder.wait();
  const Timeout none(0);
  CHECK_NOTHROW(lockable.lock());
  lockable.unlock();
}

TEST_CASE_TEMPLATE("try_lock_for and try_lock_until give up in time, never early", M, timed_mutex,
                   recursive_mutex, shared_mutex) {
  M lockable;
  Event<> go;
  test::Log log;
  auto holder = hold(lockable, log, "holder", go);
  sleep(0);
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(lockable.try_lock_for(std::chrono::milliseconds(5)));
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(5));
  CHECK_FALSE(lockable.try_lock_until(start + std::chrono::milliseconds(8)));
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(8));
  CHECK_FALSE(lockable.try_lock_for(0));
  CHECK_FALSE(lockable.try_lock_until(start));
  CHECK_THROWS_AS(lockable.try_lock_for(std::numeric_limits<double>::quiet_NaN()),
                  std::invalid_argument);
  auto patient = spawn([&] {
    const bool got = lockable.try_lock_for(test::watchdog);
    if (got) lockable.unlock();
    return got;
  });
  sleep(0);
  go.send();
  CHECK(patient.wait());
  CHECK(lockable.try_lock_for(0));
  lockable.unlock();
}

TEST_CASE_TEMPLATE("misuse is a system_error, and changes nothing", M, green::mutex, timed_mutex,
                   recursive_mutex, shared_mutex) {
  M lockable;
  CHECK(error_of([&] { lockable.unlock(); }) == not_permitted);
  lockable.lock();
  CHECK(spawn([&] { return error_of([&] { lockable.unlock(); }); }).wait() == not_permitted);
  if constexpr (!std::is_same_v<M, recursive_mutex>)
    CHECK(error_of([&] { lockable.lock(); }) == deadlock);
  CHECK_FALSE(spawn([&] { return lockable.try_lock(); }).wait());
  lockable.unlock();
  CHECK(error_of([&] { lockable.unlock(); }) == not_permitted);
}

TEST_CASE("who was granted the lock and has not run does not own it yet") {
  green::mutex lockable;
  test::Log log;
  Event<> go;
  lockable.lock();
  auto next = hold(lockable, log, "next", go);
  sleep(0);
  lockable.unlock();
  CHECK(error_of([&] { lockable.unlock(); }) == not_permitted);
  go.send();
  next.wait();
  CHECK(log.text() == "next");
}

TEST_CASE("a timed_mutex that its owner waits for is a deadlock, not a timeout") {
  timed_mutex lockable;
  lockable.lock();
  CHECK(error_of([&] { lockable.try_lock_for(0.001); }) == deadlock);
  CHECK_FALSE(lockable.try_lock());
  lockable.unlock();
}

TEST_CASE("a recursive_mutex is its owner's until it is unlocked as often") {
  recursive_mutex lockable;
  const std::lock_guard first(lockable);
  {
    const std::lock_guard second(lockable);
    CHECK(lockable.try_lock());
    CHECK(lockable.try_lock_for(0));
    lockable.unlock();
    lockable.unlock();
    CHECK(spawn([&] { return error_of([&] { lockable.unlock(); }); }).wait() == not_permitted);
  }
  CHECK_FALSE(spawn([&] { return lockable.try_lock(); }).wait());
  awaitlet([](recursive_mutex& again) -> aio::task<void> {
    co_await again.lock_async();
    again.unlock();
  }(lockable));
}

TEST_CASE("coroutines and green threads wait for the same mutex") {
  green::mutex lockable;
  test::Log log;
  lockable.lock();
  auto task = aio::create_task(lock_in_task(lockable, log));
  auto thread = spawn([&] {
    lockable.lock();
    log("thread");
    lockable.unlock();
  });
  auto cancelled = aio::create_task(lock_in_task(lockable, log));
  sleep(0);
  cancelled.cancel();
  lockable.unlock();
  awaitlet(task);
  thread.wait();
  CHECK(log.text() == "task thread");
  CHECK_THROWS_AS(awaitlet(cancelled), aio::CancelledError);
  const std::lock_guard free(lockable);
}

TEST_CASE("what a coroutine of another library has locked anybody may unlock") {
  green::mutex lockable;
  Event<> locked;
  Event<> go;
  lockable.lock();
  lock_elsewhere(lockable, locked, go);
  lockable.unlock();
  locked.wait();
  CHECK_FALSE(lockable.try_lock());
  go.send();
  lockable.lock();
  lockable.unlock();
}

// --- shared_mutex

TEST_CASE("readers share, a writer is alone") {
  shared_mutex lockable;
  {
    const std::shared_lock one(lockable);
    const std::shared_lock other(lockable);
    CHECK(lockable.try_lock_shared());
    lockable.unlock_shared();
    CHECK_FALSE(lockable.try_lock());
    CHECK_FALSE(lockable.try_lock_for(0.001));
  }
  CHECK(error_of([&] { lockable.unlock_shared(); }) == not_permitted);
  const std::lock_guard writer(lockable);
  CHECK(error_of([&] { lockable.lock_shared(); }) == deadlock);
  CHECK(error_of([&] { lockable.unlock_shared(); }) == not_permitted);
  auto reader = spawn([&] {
    CHECK_FALSE(lockable.try_lock_shared());
    CHECK_FALSE(lockable.try_lock_shared_for(0.001));
    CHECK_FALSE(lockable.try_lock_shared_until(std::chrono::steady_clock::now()));
  });
  reader.wait();
}

TEST_CASE("a writer is not starved, and readers side by side go together") {
  shared_mutex lockable;
  test::Log log;
  lockable.lock_shared();
  auto read = [&](const char* name) {
    return spawn([&, name] {
      const std::shared_lock lock(lockable);
      log(name);
      sleep(0.001);
    });
  };
  auto writer = spawn([&] {
    const std::lock_guard lock(lockable);
    log("writer");
  });
  auto one = read("r1");
  auto two = read("r2");
  auto last = spawn([&] {
    const std::lock_guard lock(lockable);
    log("last");
  });
  auto three = read("r3");
  sleep(0);
  CHECK(log.text().empty());
  CHECK_FALSE(lockable.try_lock_shared());
  lockable.unlock_shared();
  for (auto* thread : {&writer, &one, &two, &last, &three}) thread->wait();
  CHECK(log.text() == "writer r1 r2 last r3");
}

TEST_CASE("readers behind a writer that gives up go on at once") {
  shared_mutex lockable;
  test::Log log;
  lockable.lock_shared();
  auto killed = spawn([&] { lockable.lock(); });
  auto timed = spawn([&] { return lockable.try_lock_for(0.001); });
  auto reader = spawn([&] {
    const std::shared_lock lock(lockable);
    log("reader");
  });
  auto task = aio::create_task([](shared_mutex& shared, test::Log& to) -> aio::task<void> {
    co_await shared.lock_shared_async();
    to("task");
    shared.unlock_shared();
  }(lockable, log));
  sleep(0);
  killed.kill();
  CHECK(log.text().empty());
  CHECK_FALSE(timed.wait());
  reader.wait();
  awaitlet(task);
  CHECK(log.text() == "reader task");
  lockable.unlock_shared();
  CHECK(lockable.try_lock());
  lockable.unlock();
}

TEST_CASE("in a libuv callback a free lock is taken, another is NoAwaitletContext") {
  green::mutex lockable;
  shared_mutex shared;
  shared.lock();
  test::in_libuv_callback([&] {
    const std::lock_guard lock(lockable);
    CHECK_THROWS_AS(shared.lock(), NoAwaitletContext);
    CHECK_THROWS_AS(shared.lock_shared(), NoAwaitletContext);
  });
  shared.unlock();
  const std::scoped_lock both(lockable, shared);
}
