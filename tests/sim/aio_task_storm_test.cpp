// Random cancels and kills over trees of tasks that wait for each other in every way there is: all
// of them end, and each frame is freed.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <cstdio>

namespace {

using sim::require;
namespace testing = uvlet::testing;

constexpr std::size_t trees = 6;
constexpr int depth_max = 3;

struct Tracked {
  explicit Tracked(int& counter) : alive(&counter) { ++*alive; }
  Tracked(const Tracked&) = delete;
  ~Tracked() { --*alive; }
  int* alive;
};

struct Failure : std::runtime_error {
  Failure() : std::runtime_error("on purpose") {}
};

double moment() { return 0.001 * static_cast<double>(testing::choose(4)); }

aio::task<int> tree(int& alive, int depth);

std::vector<aio::task<int>> branches(int& alive, int depth) {
  std::vector<aio::task<int>> all;
  for (std::size_t i = 1 + testing::choose(3); i > 0; --i) all.push_back(tree(alive, depth + 1));
  return all;
}

aio::task<int> by_gather(int& alive, int depth) {
  const auto results = co_await aio::gather(branches(alive, depth));
  co_return static_cast<int>(results.size());
}
aio::task<int> by_gather_settled(int& alive, int depth) {
  const auto results = co_await aio::gather_settled(branches(alive, depth));
  co_return static_cast<int>(results.size());
}
// It cancels nothing, so what is left is cancelled here.
aio::task<int> by_wait(int& alive, int depth) {
  struct CancelAll {
    ~CancelAll() {
      for (auto& one : all) one.cancel();
    }
    std::vector<aio::Future<int>> all;
  } owned;
  for (auto& one : branches(alive, depth)) owned.all.push_back(aio::create_task(std::move(one)));
  const auto when = static_cast<aio::ReturnWhen>(testing::choose(3));
  const auto [done, pending] = co_await aio::wait(owned.all, when, 0.002);
  require(done.size() + pending.size() == owned.all.size(), "a Future is lost");
  co_return static_cast<int>(done.size());
}
aio::task<int> by_as_completed(int& alive, int depth) {
  int sum = 0;
  auto in_order = aio::as_completed(branches(alive, depth));
  for (auto& next : in_order) sum += co_await std::move(next);
  co_return sum;
}
aio::task<int> by_group(int& alive, int depth) {
  aio::TaskGroup group;
  for (auto& one : branches(alive, depth)) group.create_task(std::move(one));
  if (testing::choose(3) == 0) co_return 0;  // destroyed without join
  co_await group.join();
  co_return 1;
}
aio::task<int> by_limits(int& alive, int depth) {
  aio::timeout scope(0.003);
  if (testing::choose(2) == 0) scope.reschedule(moment());
  if (testing::choose(2) == 0) co_return co_await aio::shield(tree(alive, depth + 1));
  co_return co_await aio::wait_for(tree(alive, depth + 1), 0.002);
}

aio::task<int> tree(int& alive, int depth) {
  const Tracked tracked(alive);
  if (testing::choose(8) == 0) throw Failure();
  if (depth == depth_max || testing::choose(4) == 0) {
    co_await aio::sleep(moment());
    co_return 1;
  }
  switch (testing::choose(6)) {
    case 0: co_return co_await by_gather(alive, depth);
    case 1: co_return co_await by_gather_settled(alive, depth);
    case 2: co_return co_await by_wait(alive, depth);
    case 3: co_return co_await by_as_completed(alive, depth);
    case 4: co_return co_await by_group(alive, depth);
    default: co_return co_await by_limits(alive, depth);
  }
}

// A tree, and how to stop it: its green thread is killed, its task cancelled, or any of all tasks.
struct Planted {
  explicit Planted(int& alive) {
    if (testing::choose(2) == 0)
      thread = green::spawn([&alive] { (void)green::awaitlet(tree(alive, 0)); });
    else
      task = aio::create_task(tree(alive, 0));
  }
  bool done() const { return task ? task->done() : thread->dead(); }
  void stop() {
    if (task)
      task->cancel();
    else
      thread->kill();
  }
  std::optional<aio::Future<int>> task;
  std::optional<green::GreenThread<void>> thread;
};

}  // namespace

TEST_CASE("trees of tasks end, whatever is cancelled or killed when") {
  uvlet::report_exceptions = false;
  sim::storm("aio_tasks", 2, [](std::uint64_t seed) {
    const std::uint64_t stops = sim::operations(50'000);
    std::uint64_t stopped = 0;
    int alive = 0;
    const auto report = testing::simulate(seed, [&] {
      std::vector<Planted> planted;
      while (stopped < stops) {
        while (planted.size() < trees) planted.emplace_back(alive);
        green::sleep(testing::choose(2) == 0 ? 0.0 : moment());
        for (std::size_t i = testing::choose(3); i > 0; --i, ++stopped)
          planted[testing::choose(trees)].stop();
        if (auto tasks = aio::all_tasks(); !tasks.empty() && testing::choose(2) == 0) {
          tasks[testing::choose(tasks.size())].cancel();
          ++stopped;
        }
        std::erase_if(planted, [](const Planted& one) { return one.done(); });
      }
      while (!planted.empty() || !aio::all_tasks().empty()) {
        green::sleep(0.001);
        std::erase_if(planted, [](const Planted& one) { return one.done(); });
      }
      green::sleep(0.001);
      require(alive == 0, "a frame is left");
    });
    require(report.left == 0, "somebody is left");
    std::printf("%llu cancels and kills, %llu switches, %.0f s of virtual time\n",
                static_cast<unsigned long long>(stopped),
                static_cast<unsigned long long>(report.switches), report.seconds);
  });
  uvlet::report_exceptions = true;
}
