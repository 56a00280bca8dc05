// The standard library's synchronization and CappedSemaphore in every order, with one who is killed
// at any point: nobody gets what another one has, and nothing is lost.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <mutex>
#include <shared_mutex>

namespace {

using sim::require;
using uvlet::testing::explore;

// Who is inside, counted.
class Inside {
 public:
  explicit Inside(int& count) : count_(count) { ++count_; }
  ~Inside() { --count_; }
  Inside(const Inside&) = delete;

 private:
  int& count_;
};

// Unlike kill() it does not run its victim at once.
void kill_later(const green::Greenlet& victim) {
  if (!victim.dead() && victim.identity()->root) victim.identity()->root->kill();
}

// Whether it ended by itself.
template <class T>
bool finished(const green::GreenThread<T>& thread) {
  try {
    thread.wait();
    return true;
  } catch (const green::GreenletExit&) {
    return false;
  }
}

// Explores `program` and checks that its victim was killed in some orders, and not in others.
void explore_kills(const std::function<bool()>& victim_finishes) {
  std::uint64_t killed = 0;
  const auto result = explore([&] { killed += !victim_finishes(); });
  MESSAGE("schedules: ", result.schedules, ", the victim was killed in ", killed);
  CHECK(result.complete);
  CHECK(killed > 0);
  CHECK(killed < result.schedules);
}

template <class M>
void explore_one_owner() {
  explore_kills([] {
    M lockable;
    int inside = 0, owned = 0;
    auto own = [&] {
      const Inside here(inside);
      require(inside == 1, "two own it");
      ++owned;
      green::sleep(0);
    };
    auto in_green = [&] {
      const std::lock_guard lock(lockable);
      own();
    };
    auto in_task = [&]() -> aio::task<void> {
      co_await lockable.lock_async();
      const std::lock_guard lock(lockable, std::adopt_lock);
      own();
    };
    auto victim = green::spawn(in_green);
    auto second = green::spawn(in_green);
    auto third = aio::create_task(in_task());
    green::spawn([&] { kill_later(victim); }).wait();
    second.wait();
    green::awaitlet(third);
    const bool done = finished(victim);
    require(owned >= 2, "somebody did not get it");
    require(lockable.try_lock(), "it is lost");
    lockable.unlock();
    return done;
  });
}

}  // namespace

TEST_CASE("a mutex has one owner, and is passed on, in every order") {
  explore_one_owner<green::mutex>();
  explore_one_owner<green::timed_mutex>();
}

TEST_CASE("a shared_mutex has readers or a writer, and is passed on, in every order") {
  for (const bool victim_writes : {false, true}) {
    explore_kills([&] {
      green::shared_mutex lockable;
      int readers = 0, writers = 0, owned = 0;
      auto look = [&] {
        require(writers <= 1 && (writers == 0 || readers == 0), "an owner too many");
        ++owned;
        green::sleep(0);
      };
      auto read = [&] {
        const std::shared_lock lock(lockable);
        const Inside here(readers);
        look();
      };
      auto write = [&] {
        const std::unique_lock lock(lockable);
        const Inside here(writers);
        look();
      };
      auto victim = victim_writes ? green::spawn(write) : green::spawn(read);
      auto reader = green::spawn(read);
      auto writer = green::spawn(write);
      green::spawn([&] { kill_later(victim); }).wait();
      reader.wait();
      writer.wait();
      const bool done = finished(victim);
      require(owned >= 2, "somebody did not get it");
      require(lockable.try_lock(), "it is lost");
      lockable.unlock();
      return done;
    });
  }
}

TEST_CASE("a notification is lost on nobody, in every order") {
  explore_kills([] {
    green::mutex mutex;
    green::condition_variable changed;
    int items = 0;
    auto consume = [&] {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return items > 0; });
      require(lock.owns_lock(), "woken without the lock");
      --items;
    };
    auto victim = green::spawn(consume);
    auto other = green::spawn(consume);
    auto killer = green::spawn([&] { kill_later(victim); });
    green::spawn([&] {
      for (int i = 0; i < 2; ++i) {
        const std::lock_guard lock(mutex);
        ++items;
        changed.notify_one();
      }
    }).wait();
    killer.wait();
    other.wait();
    const bool done = finished(victim);
    require(items == (done ? 0 : 1), "an item is lost, or came twice");
    return done;
  });
}

TEST_CASE("notify_all reaches all who wait, in every order") {
  explore_kills([] {
    green::mutex mutex;
    green::condition_variable changed;
    bool open = false;
    auto pass = [&] {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return open; });
    };
    auto pass_in_task = [&]() -> aio::task<void> {
      std::unique_lock lock(mutex, std::defer_lock);
      co_await mutex.lock_async();
      lock = std::unique_lock(mutex, std::adopt_lock);
      co_await changed.wait_async(lock, [&] { return open; });
    };
    auto victim = green::spawn(pass);
    auto task = aio::create_task(pass_in_task());
    auto killer = green::spawn([&] { kill_later(victim); });
    green::spawn([&] {
      const std::lock_guard lock(mutex);
      open = true;
      changed.notify_all();
    }).wait();
    killer.wait();
    green::awaitlet(task);
    const bool done = finished(victim);
    require(mutex.try_lock(), "the lock is lost");
    mutex.unlock();
    return done;
  });
}

TEST_CASE("a CappedSemaphore conserves its permits, in every order") {
  for (const int limit : {0, 1}) {
    explore_kills([limit] {
      green::CappedSemaphore semaphore(0, limit);
      int taken = 0;
      auto acquire = [&] {
        semaphore.acquire();
        ++taken;
      };
      auto victim = green::spawn(acquire);
      auto other = green::spawn(acquire);
      auto releaser = green::spawn([&] {
        semaphore.release();
        semaphore.release();
      });
      green::spawn([&] { kill_later(victim); }).wait();
      other.wait();
      const bool done = finished(victim);
      if (!done) semaphore.acquire();  // what it did not take is there
      releaser.wait();
      require(taken == (done ? 2 : 1), "a permit is lost, or came twice");
      require(!semaphore.try_acquire(), "a permit too many");
      return done;
    });
  }
}

TEST_CASE(
    "a releaser of a full CappedSemaphore that is killed has released nothing, in every order") {
  explore_kills([] {
    green::CappedSemaphore semaphore(1, 1);
    auto victim = green::spawn([&] { semaphore.release(); });
    auto other = green::spawn([&] { semaphore.release(); });
    auto killer = green::spawn([&] { kill_later(victim); });
    int taken = 0;
    auto taker = green::spawn([&] {
      for (; taken < 2; ++taken) semaphore.acquire();
    });
    killer.wait();
    taker.wait();
    other.wait();
    const bool done = semaphore.try_acquire();
    require(done == finished(victim), "a permit is lost, or came twice");
    return done;
  });
}

TEST_CASE("a latch opens when all have arrived, in every order") {
  explore_kills([] {
    green::latch latch(3);
    int arrived = 0, passed = 0;
    auto wait = [&] {
      latch.wait();
      require(arrived == 3, "it opened too early");
      ++passed;
    };
    auto victim = green::spawn(wait);
    auto other = green::spawn(wait);
    auto task = aio::create_task([](green::latch& at, int& count) -> aio::task<void> {
      ++count;
      co_await at.arrive_and_wait_async();
    }(latch, arrived));
    auto killer = green::spawn([&] { kill_later(victim); });
    for (int i = 0; i < 2; ++i) {
      ++arrived;
      latch.count_down();
      green::sleep(0);
    }
    killer.wait();
    other.wait();
    green::awaitlet(task);
    const bool done = finished(victim);
    require(passed == (done ? 2 : 1) && latch.try_wait(), "it did not open");
    return done;
  });
}

TEST_CASE("nobody passes a barrier before all have arrived, phase after phase, in every order") {
  const auto result = explore([] {
    int phase = 0, arrived = 0;
    auto complete = [&]() noexcept {
      ++phase;
      arrived = 0;
    };
    green::barrier barrier(3, complete);
    auto twice = [&] {
      for (int round = 0; round < 2; ++round) {
        require(phase == round, "somebody is in another phase");
        green::sleep(0);
        ++arrived;
        barrier.arrive_and_wait();
      }
    };
    auto first = green::spawn(twice);
    auto second = green::spawn(twice);
    twice();
    first.wait();
    second.wait();
    require(phase == 2 && arrived == 0, "a phase is missing");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
  CHECK(result.schedules > 100);
}

TEST_CASE("who is killed at a barrier has arrived there, in every order") {
  explore_kills([] {
    int phase = 0;
    auto complete = [&]() noexcept { ++phase; };
    green::barrier barrier(3, complete);
    auto token = barrier.arrive();
    auto victim = green::spawn([&] { barrier.wait(std::move(token)); });
    auto other = green::spawn([&] { barrier.arrive_and_wait(); });
    auto killer = green::spawn([&] { kill_later(victim); });
    barrier.arrive_and_wait();
    killer.wait();
    other.wait();
    require(phase == 1, "the phase did not complete once");
    return finished(victim);
  });
}
