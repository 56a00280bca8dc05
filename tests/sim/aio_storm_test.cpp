// Random cancels and kills of who waits on asyncio's primitives, in simulation: permits,
// notifications and items are conserved.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <cstdio>
#include <mutex>

namespace {

using sim::require;
namespace testing = uvlet::testing;

constexpr std::size_t workers = 12;

// A green thread or a task that can be stopped.
struct Worker {
  std::function<void()> stop;
  std::function<bool()> done;
};

Worker start(std::function<aio::task<void>()> make) {
  if (testing::choose(2) == 0) {
    auto thread = green::spawn([make] { green::awaitlet(make()); });
    return {[thread] { thread.kill(); }, [thread] { return thread.dead(); }};
  }
  auto future = aio::create_task(make());
  return {[future]() mutable { future.cancel(); }, [future] { return future.done(); }};
}

double moment() { return 0.001 * static_cast<double>(testing::choose(4)); }

// Keeps workers alive until so many of them were stopped, each at some moment of its life; then
// stops them all.
void storm(const char* name, std::uint64_t seed, const std::function<aio::task<void>()>& make,
           const std::function<void()>& check) {
  const std::uint64_t stops = sim::operations(100'000);
  std::uint64_t stopped = 0;
  const auto report = testing::simulate(seed, [&] {
    std::vector<Worker> alive;
    while (stopped < stops) {
      while (alive.size() < workers) alive.push_back(start(make));
      for (std::size_t i = testing::choose(4); i > 0; --i) {
        alive[testing::choose(workers)].stop();
        ++stopped;
      }
      green::sleep(testing::choose(2) == 0 ? 0.0 : moment());
      check();
      std::erase_if(alive, [](const Worker& worker) { return worker.done(); });
    }
    for (Worker& worker : alive) worker.stop();
    for (Worker& worker : alive)
      while (!worker.done()) green::sleep(0.001);
    check();
  });
  require(report.left == 0, "somebody is left");
  std::printf("%s: %llu cancels and kills, %llu switches\n", name,
              static_cast<unsigned long long>(stopped),
              static_cast<unsigned long long>(report.switches));
}

struct Inside {
  explicit Inside(int& counter, int most) : count(counter) {
    require(++count <= most, "more are inside than there are permits");
  }
  ~Inside() { --count; }
  Inside(const Inside&) = delete;
  int& count;
};

aio::task<void> use_semaphore(aio::Semaphore& semaphore, int& inside) {
  for (;;) {
    co_await semaphore.acquire();
    struct Release {
      aio::Semaphore& semaphore;
      ~Release() { semaphore.release(); }
    } release{semaphore};
    const Inside here(inside, 3);
    co_await aio::sleep(moment());
  }
}

aio::task<void> use_condition(aio::Condition& condition, int& inside, int& tokens) {
  for (;;) {
    co_await condition.acquire();
    const std::lock_guard guard(condition, std::adopt_lock);
    if (testing::choose(2) == 0) {
      ++tokens;
      condition.notify();
    } else {
      co_await condition.wait_for([&tokens] { return tokens > 0; });
      --tokens;
    }
    const Inside here(inside, 1);
    co_await aio::sleep(moment());
  }
}

// Each counts an item as it leaves, or has come, in the same step.
aio::task<void> put_items(aio::Queue<int>& queue, std::uint64_t& in) {
  for (;;) {
    if (testing::choose(3) == 0 && !queue.full()) {
      queue.put_nowait(1);
      ++in;
    } else {
      co_await queue.put(1);
      ++in;
    }
    co_await aio::sleep(moment());
  }
}
aio::task<void> get_items(aio::Queue<int>& queue, std::uint64_t& out) {
  for (;;) {
    out += static_cast<std::uint64_t>(co_await queue.get());
    co_await aio::sleep(moment());
  }
}

aio::task<void> meet(aio::Barrier& barrier, std::vector<int>& met) {
  for (;;) {
    met[static_cast<std::size_t>(co_await barrier.wait())]++;
    co_await aio::sleep(moment());
  }
}

}  // namespace

TEST_CASE("a semaphore keeps its permits") {
  sim::storm("aio_semaphore", 1, [](std::uint64_t seed) {
    aio::Semaphore semaphore(3);
    int inside = 0;
    storm(
        "semaphore", seed, [&] { return use_semaphore(semaphore, inside); },
        [&] { require(inside <= 3, "too many inside"); });
    require(inside == 0, "somebody is inside");
    aio::run([](aio::Semaphore& all) -> aio::task<> {
      for (int i = 0; i < 3; ++i) co_await aio::wait_for(all.acquire(), 1);
    }(semaphore));
    require(semaphore.locked(), "a permit came from nowhere");
  });
}

TEST_CASE("a condition keeps its lock, and no waiter misses a token") {
  sim::storm("aio_condition", 1, [](std::uint64_t seed) {
    aio::Condition condition;
    int inside = 0;
    int tokens = 0;
    storm(
        "condition", seed, [&] { return use_condition(condition, inside, tokens); },
        [&] { require(inside <= 1 && tokens >= 0, "two hold the lock"); });
    require(!condition.locked() && inside == 0, "the lock is lost");
  });
}

TEST_CASE("a queue keeps its items") {
  sim::storm("aio_queue", 1, [](std::uint64_t seed) {
    aio::Queue<int> queue(4);
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    storm(
        "queue", seed,
        [&] { return testing::choose(2) == 0 ? put_items(queue, in) : get_items(queue, out); },
        [&] { require(queue.qsize() <= 4, "too many items"); });
    while (!queue.empty()) out += static_cast<std::uint64_t>(queue.get_nowait());
    require(in == out && in > 0, "an item is lost, or came twice");
  });
}

TEST_CASE("a barrier lets the same number through at each of its places") {
  sim::storm("aio_barrier", 1, [](std::uint64_t seed) {
    aio::Barrier barrier(4);
    std::vector<int> met(4);
    storm(
        "barrier", seed, [&] { return meet(barrier, met); },
        [&] { require(barrier.n_waiting() < 4, "all wait"); });
    require(barrier.n_waiting() == 0, "somebody waits");
    require(met[0] > 0 && met[3] > 0, "nobody met");
  });
}
