// usage: programs NAME
//
// Programs with a planted bug that a tool must report, and programs without one about which it must
// say nothing. canary_test.py runs each as a child process under the tool of the build.

#include <green/green.hpp>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr double for_ever = 3600;
volatile int sink;

// A pointer of which the compiler knows nothing.
template <class T>
[[gnu::noinline]] T* opaque(T* pointer) {
  __asm__ volatile("" : "+r"(pointer) : : "memory");
  return pointer;
}

// Calls `at_the_bottom` from `depth` frames below.
template <class F>
[[gnu::noinline]] int deep(int depth, F& at_the_bottom) {
  volatile int frame[16] = {depth};
  if (depth == 0) at_the_bottom();
  return (depth == 0 ? 0 : deep(depth - 1, at_the_bottom)) + frame[0];
}

[[gnu::noinline]] int big_frame() {
  volatile char frame[16 * 1024];
  for (std::size_t i = 0; i < sizeof frame; i += 64) frame[i] = 1;
  return frame[0] + frame[sizeof frame - 64];
}

// Both hubs are there before either goes on: starting and ending one orders it with others.
void rounds_on_two_hubs(void (*round)()) {
  std::atomic<int> arrived{0};
  uvlet::run_on_threads(2, [&arrived, round](int) {
    green::sleep(0);
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
    for (int i = 0; i < 200; ++i)
      green::spawn([round] {
        round();
        green::sleep(0);
      }).wait();
  });
}

// --- planted bugs ------------------------------------------------------------------------------

void stack_buffer_overflow() {
  green::spawn([] {
    volatile int local[4] = {1, 2, 3, 4};
    green::sleep(0);
    sink = opaque(local)[4];
  }).wait();
}

void heap_use_after_free() {
  int* shared = new int(1);
  auto reader = green::spawn([shared] {
    green::sleep(0);
    sink = *opaque(shared);
  });
  auto owner = green::spawn([shared] { delete shared; });
  owner.wait();
  reader.wait();
}

[[gnu::noinline]] int* local_of_a_frame() {
  int local = 1;
  return opaque(&local);
}

void use_after_return() {
  green::spawn([] {
    int* gone = local_of_a_frame();
    green::sleep(0);
    sink = *gone;
  }).wait();
}

void leak() {
  auto loses = [] {
    sink = *opaque(new int[100]());
    green::sleep(0);
  };
  for (int i = 0; i < 10; ++i) green::spawn(loses).wait();
}

void signed_overflow() {
  green::spawn([] {
    sink = INT_MAX;
    green::sleep(0);
    sink = sink + 1;
  }).wait();
}

int raced = 0;
[[gnu::noinline]] void plant_race() { ++*opaque(&raced); }
void race_between_hubs() { rounds_on_two_hubs(plant_race); }

// One side's green thread has long ended when the other comes: whoever throws away what the tool
// knows of a green thread together with it finds nothing here.
void race_with_one_that_ended() {
  std::atomic<int> arrived{0};
  uvlet::run_on_threads(2, [&arrived](int index) {
    green::sleep(0);
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
    if (index == 1) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    green::spawn(plant_race).wait();
    for (int i = 0; i < 10; ++i) green::spawn([] { green::sleep(0); }).wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  });
}

void uninitialised_value() {
  green::spawn([] {
    int unset[4];
    green::sleep(0);
    if (*opaque(unset) == 1) sink = 1;
  }).wait();
}

// --- nothing wrong -----------------------------------------------------------------------------

void parked_with_memory() {
  for (int i = 0; i < 1'000; ++i)
    green::spawn_n([i] {
      const auto held = std::make_unique<std::string>(100, 'x');
      auto park = [] { green::sleep(for_ever); };
      deep(i % 20, park);
    });
  green::sleep(0);
}

void big_frames_after_exceptions() {
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 100; ++i)
    threads.push_back(green::spawn([i] {
      auto throws = [] { throw std::runtime_error("caught above"); };
      for (int round = 0; round < 10; ++round) {
        try {
          deep(i, throws);
        } catch (const std::runtime_error&) {
          green::sleep(0);
        }
        sink = big_frame();
      }
    }));
  for (auto& thread : threads) thread.wait();
}

// Stacks left by what ended, by what was killed far down, and by a hub that ended with its thread.
void reused_stacks() {
  auto park = [] { green::sleep(for_ever); };
  auto generation = [&] {
    for (int round = 0; round < 5; ++round) {
      std::vector<green::GreenThread<void>> parked;
      for (int i = 0; i < 100; ++i) parked.push_back(green::spawn([&, i] { deep(i, park); }));
      green::sleep(0);
      for (auto& thread : parked) thread.kill();
      for (int i = 0; i < 100; ++i) green::spawn([] { sink = big_frame(); }).wait();
    }
    green::spawn_n([park] { deep(50, park); });
    green::sleep(0);
  };
  for (int hub = 0; hub < 4; ++hub) std::thread(generation).join();
  generation();
}

void locked_between_hubs() {
  rounds_on_two_hubs([] {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    ++*opaque(&raced);
  });
}

void atomic_between_hubs() {
  rounds_on_two_hubs([] {
    static std::atomic<int> count;
    ++count;
  });
}

void posted_between_hubs() {
  uvlet::Hub& hub = uvlet::Hub::current();
  green::Event<> all;
  std::thread other([&] {
    for (int i = 0; i < 1'000; ++i)
      hub.post([&] {
        if (++raced == 1'000) all.send();
      });
  });
  all.wait();
  other.join();
}

void many_parked_deep() {
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 2'000; ++i)
    threads.push_back(green::spawn([] {
      auto yield = [] { green::sleep(0); };
      deep(100, yield);
    }));
  for (auto& thread : threads) thread.wait();
}

void many_ended() {
  for (int i = 0; i < 100'000; ++i) green::spawn([] { green::sleep(0); }).wait();
}

// Their stacks were handed out, but nothing ran on them.
void many_never_run() {
  for (int round = 0; round < 10; ++round) {
    uvlet::StackArena arena(64 * 1024, uvlet::Guard::automatic);
    for (int i = 0; i < 500; ++i) arena.allocate();
  }
}

const std::map<std::string, void (*)()> programs = {
    {"stack_buffer_overflow", stack_buffer_overflow},
    {"heap_use_after_free", heap_use_after_free},
    {"use_after_return", use_after_return},
    {"leak", leak},
    {"signed_overflow", signed_overflow},
    {"race_between_hubs", race_between_hubs},
    {"race_with_one_that_ended", race_with_one_that_ended},
    {"uninitialised_value", uninitialised_value},
    {"parked_with_memory", parked_with_memory},
    {"big_frames_after_exceptions", big_frames_after_exceptions},
    {"reused_stacks", reused_stacks},
    {"locked_between_hubs", locked_between_hubs},
    {"atomic_between_hubs", atomic_between_hubs},
    {"posted_between_hubs", posted_between_hubs},
    {"many_parked_deep", many_parked_deep},
    {"many_ended", many_ended},
    {"many_never_run", many_never_run},
};

}  // namespace

int main(int argc, char** argv) {
  const auto program = programs.find(argc == 2 ? argv[1] : "");
  if (program == programs.end()) {
    for (const auto& [name, run] : programs) std::printf("%s\n", name.c_str());
    return 2;
  }
  program->second();
  std::printf("done\n");
}
