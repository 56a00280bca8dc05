// Random operations on condition variables, latches, barriers, threads and futures, with random
// kills and time limits: no notification, arrival or result is lost or comes twice.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <cstdio>
#include <mutex>
#include <optional>

namespace {

using sim::require;
namespace testing = uvlet::testing;

const std::uint64_t operations = sim::operations(100'000);

double moment() { return 0.001 * static_cast<double>(testing::choose(4)); }
void pause() {
  if (testing::choose(2)) green::sleep(moment());
}

// Runs `program`, which counts what it finds wrong: a green thread's exception is its own.
template <class F>
void storm_of(const char* name, std::uint64_t seed, F program) {
  testing::SimulationOptions options(seed);
  options.faults.kills = 0.02;
  options.faults.early_timeouts = 0.02;
  options.faults.delayed_wakes = 0.02;
  std::uint64_t done = 0;
  std::uint64_t errors = 0;
  const auto report = testing::simulate(options, [&] { program(done, errors); });
  std::printf("%s: %llu operations, %llu kills, %llu switches\n", name,
              static_cast<unsigned long long>(done), static_cast<unsigned long long>(report.kills),
              static_cast<unsigned long long>(report.switches));
  require(errors == 0, "something was lost, or came too early or twice");
  require(done >= operations, "too few operations");
  require(report.left == 0, "somebody is left");
}

// --- condition_variable: a buffer of one that producers fill and consumers empty

struct Buffer {
  explicit Buffer(std::uint64_t& operations_done, std::uint64_t& errors_seen)
      : done(operations_done), errors(errors_seen) {}
  std::uint64_t& done;
  std::uint64_t& errors;
  green::mutex mutex;
  green::condition_variable not_empty;
  green::condition_variable not_full;
  int items = 0;
  int produced = 0;
  int consumed = 0;
  int wait_for_items = 0;
  int wait_for_room = 0;

  // Waits while there are `items_to_wait_out`; the lock is held whatever happens.
  void wait(std::unique_lock<green::mutex>& lock, green::condition_variable& condition,
            int items_to_wait_out, int& waiting) {
    while (items == items_to_wait_out) {
      ++waiting;
      try {
        if (testing::choose(3) == 0)
          green::awaitlet(condition.wait_async(lock));
        else if (testing::choose(3) == 0)
          condition.wait_for(lock, moment());
        else
          condition.wait(lock);
      } catch (...) {
        --waiting;
        errors += !lock.owns_lock() || mutex.try_lock();
        throw;
      }
      --waiting;
      errors += !lock.owns_lock() || mutex.try_lock();
    }
  }
  void produce() {
    std::unique_lock lock(mutex);
    wait(lock, not_full, 1, wait_for_room);
    errors += items != 0;
    ++items;
    ++produced;
    not_empty.notify_one();
    if (testing::choose(2)) green::sleep(0);
  }
  void consume() {
    std::unique_lock lock(mutex);
    wait(lock, not_empty, 0, wait_for_items);
    errors += items != 1;
    --items;
    ++consumed;
    not_full.notify_one();
    if (testing::choose(2)) green::sleep(0);
  }
};

void exchange(Buffer& buffer, bool producer, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    ++buffer.done;
    auto act = [&] { producer ? buffer.produce() : buffer.consume(); };
    if (testing::choose(4) == 0)
      green::move_on_after(moment(), act);
    else
      act();
    pause();
  }
}

void buffer_round(Buffer& buffer) {
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 8; ++i) {
    threads.push_back(green::spawn(exchange, std::ref(buffer), i % 2 == 0, 20));
    testing::expose(threads.back());
  }
  green::sleep(0.2);
  // Nobody is ready: an item and one who waits for it, or room, means a lost notification.
  testing::wait_all_blocked();
  buffer.errors += buffer.items == 1 && buffer.wait_for_items > 0;
  buffer.errors += buffer.items == 0 && buffer.wait_for_room > 0;
  buffer.errors += buffer.produced - buffer.consumed != buffer.items;
  for (auto& thread : threads) thread.kill();
  for (auto& thread : threads) {
    try {
      thread.wait();
    } catch (const green::GreenletExit&) {
    }
  }
  buffer.errors += buffer.wait_for_items != 0 || buffer.wait_for_room != 0;
  buffer.errors += !buffer.mutex.try_lock();
  buffer.mutex.unlock();
}

// --- latch

void latch_round(std::uint64_t& done, std::uint64_t& errors) {
  green::latch latch(6);
  int passed = 0;
  green::GreenPool pool(20);
  for (int i = 0; i < 8; ++i) {
    auto wait = [&] {
      ++done;
      if (testing::choose(3) == 0) {
        if (!green::move_on_after(moment(), [&] { latch.wait(); })) return;
      } else if (testing::choose(2)) {
        green::awaitlet(latch.wait_async());
      } else {
        latch.wait();
      }
      ++passed;
      errors += !latch.try_wait();
    };
    testing::expose(pool.spawn(wait));
  }
  for (int i = 0; i < 6; ++i) {
    pool.spawn([&] {  // they are not killed: the latch would stay closed
      ++done;
      pause();
      if (testing::choose(2))
        latch.count_down();
      else
        latch.arrive_and_wait();
    });
  }
  pool.waitall();
  errors += !latch.try_wait() || passed > 8;
}

// --- barrier: who is killed in a wait has arrived, and goes on

void barrier_round(std::uint64_t& done, std::uint64_t& errors) {
  constexpr int parties = 5;
  constexpr int phases = 20;
  int arrived = 0;
  int completed = 0;
  auto complete = [&]() noexcept {
    errors += arrived != parties * (completed + 1);
    ++completed;
  };
  green::barrier<decltype(complete)> barrier(parties, complete);
  auto take_part = [&] {
    for (int phase = 0; phase < phases; ++phase) {
      ++done;
      ++arrived;
      auto token = barrier.arrive();
      for (bool over = false; !over;) {
        try {
          if (testing::choose(2) == 0)
            over = green::move_on_after(moment(), [&] { barrier.wait(std::move(token)); });
          else
            barrier.wait(std::move(token)), over = true;
        } catch (const green::GreenletExit&) {
        }
      }
      errors += completed < phase + 1 || completed > phase + 2;
      const green::Shield shield;
      pause();
    }
  };
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < parties; ++i) {
    threads.push_back(green::spawn(take_part));
    while (!threads.back().started()) green::sleep(0);  // a kill before that would end it
    testing::expose(threads.back());
  }
  for (auto& thread : threads) thread.wait();
  errors += completed != phases;
}

// --- thread

void thread_round(std::uint64_t& done, std::uint64_t& errors, int& alive) {
  struct Alive {
    explicit Alive(int& of) : count(of) { ++count; }
    ~Alive() { --count; }
    Alive(const Alive&) = delete;
    int& count;
  };
  green::thread threads[4];
  bool ended[4] = {};
  for (int i = 0; i < 4; ++i) {
    threads[i] = green::thread([&alive, &end = ended[i]] {
      const Alive one(alive);
      struct End {
        ~End() { flag = true; }
        bool& flag;
      } const at_end{end};
      for (std::size_t j = testing::choose(4); j > 0; --j) green::this_thread::sleep_for(moment());
    });
    testing::expose(threads[i].native_handle());
  }
  for (int i = 0; i < 4; ++i) {
    const green::Greenlet handle = threads[i].native_handle();
    while (threads[i].joinable()) {
      ++done;
      if (testing::choose(3) == 0) handle.kill();
      if (testing::choose(2))
        green::move_on_after(moment(), [&] { threads[i].join(); });
      else
        threads[i].join();
    }
    errors += !handle.dead() || (handle.started() && !ended[i]);
  }
  errors += alive != 0;
}

// --- promise and future

void future_round(std::uint64_t& done, std::uint64_t& errors) {
  constexpr int pairs = 6;
  std::vector<std::optional<green::promise<int>>> sources(pairs);
  std::vector<green::shared_future<int>> results;
  std::vector<int> outcomes(pairs, 0);  // what was set; -1: broken
  for (auto& source : sources) {
    source.emplace();
    results.push_back(source->get_future().share());
  }
  green::GreenPool pool(20);
  auto read = [&](int i) {
    const auto& result = results[static_cast<std::size_t>(i)];
    for (int attempt = 0; attempt < 3; ++attempt) {
      ++done;
      try {
        if (testing::choose(2) && result.wait_for(moment()) != std::future_status::ready) continue;
        const int value = testing::choose(2) ? result.get() : green::awaitlet(result.get_async());
        errors += value != outcomes[static_cast<std::size_t>(i)];
      } catch (const std::future_error&) {
        errors += outcomes[static_cast<std::size_t>(i)] != -1;
      }
    }
  };
  auto settle = [&](int i) {
    ++done;
    const green::Shield shield;
    pause();
    const auto place = static_cast<std::size_t>(i);
    outcomes[place] = testing::choose(4) == 0 ? -1 : 1 + static_cast<int>(testing::choose(1000));
    if (outcomes[place] == -1)
      sources[place].reset();
    else
      sources[place]->set_value(outcomes[place]);
  };
  for (int i = 0; i < pairs; ++i)
    for (int reader = 0; reader < 2; ++reader) testing::expose(pool.spawn(read, i));
  for (int i = 0; i < pairs; ++i) pool.spawn(settle, i);
  auto sum = green::async([&] {
    ++done;
    int total = 0;
    for (auto& result : results) {
      try {
        total += result.get();
      } catch (const std::future_error&) {
      }
    }
    return total;
  });
  int expected = 0;
  pool.waitall();
  for (const int outcome : outcomes) expected += outcome > 0 ? outcome : 0;
  errors += sum.get() != expected;
}

}  // namespace

TEST_CASE("a storm on a condition_variable loses no notification, and keeps the lock") {
  sim::storm("condition_variable", 1, [](std::uint64_t seed) {
    storm_of("condition_variable", seed, [](std::uint64_t& done, std::uint64_t& errors) {
      Buffer buffer(done, errors);
      while (done < operations) buffer_round(buffer);
      errors += static_cast<std::uint64_t>(buffer.consumed) < operations / 10;
    });
  });
}

TEST_CASE("a storm on latches lets nobody through early, and leaves nobody behind") {
  sim::storm("latch", 1, [](std::uint64_t seed) {
    storm_of("latch", seed, [](std::uint64_t& done, std::uint64_t& errors) {
      while (done < operations) latch_round(done, errors);
    });
  });
}

TEST_CASE("a storm on barriers counts each arrival once") {
  sim::storm("barrier", 1, [](std::uint64_t seed) {
    storm_of("barrier", seed, [](std::uint64_t& done, std::uint64_t& errors) {
      while (done < operations) barrier_round(done, errors);
    });
  });
}

TEST_CASE("a storm on threads joins those who have ended, and all of them") {
  sim::storm("thread", 1, [](std::uint64_t seed) {
    storm_of("thread", seed, [](std::uint64_t& done, std::uint64_t& errors) {
      int alive = 0;
      while (done < operations) thread_round(done, errors, alive);
    });
  });
}

TEST_CASE("a storm on futures gives each reader what was set") {
  sim::storm("future", 1, [](std::uint64_t seed) {
    storm_of("future", seed, [](std::uint64_t& done, std::uint64_t& errors) {
      while (done < operations) future_round(done, errors);
    });
  });
}
