// usage: switch [ROUNDS]
//
// What a switch costs, against the bare jump_fcontext of the same round. Rounds are interleaved;
// the table shows medians, and the middle half of the ratios.

#include <aio/aio.hpp>
#include <green/green.hpp>
#include <uvlet/switch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

// --- the limit: one way of a jump between two stacks -------------------------------------------

void bounce(uvlet::Transfer transfer) {
  for (;;) transfer = uvlet::jump_context(transfer.context, nullptr);
}

double raw_jump() {
  constexpr int jumps = 4'000'000;
  constexpr std::size_t stack_bytes = 64 * 1024;
  static const std::unique_ptr<char[]> stack(new char[stack_bytes]);
  void* other = uvlet::make_context(stack.get() + stack_bytes, stack_bytes, bounce);
  const auto start = Clock::now();
  for (int i = 0; i < jumps / 2; ++i) other = uvlet::jump_context(other, nullptr).context;
  return nanoseconds_since(start) / jumps;
}

// --- ours --------------------------------------------------------------------------------------

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
  const auto start = Clock::now();
  for (auto& thread : running) thread.wait();
  return nanoseconds_since(start) / (double{threads} * (each - 1));
}

template <class F>
double each_of(int calls, F call) {
  const auto start = Clock::now();
  for (int i = 0; i < calls; ++i) call();
  return nanoseconds_since(start) / calls;
}

aio::task<int> ready() { co_return 1; }
aio::task<int> suspends_once() {
  co_await aio::sleep(0);
  co_return 1;
}

double spawn_and_wait() {
  return each_of(1'000'000, [] { green::spawn([] {}).wait(); });
}
double awaitlet_ready() {
  return each_of(4'000'000, [] { green::awaitlet(ready()); });
}
// With another green thread to go to meanwhile: two switches a call, one of them ours.
double awaitlet_suspending() {
  const auto other = green::spawn([] {
    for (;;) green::sleep(0);
  });
  green::sleep(0);
  const double time = each_of(1'000'000, [] { green::awaitlet(suspends_once()); });
  other.kill();
  return time;
}

struct Row {
  const char* name;
  double (*measure)();
  double limit;  // the largest ratio to the bare jump; 0: none
  std::vector<double> times{};
  std::vector<double> ratios{};
};

double quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  if (rounds < 1) {
    std::fprintf(stderr, "switch: ROUNDS is at least 1, not '%s'\n", argv[1]);
    return 2;
  }
  Row rows[] = {{"yield, 2 green threads", yield_among<2>, 1.6},
                {"yield, 1,000 green threads", yield_among<1'000>, 3},
                {"yield, 100,000 green threads", yield_among<100'000>, 0},
                {"spawn + wait", spawn_and_wait, 12},
                {"awaitlet of a ready task", awaitlet_ready, 6},
                {"awaitlet of a suspending task", awaitlet_suspending, 16}};
  std::vector<double> raw;
  raw_jump();
  for (int round = 0; round < rounds; ++round) {
    for (Row& row : rows) {
      const double jump = raw_jump();
      raw.push_back(jump);
      row.times.push_back(row.measure());
      row.ratios.push_back(row.times.back() / jump);
      std::fprintf(stderr, "\rround %d of %d", round + 1, rounds);
    }
  }
  std::printf("\n%-32s %8s %8s %15s %8s\n", "", "ns", "x jump", "middle half", "limit");
  std::printf("%-32s %8.2f %8.2f\n", "jump_fcontext, one way", quantile(raw, 0.5), 1.0);
  for (const Row& row : rows) {
    std::printf("%-32s %8.2f %8.2f %7.2f-%7.2f", row.name, quantile(row.times, 0.5),
                quantile(row.ratios, 0.5), quantile(row.ratios, 0.25), quantile(row.ratios, 0.75));
    if (row.limit > 0)
      std::printf(" %8.1f  %s", row.limit, quantile(row.ratios, 0.5) <= row.limit ? "met" : "LOST");
    std::printf("\n");
  }
  return 0;
}
