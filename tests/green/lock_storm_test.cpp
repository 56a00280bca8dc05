// Random operations on the semaphores and queues, by green threads and coroutines, with random
// kills and timeouts: permits and items are conserved exactly. UVLET_SEED repeats a run.

#include <green/queue.hpp>
#include <green/semaphore.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <utility>

namespace {

constexpr int operations = 120'000;
constexpr int workers = 12;

const bool configured = [] {
  uvlet::HubOptions options;
  options.virtual_clock = true;
  uvlet::Hub::configure(options);
  return true;
}();

class Random {
 public:
  Random() {
    const char* given = std::getenv("UVLET_SEED");
    const std::uint64_t seed = given ? std::strtoull(given, nullptr, 0) : 20240917;
    engine_.seed(seed);
    MESSAGE("UVLET_SEED=" << seed);
  }
  int below(int bound) { return static_cast<int>(engine_() % static_cast<std::uint64_t>(bound)); }
  // A few milliseconds, often none: equal ones end in the same turn.
  double moment() { return below(4) * 0.001; }

 private:
  std::mt19937_64 engine_;
};

// Something that runs and can be stopped: a green thread or a task.
struct Worker {
  std::function<void()> stop;
  std::function<bool()> done;
  std::function<void()> join;
};

Worker green_worker(std::function<void()> body) {
  auto thread = green::spawn(std::move(body));
  return {[thread] { thread.kill(); }, [thread] { return thread.dead(); },
          [thread] {
            try {
              thread.wait();
            } catch (const green::GreenletExit&) {
            }
          }};
}

Worker task_worker(aio::task<void> body) {
  auto future = aio::create_task(std::move(body));
  return {[future]() mutable { future.cancel(); }, [future] { return future.done(); },
          [future] {
            try {
              green::awaitlet(future);
            } catch (const aio::CancelledError&) {
            }
          }};
}

// Keeps `workers` of what make() gives alive until `left` is used up, stopping some on the way.
template <class Make>
void storm(Random& random, const int& left, Make make, bool kills = true) {
  std::vector<Worker> alive;
  while (left > 0) {
    while (alive.size() < workers) alive.push_back(make());
    green::sleep(random.moment());
    const auto index = static_cast<std::size_t>(random.below(workers));
    if (kills && random.below(3) == 0) alive[index].stop();
    if (!alive[index].done()) continue;
    alive[index].join();
    alive.erase(alive.begin() + static_cast<std::ptrdiff_t>(index));
  }
  for (Worker& worker : alive) worker.stop();
  for (Worker& worker : alive) worker.join();
}

// --- semaphores

template <class S>
struct Permits {
  S& semaphore;
  Random& random;
  int most;
  int left = operations;
  int held = 0;
  int excess = 0;  // how often more were held than there are
  int acquired = 0;

  struct Hold {
    explicit Hold(Permits& owner) : permits(owner) {
      ++permits.acquired;
      if (++permits.held > permits.most) ++permits.excess;
    }
    ~Hold() {
      --permits.held;
      permits.semaphore.release();
    }
    Hold(const Hold&) = delete;
    Permits& permits;
  };

  void work() {
    while (left-- > 0) {
      bool got = false;
      switch (random.below(4)) {
        case 0: got = semaphore.try_acquire(); break;
        case 1: got = semaphore.try_acquire_for(random.moment()); break;
        case 2:
          got = green::with_timeout_or(random.moment(), false, [&] { return semaphore.acquire(); });
          break;
        default: got = semaphore.acquire();
      }
      if (!got) {
        green::sleep(0);
        continue;
      }
      const Hold hold(*this);
      if (random.below(3) > 0) green::sleep(random.moment());
    }
  }
  aio::task<void> work_async() {
    while (left-- > 0) {
      bool got = false;
      if (random.below(2) == 0)
        got = co_await semaphore.try_acquire_for_async(random.moment());
      else
        got = co_await semaphore.acquire_async();
      if (!got) {
        co_await aio::sleep(0);
        continue;
      }
      const Hold hold(*this);
      if (random.below(3) > 0) co_await aio::sleep(random.moment());
    }
  }
};

template <class S>
void storm_permits(S& semaphore, int most) {
  Random random;
  Permits<S> permits{semaphore, random, most};
  storm(random, permits.left, [&] {
    return random.below(2) ? green_worker([&] { permits.work(); })
                           : task_worker(permits.work_async());
  });
  CHECK(permits.held == 0);
  CHECK(permits.excess == 0);
  CHECK(permits.acquired > operations / 20);
}

}  // namespace

TEST_CASE("a storm on a Semaphore conserves its permits") {
  for (int most : {1, 3}) {
    green::Semaphore semaphore(most);
    storm_permits(semaphore, most);
    CHECK(semaphore.counter() == most);
    CHECK(semaphore.balance() == most);
  }
}

TEST_CASE("a storm on a BoundedSemaphore conserves its permits") {
  green::BoundedSemaphore semaphore(2);
  storm_permits(semaphore, 2);
  CHECK(semaphore.counter() == 2);
  CHECK_THROWS_AS(semaphore.release(), std::invalid_argument);
}

TEST_CASE("a storm on a CappedSemaphore conserves its permits") {
  for (int limit : {0, 1, 4}) {
    Random random;
    const int count = limit / 2;
    green::CappedSemaphore semaphore(count, limit);
    int left = operations;
    int balance = count;  // what was released minus what was acquired
    auto work = [&] {
      while (left-- > 0) {
        switch (random.below(6)) {
          case 0: balance -= semaphore.try_acquire(); break;
          case 1: balance -= semaphore.try_acquire_for(random.moment()); break;
          case 2: balance += semaphore.try_release(); break;
          case 3: balance -= semaphore.acquire(); break;
          case 4:
            green::move_on_after(random.moment(), [&] {
              semaphore.release();
              ++balance;
            });
            break;
          default: semaphore.release(); ++balance;
        }
        if (random.below(4) == 0) green::sleep(random.moment());
      }
    };
    auto work_async = [&]() -> aio::task<void> {
      while (left-- > 0) {
        if (random.below(2)) {
          co_await semaphore.release_async();
          ++balance;
        } else {
          balance -= co_await semaphore.try_acquire_for_async(random.moment());
        }
        co_await aio::sleep(0);
      }
    };
    storm(random, left,
          [&] { return random.below(3) ? green_worker(work) : task_worker(work_async()); });
    CHECK(semaphore.balance() == 2 * balance - limit);
    int free = 0;
    while (semaphore.try_acquire()) ++free;
    CHECK(free == balance);
  }
}

// --- queues

namespace {

enum class Fate : char { offered, accepted, refused };

template <class Q>
struct Traffic {
  Q& queue;
  Random& random;
  // Nobody is interrupted in a get: what one producer puts comes to each consumer in that order. An
  // item that was promised to one who is killed comes later than those behind it.
  bool ordered;
  bool resized = false;
  int left = operations;
  int errors = 0;
  std::vector<Fate> fates{};
  std::vector<char> received{};
  std::vector<int> producers{};                        // of each item
  std::map<std::pair<int, int>, int> last_received{};  // by producer and consumer
  int last_number = 0;                                 // of producers and consumers
  std::size_t consumed = 0;
  int kind = 0;  // of the next worker

  // An item that is refused unless somebody accept()s it.
  int offer(int producer) {
    fates.push_back(Fate::refused);
    received.push_back(0);
    producers.push_back(producer);
    return static_cast<int>(fates.size()) - 1;
  }
  void accept(int item) { fates[static_cast<std::size_t>(item)] = Fate::accepted; }
  void receive(int item, int consumer) {
    const auto index = static_cast<std::size_t>(item);
    ++received[index];
    ++consumed;
    if (!ordered) return;
    int& last = last_received[{producers[index], consumer}];  // zero at first
    if (item < last) ++errors;
    last = item;
  }
  void look() {
    if (!resized && queue.maxsize() > 0 && queue.qsize() > queue.maxsize()) ++errors;
    if (resized && random.below(50) == 0) queue.resize(static_cast<std::size_t>(random.below(4)));
  }
  void produce() {
    const int producer = ++last_number;
    while (left-- > 0) {
      const int item = offer(producer);
      try {
        switch (random.below(5)) {
          case 0:
            if (queue.try_put(item)) accept(item);
            break;
          case 1:
            queue.put(item, random.moment());
            accept(item);
            break;
          case 2:
            green::move_on_after(random.moment(), [&] {
              queue.put(item);
              accept(item);
            });
            break;
          default: queue.put(item); accept(item);
        }
      } catch (const green::Full&) {
      }
      look();
      if (random.below(4) == 0) green::sleep(random.moment());
    }
  }
  void consume() {
    const int consumer = ++last_number;
    while (left-- > 0) {
      try {
        switch (random.below(5)) {
          case 0: receive(queue.get_nowait(), consumer); break;
          case 1: receive(queue.get(random.moment()), consumer); break;
          case 2:
            if (ordered) break;
            green::move_on_after(random.moment(), [&] { receive(queue.get(), consumer); });
            break;
          default: receive(queue.get(), consumer);
        }
      } catch (const green::Empty&) {
      }
      look();
      if (random.below(4) == 0) green::sleep(random.moment());
    }
  }
  aio::task<void> produce_async() {
    const int producer = ++last_number;
    while (left-- > 0) {
      const int item = offer(producer);
      try {
        if (random.below(2))
          co_await queue.put_async(item, random.moment());
        else
          co_await queue.put_async(item);
        accept(item);
      } catch (const green::Full&) {
      }
      if (random.below(4) == 0) co_await aio::sleep(random.moment());
    }
  }
  aio::task<void> consume_async() {
    const int consumer = ++last_number;
    while (left-- > 0) {
      try {
        if (random.below(2))
          receive(co_await queue.get_async(random.moment()), consumer);
        else
          receive(co_await queue.get_async(), consumer);
      } catch (const green::Empty&) {
      }
      if (random.below(4) == 0) co_await aio::sleep(random.moment());
    }
  }
  Worker worker() {
    switch (kind++ % 4) {
      case 0: return green_worker([this] { produce(); });
      case 1: return green_worker([this] { consume(); });
      case 2: return task_worker(produce_async());
      default: return task_worker(consume_async());
    }
  }

  void run() {
    storm(
        random, left, [&] { return worker(); }, !ordered);
    ordered = false;
    CHECK(queue.getting() == 0);
    CHECK(queue.putting() == 0);
    while (auto item = queue.try_get()) receive(*item, 0);
    CHECK(queue.empty());
    std::size_t accepted = 0;
    for (std::size_t i = 0; i < fates.size(); ++i) {
      accepted += fates[i] == Fate::accepted;
      errors += received[i] != (fates[i] == Fate::accepted ? 1 : 0);
    }
    CHECK(errors == 0);
    CHECK(consumed == accepted);
    CHECK(consumed > operations / 20);
    if constexpr (requires { queue.unfinished_tasks(); }) {
      CHECK(queue.unfinished_tasks() == accepted);
      for (std::size_t i = 0; i < accepted; ++i) queue.task_done();
      queue.join();
    }
  }
};

template <class Q>
void storm_queue(std::size_t maxsize, bool ordered, bool resized = false) {
  CAPTURE(maxsize);
  Random random;
  Q queue(maxsize);
  Traffic<Q> traffic{queue, random, ordered, resized};
  traffic.run();
}

}  // namespace

TEST_CASE_TEMPLATE("a storm on a queue conserves its items", Q, green::LightQueue<int>,
                   green::Queue<int>, green::LifoQueue<int>, green::PriorityQueue<int>) {
  for (const std::size_t maxsize :
       {std::size_t{0}, std::size_t{1}, std::size_t{3}, green::unbounded})
    storm_queue<Q>(maxsize, false);
}

TEST_CASE_TEMPLATE("a storm on a queue that is resized conserves its items", Q,
                   green::LightQueue<int>, green::PriorityQueue<int>) {
  storm_queue<Q>(1, false, true);
}

TEST_CASE("without interrupts each consumer gets what a producer puts in its order") {
  for (const std::size_t maxsize :
       {std::size_t{0}, std::size_t{1}, std::size_t{3}, green::unbounded})
    storm_queue<green::LightQueue<int>>(maxsize, true);
  storm_queue<green::Queue<int>>(1, true, true);
}

TEST_CASE("an item that comes in the turn in which the time is over wins") {
  green::Queue<int> queue(1);
  green::Semaphore semaphore(0);
  auto sender = green::spawn([&] {
    green::sleep(0.001);
    queue.put(1);
    semaphore.release();
  });
  green::sleep(0);
  auto getter = green::spawn([&] { return queue.get(0.001); });
  auto acquirer = green::spawn([&] { return semaphore.try_acquire_for(0.001); });
  CHECK(getter.wait() == 1);
  CHECK(acquirer.wait());
  sender.wait();
}
