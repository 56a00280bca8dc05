// Kills of green threads and tasks whose destructors lock, put, and sleep, while others are killed
// and they are killed again.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <exception>
#include <mutex>
#include <optional>

namespace {

using sim::require;
namespace testing = uvlet::testing;

constexpr std::uint64_t usual_kills = 10'000;
constexpr int batch = 500;
constexpr double moment = 0.0001;
constexpr double time_to_end = batch * moment + 1;  // one after the other, and a second

// What those who end share.
struct Shared {
  green::mutex lock;
  green::Queue<int> put{4};
  int holders = 0;
  std::uint64_t cleaned = 0;
  std::uint64_t errors = 0;
};

class Cleanup {
 public:
  explicit Cleanup(Shared& shared) : shared_(shared) {}
  Cleanup(const Cleanup&) = delete;
  ~Cleanup() {
    std::optional<green::Shield> shield;
    if (std::uncaught_exceptions() == 0) shield.emplace();  // else kills wait by themselves
    {
      const std::lock_guard lock(shared_.lock);
      shared_.errors += ++shared_.holders != 1;
      green::sleep(moment);
      --shared_.holders;
    }
    shared_.put.put(1);
    green::sleep(moment);
    ++shared_.cleaned;
  }

 private:
  Shared& shared_;
};

void live(Shared& shared) {
  const Cleanup cleanup(shared);
  green::sleep(moment * static_cast<double>(testing::choose(100)));
}
aio::task<void> live_as_task(Shared& shared) {
  const Cleanup cleanup(shared);
  co_await aio::sleep(moment * static_cast<double>(testing::choose(100)));
}

void kill_later(const green::Greenlet& victim) {
  if (!victim.dead()) victim.identity()->root->kill();
}

// A batch that lives for a while and is then killed, all of it, some twice.
void live_and_die(Shared& shared) {
  std::vector<green::Greenlet> victims;
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < batch; ++i) {
    threads.push_back(i % 2 ? green::spawn(live, std::ref(shared))
                            : green::spawn_for_awaitable(live_as_task(shared)));
    victims.push_back(threads.back());
  }
  green::sleep(0);
  green::sleep(moment * static_cast<double>(testing::choose(50)));
  const uvlet::Time killed = uvlet::Hub::get().now();
  for (const green::Greenlet& victim : victims) kill_later(victim);
  for (int i = 0; i < batch / 2; ++i) {
    kill_later(victims[testing::choose(victims.size())]);
    if (testing::choose(10) == 0) green::sleep(moment);
  }
  for (const auto& thread : threads) try {
      thread.wait();
    } catch (const green::GreenletExit&) {
    }
  const double took = static_cast<double>(uvlet::Hub::get().now() - killed) * 1e-9;
  require(took < time_to_end, "an end that took too long");
}

}  // namespace

TEST_CASE("destructors that lock, put and sleep finish, whoever is killed meanwhile") {
  sim::storm("cleanup", 1, [](std::uint64_t seed) {
    const std::uint64_t kills = sim::operations(usual_kills);
    const auto report = testing::simulate(testing::SimulationOptions(seed), [&] {
      Shared here;
      auto reader = green::spawn([&] {
        for (;;) here.put.get();
      });
      for (std::uint64_t done = 0; done < kills; done += batch) live_and_die(here);
      require(here.cleaned >= kills, "a destructor did not finish");
      require(here.errors == 0, "two held the lock");
      require(here.lock.try_lock(), "the lock is lost");
      here.lock.unlock();
      reader.kill();
    });
    require(report.left == 0, "somebody is left");
  });
}
