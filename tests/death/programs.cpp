// usage: programs NAME
//
// Programs that end badly, or nearly. death_test.py runs each as a child process and looks at what
// it says and how it ends.

#include "programs.hpp"

#include "../fake_resolver.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <uv.h>
#include <vector>

namespace {

volatile bool go_on = true;

[[gnu::noinline]] int recurse(int depth) {
  volatile char frame[256];
  frame[0] = static_cast<char>(depth);
  return go_on ? recurse(depth + 1) + frame[0] : depth;
}

void fail() { throw std::runtime_error("from noexcept"); }

[[gnu::noinline]] int one_big_frame() {
  volatile char frame[1024 * 1024];
  __asm__ volatile("" : : "r"(frame) : "memory");  // or clang keeps the one byte that is used
  frame[0] = 1;                                    // its low end, far beyond the guard
  return frame[0];
}

void overflow_by_recursion() {
  auto thread = green::spawn([] { return recurse(0); });
  thread.set_name("deep");
  thread.wait();
}

void overflow_by_one_big_frame() {
  auto thread = green::spawn([] { return one_big_frame(); });
  thread.set_name("big");
  thread.wait();
}

void print_deadlock(void (*wait)()) {
  try {
    wait();
  } catch (const uvlet::Deadlock& deadlock) {
    std::printf("%s", deadlock.what());
  }
  std::printf("usable: %d\n", green::spawn([] { return 7; }).wait());
}

void deadlock_of_main() {
  print_deadlock([] { green::Event<>().wait(); });
}

void deadlock_by_self_join() {
  print_deadlock([] {
    green::GreenThread<void> self;
    self = green::spawn([&] { self.wait(); });
    self.set_name("selfish");
    self.wait();
  });
}

void deadlock_of_a_task() {
  print_deadlock([] {
    auto never = aio::Future<int>::create();
    auto waits = [](aio::Future<int> f) -> aio::task<int> { co_return co_await f; };
    aio::run(waits(never));
  });
}

void deadlock_of_two_locks_crosswise() {
  print_deadlock([] {
    green::Semaphore first, second;
    auto both = [](green::Semaphore& outer, green::Semaphore& inner) {
      const std::lock_guard outer_lock(outer);
      green::sleep(0);
      const std::lock_guard inner_lock(inner);
    };
    auto one = green::spawn(both, std::ref(first), std::ref(second));
    auto other = green::spawn(both, std::ref(second), std::ref(first));
    one.set_name("one");
    other.set_name("other");
    try {
      one.wait();
    } catch (...) {
      one.kill();
      other.kill();
      throw;
    }
  });
}

void deadlock_on_an_empty_queue() {
  print_deadlock([] { green::Queue<int>().get(); });
}

// Work on another thread will end the wait: no deadlock.
void no_deadlock_while_others_may_post() {
  uvlet::Hub& hub = uvlet::Hub::current();
  green::Event<int> event;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    hub.post([&] { event.send(5); });
  });
  std::printf("%d\n", event.wait());
  other.join();
}

void no_deadlock_while_the_pool_works() {
  auto start = [](uv_loop_t* loop, uv_work_t* work, auto callback) {
    return uv_queue_work(
        loop, work, [](uv_work_t*) { std::this_thread::sleep_for(std::chrono::milliseconds(50)); },
        callback);
  };
  green::awaitlet(aio::uv_request<uv_work_t>(start));
  std::printf("done\n");
}

void blocking_in_a_libuv_callback() {
  static green::Event<> done;
  uv_timer_t timer;
  uv_timer_init(uvlet::Hub::current().loop(), &timer);
  auto callback = [](uv_timer_t* handle) {
    green::sleep(0);  // needs no wait
    auto victim = green::spawn([] {});
    victim.kill();  // only schedules
    try {
      green::sleep(1);
    } catch (const green::NoAwaitletContext& error) {
      std::printf("sleep: %s\n", error.what());
    }
    try {
      green::awaitlet([]() -> aio::task<void> { co_await aio::sleep(1); }());
    } catch (const green::NoAwaitletContext&) {
      std::printf("awaitlet: refused\n");
    }
    uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
    done.send();
  };
  uv_timer_start(&timer, callback, 1, 0);
  done.wait();
  green::sleep(0.001);
}

void exception_out_of_a_libuv_callback() {
  uv_timer_t timer;
  uv_timer_init(uvlet::Hub::current().loop(), &timer);
  uv_timer_start(
      &timer, [](uv_timer_t*) { throw std::runtime_error("out"); }, 1, 0);
  green::sleep(1);
}

std::size_t status_kib(const char* key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(key, 0) == 0) return std::stoul(line.substr(std::strlen(key) + 1));
  return 0;
}

void hundred_thousand_parked() {
  constexpr int count = 100'000;
  green::sleep(0);
  const std::size_t before = status_kib("VmRSS") + status_kib("VmPTE");
  green::Event<> go;
  green::GreenPool pool(count);
  for (int i = 0; i < count; ++i) pool.spawn_n([&] { go.wait(); });
  green::sleep(0);
  const std::size_t after = status_kib("VmRSS") + status_kib("VmPTE");
  const bool small_guards = uvlet::Hub::current().stats().guard == uvlet::Guard::madvise;
  std::printf("guard: %s\n", small_guards ? "madvise" : "mprotect");
  std::printf("bytes each: %zu\n", (after - before) * 1024 / count);
  go.send();
  pool.waitall();
  std::printf("all ended\n");
}

// Guards that split no mapping: more green threads than vm.max_map_count has mappings.
void more_than_max_map_count_with_madvise() {
  uvlet::HubOptions options;
  options.guard = uvlet::Guard::madvise;
  options.stack_size = 64 * 1024;
  try {
    uvlet::Hub::configure(options);
  } catch (const std::invalid_argument& error) {
    std::printf("no such guard: %s\n", error.what());
    return;
  }
  green::Event<> go;
  std::vector<green::Greenlet> threads;
  for (int i = 0; i < 70'000; ++i) threads.push_back(green::spawn_n([&] { go.wait(); }));
  green::sleep(0);
  std::printf("madvise, parked: %zu\n", uvlet::Hub::current().stats().green_threads);
  go.send();
  while (!threads.back().dead()) green::sleep(0);
  std::printf("usable: %d\n", green::spawn([] { return 7; }).wait());
}

void overflow_with(uvlet::Guard guard) {
  uvlet::HubOptions options;
  options.guard = guard;
  options.stack_size = 64 * 1024;
  uvlet::Hub::configure(options);
  overflow_by_recursion();
}
void overflow_with_mprotect() { overflow_with(uvlet::Guard::mprotect); }

// On the hub of a second OS thread, below a first one that is in use.
void overflow_on_another_thread() {
  green::sleep(0);
  std::thread(overflow_by_recursion).join();
}

void too_many_for_mprotect() {
  uvlet::HubOptions options;
  options.guard = uvlet::Guard::mprotect;
  options.stack_size = 64 * 1024;
  uvlet::Hub::configure(options);
  green::Event<> go;
  int spawned = 0;
  try {
    for (;; ++spawned) green::spawn_n([&] { go.wait(); });
  } catch (const std::system_error& error) {
    std::printf("errno %d: %s\n", error.code().value(), error.what());
  }
  std::printf("more than 10000: %d\n", spawned > 10'000);
  green::sleep(0);
  go.send();
  green::sleep(0);
  std::printf("usable: %d\n", green::spawn([] { return 7; }).wait());
}

void post_that_lacks_a_stack() {
  uvlet::HubOptions options;
  options.guard = uvlet::Guard::mprotect;
  options.stack_size = 64 * 1024;
  uvlet::Hub::configure(options);
  green::Event<> go;
  try {
    for (;;) green::spawn_n([&] { go.wait(); });
  } catch (const std::system_error&) {
  }
  std::string ran;
  uvlet::Hub::current().post([&] { ran += "1"; });
  uvlet::Hub::current().post([&] { ran += "2"; });
  green::sleep(0.03);
  std::printf("before: '%s'\n", ran.c_str());
  go.send();
  green::sleep(0.03);
  std::printf("after: '%s'\n", ran.c_str());
}

void exit_in_a_green_thread() {
  auto parked = green::spawn([] { green::sleep(1000); });
  green::spawn([] { std::exit(3); }).wait();
}

void exit_in_a_green_thread_of_another_thread() {
  std::thread([] {
    auto parked = green::spawn([] { green::sleep(1000); });
    green::spawn([] { std::exit(3); }).wait();
  }).join();
}

// Malloc reaches deeper than its caller, so the stack is full while it holds the heap's lock: it
// takes one where there are two threads.
[[gnu::noinline]] int allocate_and_recurse() {
  void* volatile memory = std::malloc(2000);
  const int below = go_on ? allocate_and_recurse() : 0;
  std::free(memory);
  return below + 1;
}

void overflow_within_malloc() {
  std::thread([] { std::this_thread::sleep_for(std::chrono::hours(1)); }).detach();
  auto thread = green::spawn(allocate_and_recurse);
  thread.set_name("deep");
  thread.wait();
}

void exception_out_of_noexcept() {
  green::spawn([]() noexcept { fail(); }).wait();
}

// The second one to come finds the initialiser at work, on what it takes for its own stack.
void wait_in_the_initialiser_of_a_static() {
  auto initialised = [] {
    static const int value = [] {
      green::sleep(0.001);
      return 1;
    }();
    return value;
  };
  auto first = green::spawn(initialised);
  auto second = green::spawn(initialised);
  first.wait();
  second.wait();
}

void uncaught_is_reported() {
  auto thread = green::spawn([] { throw std::runtime_error("seen on stderr"); });
  thread.set_name("thrower");
  green::sleep(0);
}

// Run with UVLET_TRANSITIONS=FILE, as the next two.
void transitions_at_exit() {
  green::awaitlet([]() -> aio::task<void> { co_await aio::sleep(0); }());
}

void transitions_as_a_graph() { transitions_at_exit(); }

void transitions_of_a_child() {
  const pid_t child = fork();
  green::awaitlet([]() -> aio::task<void> { co_await aio::sleep(0); }());
  if (child == 0) std::exit(0);
  waitpid(child, nullptr, 0);
  const bool written = access(std::getenv("UVLET_TRANSITIONS"), F_OK) == 0;
  std::puts(written ? "the child wrote one" : "the child wrote no report");
}

void thread_not_joined() {
  const green::thread thread([] { green::sleep(1000); });
  green::sleep(0);
}

void exception_out_of_a_thread() {
  green::thread thread([] { throw std::runtime_error("left a thread"); });
  thread.join();
}

void overflow_with_detection() {
  green::debug::hub_blocking_detection(true, 100);
  overflow_by_recursion();
}

// It stalls for ever, and is neither waited for nor in the way.
void exit_while_a_name_is_looked_up() {
  green::spawn_n([] { green::dns::getaddrinfo("1.stalled.fake", 80); });
  while (fake::count(fake::begun) == 0) green::sleep(0.001);
  std::puts("exits");
}

// Whatever has waited for it before.
void interrupted() {
  auto waiting = aio::create_task(aio::wait_signal(SIGINT));
  green::sleep(0);
  kill(getpid(), SIGINT);
  green::awaitlet(waiting);
  std::puts("caught");
  std::fflush(stdout);
  kill(getpid(), SIGINT);
  green::sleep(20);
  std::puts("lives");
}

const Programs programs = {
    PROGRAM(overflow_by_recursion),
    PROGRAM(overflow_by_one_big_frame),
    PROGRAM(deadlock_of_main),
    PROGRAM(deadlock_by_self_join),
    PROGRAM(deadlock_of_a_task),
    PROGRAM(deadlock_of_two_locks_crosswise),
    PROGRAM(deadlock_on_an_empty_queue),
    PROGRAM(no_deadlock_while_others_may_post),
    PROGRAM(no_deadlock_while_the_pool_works),
    PROGRAM(blocking_in_a_libuv_callback),
    PROGRAM(exception_out_of_a_libuv_callback),
    PROGRAM(hundred_thousand_parked),
    PROGRAM(too_many_for_mprotect),
    PROGRAM(post_that_lacks_a_stack),
    PROGRAM(more_than_max_map_count_with_madvise),
    PROGRAM(overflow_with_mprotect),
    PROGRAM(overflow_on_another_thread),
    PROGRAM(overflow_within_malloc),
    PROGRAM(exit_in_a_green_thread),
    PROGRAM(exit_in_a_green_thread_of_another_thread),
    PROGRAM(exception_out_of_noexcept),
    PROGRAM(wait_in_the_initialiser_of_a_static),
    PROGRAM(uncaught_is_reported),
    PROGRAM(transitions_at_exit),
    PROGRAM(transitions_as_a_graph),
    PROGRAM(transitions_of_a_child),
    PROGRAM(thread_not_joined),
    PROGRAM(exception_out_of_a_thread),
    PROGRAM(overflow_with_detection),
    PROGRAM(exit_while_a_name_is_looked_up),
    PROGRAM(interrupted),
};

}  // namespace

int main(int argc, char** argv) {
  for (const Programs& some : {programs, programs_that_end()}) {
    const auto found = argc == 2 ? some.find(argv[1]) : some.end();
    if (found == some.end()) continue;
    found->second();
    return 0;
  }
  std::fprintf(stderr, "usage: programs NAME\n");
  return 2;
}
