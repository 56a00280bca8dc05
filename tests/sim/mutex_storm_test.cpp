// Random operations on the mutexes by green threads and coroutines, with random kills and time
// limits: there is never an owner too many, and none is lost.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <cstdio>
#include <mutex>
#include <shared_mutex>

namespace {

using sim::require;
namespace testing = uvlet::testing;

constexpr std::uint64_t usual_operations = 100'000;
constexpr int workers = 10;

double moment() { return 0.001 * static_cast<double>(testing::choose(4)); }
void pause() {
  if (testing::choose(2)) green::sleep(moment());
}

// Who has the lock now; what is wrong is told at the end, for a worker's exception is its own.
struct Owners {
  std::uint64_t left = sim::operations(usual_operations);
  std::uint64_t owned = 0;
  std::uint64_t errors = 0;
  int writers = 0;
  int readers = 0;

  void look() {
    if (writers > 1 || (writers > 0 && readers > 0) || readers < 0 || writers < 0) ++errors;
  }
};

struct Writer {
  explicit Writer(Owners& of) : owners(of) {
    ++owners.owned;
    ++owners.writers;
    owners.look();
  }
  ~Writer() {
    owners.look();
    --owners.writers;
  }
  Writer(const Writer&) = delete;
  Owners& owners;
};
struct Reader {
  explicit Reader(Owners& of) : owners(of) {
    ++owners.owned;
    ++owners.readers;
    owners.look();
  }
  ~Reader() {
    owners.look();
    --owners.readers;
  }
  Reader(const Reader&) = delete;
  Owners& owners;
};

// Keeps workers at it until the operations are used up; then the lock has to be free.
template <class M, class Step>
void storm_on(const char* name, std::uint64_t seed, Step step) {
  testing::SimulationOptions options(seed);
  options.faults.kills = 0.05;
  options.faults.early_timeouts = 0.02;
  options.faults.delayed_wakes = 0.02;
  Owners owners;
  const auto report = testing::simulate(options, [&] {
    M lockable;
    green::GreenPool pool(workers);
    while (owners.left > 0)
      testing::expose(pool.spawn([&] {
        while (owners.left > 0) {
          --owners.left;
          step(lockable, owners);
          if (testing::choose(3) == 0) green::sleep(moment());
        }
      }));
    pool.waitall();
    require(lockable.try_lock(), "the lock is lost");
    lockable.unlock();
  });
  require(owners.errors == 0, "an owner too many");
  require(owners.owned > usual_operations / 10, "hardly anybody got it");
  require(owners.writers == 0 && owners.readers == 0, "an owner is left");
  require(report.left == 0, "somebody is left");
  std::printf("%s: %llu times owned, %llu kills, %llu switches\n", name,
              static_cast<unsigned long long>(owners.owned),
              static_cast<unsigned long long>(report.kills),
              static_cast<unsigned long long>(report.switches));
}

template <class M>
aio::task<void> lock_in_task(M& lockable, Owners& owners) {
  co_await lockable.lock_async();
  const std::lock_guard lock(lockable, std::adopt_lock);
  const Writer writer(owners);
  if (testing::choose(2)) co_await aio::sleep(moment());
}

template <class M>
void lock_somehow(M& lockable, Owners& owners) {
  switch (testing::choose(5)) {
    case 0:
      if (lockable.try_lock()) {
        const std::lock_guard lock(lockable, std::adopt_lock);
        const Writer writer(owners);
        pause();
      }
      return;
    case 1:
      if constexpr (requires { lockable.try_lock_for(1); }) {
        if (lockable.try_lock_for(moment())) {
          const std::lock_guard lock(lockable, std::adopt_lock);
          const Writer writer(owners);
          pause();
        }
        return;
      }
      [[fallthrough]];
    case 2:
      green::move_on_after(moment(), [&] {
        const std::lock_guard lock(lockable);
        const Writer writer(owners);
        pause();
      });
      return;
    case 3: green::awaitlet(lock_in_task(lockable, owners)); return;
    default: {
      const std::lock_guard lock(lockable);
      const Writer writer(owners);
      pause();
    }
  }
}

void read_somehow(green::shared_mutex& lockable, Owners& owners) {
  switch (testing::choose(4)) {
    case 0:
      if (lockable.try_lock_shared()) {
        const std::shared_lock lock(lockable, std::adopt_lock);
        const Reader reader(owners);
        pause();
      }
      return;
    case 1:
      if (lockable.try_lock_shared_for(moment())) {
        const std::shared_lock lock(lockable, std::adopt_lock);
        const Reader reader(owners);
        pause();
      }
      return;
    case 2:
      green::move_on_after(moment(), [&] {
        const std::shared_lock lock(lockable);
        const Reader reader(owners);
        pause();
      });
      return;
    default: {
      const std::shared_lock lock(lockable);
      const Reader reader(owners);
      pause();
    }
  }
}

void lock_again(green::recursive_mutex& lockable, Owners& owners) {
  const std::lock_guard first(lockable);
  const Writer writer(owners);
  std::vector<std::unique_lock<green::recursive_mutex>> more;
  for (std::size_t i = testing::choose(4); i > 0; --i) {
    more.emplace_back(lockable);
    pause();
  }
}

}  // namespace

TEST_CASE("a storm on a mutex conserves its owner") {
  sim::storm("mutex", 1, [](std::uint64_t seed) {
    storm_on<green::mutex>("mutex", seed, lock_somehow<green::mutex>);
  });
}

TEST_CASE("a storm on a timed_mutex conserves its owner") {
  sim::storm("timed_mutex", 1, [](std::uint64_t seed) {
    storm_on<green::timed_mutex>("timed_mutex", seed, lock_somehow<green::timed_mutex>);
  });
}

TEST_CASE("a storm on a recursive_mutex conserves its owner") {
  sim::storm("recursive_mutex", 1, [](std::uint64_t seed) {
    storm_on<green::recursive_mutex>("recursive_mutex", seed,
                                     [](green::recursive_mutex& lockable, Owners& owners) {
                                       if (testing::choose(2))
                                         lock_again(lockable, owners);
                                       else
                                         lock_somehow(lockable, owners);
                                     });
  });
}

TEST_CASE("a storm on a shared_mutex conserves its writer and its readers") {
  sim::storm("shared_mutex", 1, [](std::uint64_t seed) {
    storm_on<green::shared_mutex>("shared_mutex", seed,
                                  [](green::shared_mutex& lockable, Owners& owners) {
                                    if (testing::choose(3))
                                      read_somehow(lockable, owners);
                                    else
                                      lock_somehow(lockable, owners);
                                  });
  });
}
