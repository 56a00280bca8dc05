// Programs about the end of threads, of the process, and of who is killed where no exception may
// leave.

#include "programs.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <unistd.h>

namespace {

struct Counted {
  static inline int alive = 0;
  Counted() { ++alive; }
  ~Counted() {
    green::sleep(0.001);  // may still wait
    --alive;
  }
};

std::ptrdiff_t descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

void thread_end_unwinds(int count) {
  green::sleep(0);
  const std::ptrdiff_t before = descriptors();
  std::thread([count] {
    for (int i = 0; i < count; ++i)
      green::spawn_n([] {
        const Counted counted;
        try {
          green::sleep(1000);
        } catch (const green::GreenletExit&) {
          green::sleep(1000);  // killed again
        }
      });
    aio::create_task([]() -> aio::task<void> {
      const Counted counted;
      co_await aio::sleep(1000);
    }());
    green::sleep(0.01);
    std::printf("alive: %d\n", Counted::alive);
  }).join();
  std::printf("left: %d\n", Counted::alive);
  std::printf("descriptors left: %td\n", descriptors() - before);
}
void thread_end_unwinds_a_thousand() { thread_end_unwinds(1000); }
void thread_end_unwinds_a_hundred_thousand() { thread_end_unwinds(100'000); }

void thread_end_gives_up() {
  uvlet::HubOptions options;
  options.virtual_clock = true;
  uvlet::Hub::configure(options);
  std::thread([] {
    auto immortal = green::spawn([] {
      for (;;) try {
          green::sleep(1000);
        } catch (const green::GreenletExit&) {
        }
    });
    immortal.set_name("immortal");
    green::sleep(0);
  }).join();
  std::puts("the thread has ended");
}

// A thread_local that was made before the hub ends after it.
void blocking_after_the_hub_of_a_thread() {
  struct Late {
    ~Late() {
      try {
        green::sleep(0);
      } catch (const std::logic_error& error) {
        std::puts(error.what());
      }
    }
  };
  std::thread([] {
    static thread_local Late late;
    (void)&late;
    green::sleep(0);
  }).join();
}

void wait_at_exit(const char* what) {
  green::sleep(0.001);
  std::printf("%s: %d\n", what, green::spawn([] { return 7; }).wait());
  std::fflush(stdout);
}

void waits_while_the_process_exits() {
  struct Last {
    ~Last() { wait_at_exit("destructor of a static"); }
  };
  static Last last;
  (void)&last;
  std::atexit([] { wait_at_exit("atexit"); });
}
void waits_while_main_exits() {
  waits_while_the_process_exits();
  green::sleep(0);
}
void waits_while_a_green_thread_exits() {
  waits_while_the_process_exits();
  green::spawn([] { std::exit(3); }).wait();
}
void waits_for_the_first_time_while_the_process_exits() { waits_while_the_process_exits(); }

// Nothing of it is unwound.
void main_returns_while_others_wait() {
  struct Never {
    ~Never() { _exit(9); }
  };
  green::spawn_n([] {
    const Never never;
    green::sleep(1000);
  });
  aio::create_task([]() -> aio::task<void> {
    const Never never;
    co_await aio::sleep(1000);
  }());
  green::sleep(0.001);
}

// --- kills ------------------------------------------------------------------------------------

// Its destructor waits while nothing is being unwound.
struct WaitsAtItsEnd {
  ~WaitsAtItsEnd() { green::sleep(1000); }
};
struct WaitsShielded {
  ~WaitsShielded() {
    const green::Shield shield;
    green::sleep(0.001);
  }
};

void kill_where_it_waits(void (*function)()) {
  auto thread = green::spawn(function);
  green::sleep(0);
  thread.kill();
  try {
    thread.wait();
    std::puts("not killed");
  } catch (const green::GreenletExit&) {
    std::puts("killed after it");
  }
}
// What is inlined into a noexcept function terminates without naming the exception.
void kill_in_noexcept() {
  kill_where_it_waits([]() noexcept { green::sleep(1000); });
}
void kill_in_a_destructor() {
  kill_where_it_waits([] { const WaitsAtItsEnd waits; });
}
void kill_in_a_shield_in_noexcept() {
  kill_where_it_waits([] {
    []() noexcept {
      const green::Shield shield;
      green::sleep(0.001);
    }();
    green::sleep(1000);
  });
}
void kill_in_a_shield_in_a_destructor() {
  kill_where_it_waits([] {
    { const WaitsShielded waits; }
    green::sleep(1000);
  });
}
// One that is never again where it could be killed ends as it would have.
void kill_in_a_shield_at_the_end() {
  kill_where_it_waits([] { const WaitsShielded waits; });
}

}  // namespace

Programs programs_that_end() {
  return {
      PROGRAM(thread_end_unwinds_a_thousand),
      PROGRAM(thread_end_unwinds_a_hundred_thousand),
      PROGRAM(thread_end_gives_up),
      PROGRAM(blocking_after_the_hub_of_a_thread),
      PROGRAM(waits_while_main_exits),
      PROGRAM(waits_while_a_green_thread_exits),
      PROGRAM(waits_for_the_first_time_while_the_process_exits),
      PROGRAM(main_returns_while_others_wait),
      PROGRAM(kill_in_noexcept),
      PROGRAM(kill_in_a_destructor),
      PROGRAM(kill_in_a_shield_in_noexcept),
      PROGRAM(kill_in_a_shield_in_a_destructor),
      PROGRAM(kill_in_a_shield_at_the_end),
  };
}
