// Random kills over many green threads and through the bridge, in simulation.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>

namespace {

using sim::require;
namespace testing = uvlet::testing;

struct Tracked {
  explicit Tracked(int& counter) : alive(&counter) { ++*alive; }
  Tracked(const Tracked& other) : alive(other.alive) { ++*alive; }
  Tracked& operator=(const Tracked&) = delete;
  ~Tracked() { --*alive; }
  int* alive;
};

// What all victims share.
struct Victims {
  green::Event<> never;
  std::uint64_t reached = 0;  // kills that were seen as an exception
  bool retire = false;
};

// Sleeps, yields, waits for events, with limits and in destructors; goes on after most kills.
void live(Victims& state, int& alive) {
  const Tracked tracked(alive);
  while (!state.retire) {
    try {
      switch (testing::choose(5)) {
        case 0: green::sleep(0); break;
        case 1: green::sleep(0.001 * static_cast<double>(testing::choose(5))); break;
        case 2: green::move_on_after(0.002, [&] { state.never.wait(); }); break;
        case 3: state.never.wait(0.001); break;
        default: {
          struct Cleanup {
            ~Cleanup() {
              const green::Shield shield;
              green::sleep(0);
            }
          } cleanup;
          green::sleep(0.001);
        }
      }
    } catch (const green::GreenletExit&) {
      ++state.reached;
      if (testing::choose(4) == 0) throw;
    }
  }
}

aio::task<void> live_as_task(Victims& state, int& alive, int depth);

void live_across(Victims& state, int& alive, int depth) {
  const Tracked tracked(alive);
  while (!state.retire) {
    try {
      switch (testing::choose(3)) {
        case 0: green::sleep(0.001); break;
        case 1: state.never.wait(0.001); break;
        default:
          if (depth < 3) green::awaitlet(live_as_task(state, alive, depth + 1));
          green::sleep(0);
      }
      if (depth > 0 && testing::choose(4) == 0) return;
    } catch (const green::GreenletExit&) {
      if (depth == 0) ++state.reached;
      if (depth > 0 || testing::choose(4) == 0) throw;
    }
  }
}

aio::task<void> live_as_task(Victims& state, int& alive, int depth) {
  const Tracked tracked(alive);
  for (int i = 0; i < 4; ++i) {
    try {
      switch (testing::choose(4)) {
        case 0: co_await aio::sleep(0.001); break;
        case 1: co_await state.never.wait_async(0.001); break;
        case 2:
          if (depth < 3) live_across(state, alive, depth + 1);  // green code in a coroutine
          break;
        default: {
          auto child = green::spawn([&alive] {
            const Tracked inner(alive);
            green::sleep(0.001);
          });
          co_await std::move(child);
        }
      }
    } catch (const aio::CancelledError&) {
      if (testing::choose(2) == 0) throw;
    }
  }
}

// Keeps `victims` green threads alive while the fault plan kills them at any switch, until so many
// kills have reached one.
template <class Body>
void survive(std::uint64_t seed, std::size_t victims, std::uint64_t kills, Body body) {
  testing::SimulationOptions options(seed);
  options.faults.kills = 0.5;
  options.faults.early_timeouts = 0.01;
  int alive = 0;
  Victims state;
  const auto report = testing::simulate(options, [&] {
    green::GreenPool pool(static_cast<int>(victims));
    while (state.reached < kills) testing::expose(pool.spawn([&] { body(state, alive); }));
    state.retire = true;
    pool.waitall();
    require(alive == 0, "a frame is left");
    require(pool.free() == static_cast<int>(victims), "a place is lost");
  });
  require(report.left == 0, "somebody is left");
  require(report.kills >= state.reached, "more exceptions than kills");
  std::printf("%llu kills, of which %llu reached a wait; %llu switches, %.0f s of virtual time\n",
              static_cast<unsigned long long>(report.kills),
              static_cast<unsigned long long>(state.reached),
              static_cast<unsigned long long>(report.switches), report.seconds);
}

}  // namespace

TEST_CASE("kills at any moment over ten thousand green threads lose nothing") {
  sim::storm("kill_green_threads", 1,
             [](std::uint64_t seed) { survive(seed, 10'000, sim::operations(100'000), live); });
}

TEST_CASE("kills through green, task, green, task leave no frame") {
  sim::storm("kill_across", 1, [](std::uint64_t seed) {
    survive(seed, 1'000, sim::operations(100'000),
            [](Victims& state, int& alive) { live_across(state, alive, 0); });
  });
}

TEST_CASE("kill() runs its victim at once and comes back, over and over") {
  sim::storm("kill_by_hand", 1, [](std::uint64_t seed) {
    int alive = 0;
    const auto report = testing::simulate(seed, [&] {
      Victims state;
      std::vector<green::GreenThread<void>> threads(100);
      for (std::uint64_t i = 0; i < sim::operations(10'000); ++i) {
        auto& thread = threads[testing::choose(threads.size())];
        if (thread.dead()) thread = green::spawn([&] { live(state, alive); });
        thread.kill();
      }
      state.retire = true;
      for (auto& thread : threads)
        while (!thread.dead()) green::sleep(0.001);
    });
    require(report.left == 0 && alive == 0, "a frame is left");
  });
}

namespace {

// A top-level task that is cancelled, or a green thread that is killed; below it the layers
// alternate.
struct Victim {
  void start(Victims& state, int& alive) {
    if (testing::choose(2) == 0)
      task = aio::create_task(live_as_task(state, alive, 0));
    else
      thread = green::spawn([&] { live_across(state, alive, 0); });
  }
  bool done() {
    if (task && task->done()) task.reset();
    if (thread && thread->dead()) thread.reset();
    return !task && !thread;
  }
  void stop() {
    if (task)
      task->cancel();
    else
      thread->kill();
  }
  std::optional<aio::Future<>> task;
  std::optional<green::GreenThread<void>> thread;
};

}  // namespace

TEST_CASE("cancels and kills through task, green, task, green leave no frame") {
  sim::storm("cancel_across", 1, [](std::uint64_t seed) {
    int alive = 0, most = 0;
    const auto report = testing::simulate(seed, [&] {
      Victims state;
      std::vector<Victim> victims(200);
      for (std::uint64_t stops = 0; stops < sim::operations(100'000); ++stops) {
        Victim& victim = victims[testing::choose(victims.size())];
        if (victim.done()) victim.start(state, alive);
        if (testing::choose(4) == 0) green::sleep(0.001 * static_cast<double>(testing::choose(3)));
        if (!victim.done()) victim.stop();
        most = std::max(most, alive);
      }
      state.retire = true;
      for (Victim& victim : victims)
        while (!victim.done()) green::sleep(0.001);
      green::sleep(0.1);  // what they spawned ends too
      require(alive == 0, "a frame is left");
    });
    require(most > 200, "nobody came below the first layer");
    require(report.left == 0, "somebody is left");
  });
}

TEST_CASE("early timeouts and delayed wakes lose nothing either") {
  sim::storm("faults", 20, [](std::uint64_t seed) {
    testing::SimulationOptions options(seed);
    options.faults.kills = 0.02;
    options.faults.early_timeouts = options.faults.delayed_wakes = 0.05;
    int alive = 0;
    Victims state;
    const auto report = testing::simulate(options, [&] {
      green::GreenPool pool(50);
      for (int i = 0; i < 200; ++i) {
        testing::expose(pool.spawn([&, i] {
          if (i % 2 == 0)
            live(state, alive);
          else
            live_across(state, alive, 0);
        }));
        if (i % 10 == 0) green::sleep(0.001);
      }
      green::sleep(1);
      state.retire = true;
      pool.waitall();
      require(pool.running() == 0 && pool.free() == 50, "a place is lost");
    });
    require(report.kills > 0, "the plan killed nobody");
    require(report.left == 0 && alive == 0, "a frame is left");
  });
}
