// Each blocking function has a twin for coroutines that does the same; those of the classes that
// are tested with their class are not repeated here.

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/condition_variable.hpp>
#include <green/dagpool.hpp>
#include <green/db_pool.hpp>
#include <green/future.hpp>
#include <green/green.hpp>
#include <green/mutex.hpp>
#include <green/thread.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::Log;

constexpr double soon = 0.002;

auto later(milliseconds by) { return steady_clock::now() + by; }
auto too_late() { return steady_clock::now() + std::chrono::hours(1); }

void forever() { green::sleep(green::Duration::forever()); }
aio::task<> forever_async() { co_await aio::sleep(green::Duration::forever()); }
aio::task<int> doubled(int value) {
  co_await aio::sleep(0);
  co_return 2 * value;
}

struct Boom {};

}  // namespace

TEST_CASE("kill_async kills when it is awaited, and its target runs first") {
  Log log;
  auto blocks = [&] {
    try {
      forever();
    } catch (const green::GreenletExit&) {
      log("killed");
      throw;
    }
  };
  auto victim = green::spawn(blocks);
  green::sleep(0);
  auto killer = [&]() -> aio::task<> {
    auto kill = victim.kill_async();
    log("before");
    co_await std::move(kill);
    log("after");
  };
  aio::run(killer());
  CHECK(log.text() == "before killed after");
  CHECK(victim.dead());
  auto other = green::spawn(forever);
  green::sleep(0);
  green::awaitlet(green::kill_async(other, std::runtime_error("mine")));
  CHECK_THROWS_AS(other.wait(), std::runtime_error);
  green::awaitlet(green::kill_async(other));  // a dead one: nothing
}

TEST_CASE("cancel_async kills only what has not started") {
  auto started = green::spawn([] { return 1; });
  auto waiting = green::spawn([] { green::sleep(0); });
  green::sleep(0);
  green::awaitlet(waiting.cancel_async());
  CHECK_NOTHROW(waiting.wait());
  auto unstarted = green::spawn([] {});
  green::awaitlet(unstarted.cancel_async());
  CHECK_THROWS_AS(unstarted.wait(), green::GreenletExit);
  auto with = green::spawn([] {});
  green::awaitlet(with.cancel_async(Boom()));
  CHECK_THROWS_AS(with.wait(), Boom);
}

TEST_CASE("a coroutine that kills its own green thread is thrown at") {
  bool after = false;
  auto self = green::spawn([&] {
    auto kills = [&]() -> aio::task<> {
      co_await green::getcurrent().kill_async();
      after = true;
    };
    green::awaitlet(kills());
  });
  CHECK_THROWS_AS(self.wait(), green::GreenletExit);
  CHECK_FALSE(after);
}

TEST_CASE("with_timeout_async runs functions and coroutine functions, within its limit") {
  CHECK(aio::run(green::with_timeout_async(test::watchdog, doubled, 4)) == 8);
  CHECK(aio::run(green::with_timeout_async(
            std::nullopt, [](int value) { return value; }, 5)) == 5);
  CHECK_THROWS_AS(aio::run(green::with_timeout_async(soon, forever)), green::TimeoutExpired);
  CHECK_THROWS_AS(aio::run(green::with_timeout_async(soon, forever_async)), green::TimeoutExpired);
  CHECK_THROWS_AS(green::awaitlet(green::with_timeout_async(soon, forever_async)),
                  green::TimeoutExpired);
  auto moved = [](std::unique_ptr<int> value) { return value; };
  CHECK(*aio::run(green::with_timeout_async(soon, moved, std::make_unique<int>(6))) == 6);
  CHECK_THROWS_AS(aio::run(green::with_timeout_async(test::watchdog, [] { throw Boom(); })), Boom);
}

TEST_CASE("with_timeout_or_async gives the value on expiry of its own limit, and of no other") {
  CHECK(aio::run(green::with_timeout_or_async(test::watchdog, -1, doubled, 4)) == 8);
  auto forever_int = []() -> aio::task<int> {
    co_await forever_async();
    co_return 0;
  };
  CHECK(aio::run(green::with_timeout_or_async(soon, -1, forever_int)) == -1);
  CHECK(aio::run(green::with_timeout_or_async(soon, 7, forever)) == std::optional(7));
  CHECK(aio::run(green::with_timeout_or_async(soon, 7, [] {})) == std::nullopt);
  auto outer = [&] {
    return green::with_timeout_async(
        soon, [] { return green::with_timeout_or_async(test::watchdog, 7, forever); });
  };
  CHECK_THROWS_AS(aio::run(outer()), green::TimeoutExpired);
}

TEST_CASE("move_on_after_async says whether it finished") {
  CHECK(aio::run(green::move_on_after_async(test::watchdog, [] {})));
  CHECK_FALSE(aio::run(green::move_on_after_async(soon, forever)));
  CHECK_FALSE(aio::run(green::move_on_after_async(soon, forever_async)));
}

TEST_CASE("the waits until a time have twins") {
  const auto then = later(milliseconds(2));
  aio::run(green::this_thread::sleep_until_async(then));
  CHECK(steady_clock::now() >= then);

  green::timed_mutex timed;
  green::recursive_mutex recursive;
  green::shared_mutex shared;
  CHECK(green::awaitlet(timed.try_lock_until_async(too_late())));
  CHECK(green::awaitlet(recursive.try_lock_until_async(too_late())));
  CHECK(green::awaitlet(shared.try_lock_shared_until_async(too_late())));
  auto others = green::spawn([&] {
    CHECK_FALSE(green::awaitlet(timed.try_lock_until_async(later(milliseconds(2)))));
    CHECK_FALSE(green::awaitlet(recursive.try_lock_until_async(later(milliseconds(2)))));
    CHECK_FALSE(green::awaitlet(shared.try_lock_until_async(later(milliseconds(2)))));
  });
  others.wait();
  timed.unlock();
  recursive.unlock();
  shared.unlock_shared();

  green::promise<int> promise;
  auto future = promise.get_future();
  CHECK(green::awaitlet(future.wait_until_async(later(milliseconds(2)))) ==
        std::future_status::timeout);
  promise.set_value(1);
  CHECK(green::awaitlet(future.wait_until_async(too_late())) == std::future_status::ready);
}

TEST_CASE("a condition variable's waits have twins, with a predicate and without") {
  green::mutex mutex;
  green::condition_variable changed;
  int value = 0;
  std::unique_lock lock(mutex);
  const auto is_one = [&] { return value == 1; };
  CHECK_FALSE(green::awaitlet(changed.wait_for_async(lock, soon, is_one)));
  CHECK_FALSE(green::awaitlet(changed.wait_until_async(lock, later(milliseconds(2)), is_one)));
  CHECK(green::awaitlet(changed.wait_until_async(lock, later(milliseconds(2)))) ==
        std::cv_status::timeout);
  auto setter = green::spawn([&] {
    for (const int next : {2, 1}) {
      const std::lock_guard guard(mutex);
      value = next;
      changed.notify_all();
    }
  });
  CHECK(green::awaitlet(changed.wait_for_async(lock, test::watchdog, is_one)));
  CHECK(lock.owns_lock());
  setter.wait();
  CHECK(green::awaitlet(changed.wait_until_async(lock, too_late(), is_one)));
}

TEST_CASE("a packaged_task and a DAGPool's kill have twins") {
  green::packaged_task<int(int)> work([](int value) {
    green::sleep(0);
    return value + 1;
  });
  auto result = work.get_future();
  green::awaitlet(work.call_async(1));
  CHECK(result.get() == 2);

  green::DAGPool<std::string, int> pool;
  pool.spawn("never", {}, [](const std::string&, auto) {
    forever();
    return 1;
  });
  green::sleep(0);
  CHECK(pool.running() == 1);
  green::awaitlet(pool.kill_async("never"));
  CHECK(pool.running() == 0);
  CHECK_THROWS_AS(green::awaitlet(pool.kill_async("never")), std::out_of_range);
}

namespace {

struct Connection {
  explicit Connection(int& closed) : count(&closed) {}
  void rollback() { green::sleep(0); }
  void close() {
    green::sleep(0);
    ++*count;
  }
  explicit operator bool() const { return true; }
  int* count;
};

}  // namespace

TEST_CASE("what gives a pool's connections back, or closes them, has twins") {
  int closed = 0, cleaned = 0;
  green::ConnectionPool<Connection> pool([&] { return Connection(closed); });
  auto uses = [&]() -> aio::task<> {
    auto first = co_await pool.get_async();
    auto second = co_await pool.get_async();
    auto third = co_await pool.get_async();
    auto fourth = co_await pool.get_async();
    const green::ConnectionPool<Connection>::Cleanup cleanup = [&](Connection&) { ++cleaned; };
    co_await first.release_async();
    co_await second.release_async(cleanup);
    co_await pool.put_async(std::move(third), cleanup);
    CHECK(cleaned == 2);
    CHECK(closed == 0);
    co_await fourth.discard_async();
    CHECK(closed == 1);
    co_await pool.resize_async(2);
    CHECK(closed == 2);
    co_await pool.clear_async();
    CHECK(closed == 4);
    auto last = co_await pool.get_async();
    co_await pool.put_async(std::move(last));
    CHECK(pool.free() == 2);
  };
  aio::run(uses());
}
