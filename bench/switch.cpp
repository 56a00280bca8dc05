// usage: switch [--json FILE] [ROUNDS]
//
// What a switch costs, against the bare jump_fcontext of the same round.

#include "support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <algorithm>
#include <vector>

namespace {

template <int threads>
double yield_among() {
  constexpr int each = std::max(4'000'000 / threads, 20);
  std::vector<green::GreenThread<void>> running;
  running.reserve(threads);
  for (int i = 0; i < threads; ++i)
    running.push_back(green::spawn([] {
      for (int j = 0; j < each; ++j) green::sleep(0);
    }));
  green::sleep(0);  // all have started
  const auto start = bench::Clock::now();
  for (auto& thread : running) thread.wait();
  return bench::nanoseconds_since(start) / (double{threads} * (each - 1));
}

aio::task<int> ready() { co_return 1; }
aio::task<int> suspends_once() {
  co_await aio::sleep(0);
  co_return 1;
}

double spawn_and_wait() {
  return bench::each_of(1'000'000, [] { green::spawn([] {}).wait(); });
}
double awaitlet_ready() {
  return bench::each_of(4'000'000, [] { green::awaitlet(ready()); });
}
// With another green thread to go to meanwhile: two switches a call, one of them ours.
double awaitlet_suspending() {
  const auto other = green::spawn([] {
    for (;;) green::sleep(0);
  });
  green::sleep(0);
  const double time = bench::each_of(1'000'000, [] { green::awaitlet(suspends_once()); });
  other.kill();
  return time;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Suite suite("switch");
  suite.at_most(suite.row("yield, 2 green threads", yield_among<2>), 1.6);
  suite.at_most(suite.row("yield, 1,000 green threads", yield_among<1'000>), 3);
  suite.row("yield, 100,000 green threads", yield_among<100'000>);
  suite.at_most(suite.row("spawn + wait", spawn_and_wait), 12);
  suite.at_most(suite.row("awaitlet of a ready task", awaitlet_ready), 6);
  suite.at_most(suite.row("awaitlet of a suspending task", awaitlet_suspending), 16);
  return suite.run(argc, argv);
}
