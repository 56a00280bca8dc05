#include <uvlet/testing.hpp>

#include "allocations.hpp"
#include "simulated_world.hpp"

#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <thread>

namespace uvlet::inline UVLET_ABI {
namespace testing {
namespace {

// What the hub that this thread makes next is to be.
constinit thread_local Setup* starting = nullptr;

SimulatedWorld& simulation() {
  SimulatedWorld* world = simulated_world(Hub::get());
  if (!world)
    throw std::logic_error("this works in a simulation only: see uvlet::testing::simulate");
  return *world;
}

// Runs `program` on an OS thread whose hub is simulated; `finish` sees the world before its end.
// Gives what the program threw.
template <class Finish>
std::exception_ptr run_simulated(Setup setup, const std::function<void()>& program, Finish finish) {
  std::exception_ptr error;
  std::thread thread([&] {
    starting = &setup;
    try {
      Hub::get();
      program();
    } catch (...) {
      error = std::current_exception();
    }
    if (!Hub::existing()) return;
    finish(simulation());
    simulation().calm();
  });
  thread.join();
  return error;
}

// One schedule after the other, in the simulated hub of this thread.
void go_through(EveryDecision& decisions, const std::function<void()>& program,
                const ExploreOptions& options, Exploration& result) {
  for (;;) {
    decisions.restart();
    program();
    ++result.schedules;
    if (simulation().report().left > 0)
      throw std::logic_error("explore: the program left green threads or tasks behind");
    if (decisions.diverged())
      throw std::logic_error("explore: the program depends on more than its choices");
    if (!options.schedule.empty() || !decisions.advance()) return;
    if (result.schedules == options.schedules_max) {
      result.complete = false;
      return;
    }
  }
}

void print_schedule(const EveryDecision& decisions) {
  std::string text = "uvlet: explore() failed in this schedule:";
  for (const unsigned choice : decisions.schedule()) text += " " + std::to_string(choice) + ",";
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace

Report simulate(const SimulationOptions& options, const std::function<void()>& program) {
  Setup setup;
  setup.sealed = true;
  setup.keep_log = options.keep_log;
  setup.faults = options.faults;
  setup.decisions = std::make_unique<RandomDecisions>(options.seed);
  Report report;
  const std::exception_ptr error = run_simulated(
      std::move(setup), program, [&](SimulatedWorld& world) { report = world.report(); });
  if (!error) return report;
  std::fprintf(stderr, "uvlet: the simulation of seed %llu failed\n",
               static_cast<unsigned long long>(options.seed));
  std::rethrow_exception(error);
}

Exploration explore(const std::function<void()>& program, const ExploreOptions& options) {
  Setup setup;
  setup.sealed = true;
  setup.faults = options.faults;
  auto owned = std::make_unique<EveryDecision>(options.schedule);
  EveryDecision& decisions = *owned;
  setup.decisions = std::move(owned);
  Exploration result;
  const std::exception_ptr error = run_simulated(
      std::move(setup),
      [&] {
        try {
          go_through(decisions, program, options, result);
        } catch (...) {
          print_schedule(decisions);
          throw;
        }
      },
      [&](SimulatedWorld& world) { result.switches = world.report().switches; });
  if (error) std::rethrow_exception(error);
  return result;
}

std::uint64_t kill_at_each_switch(const SimulationOptions& options,
                                  const std::function<void()>& program) {
  SimulationOptions now = options;
  now.faults.kill_at_switch.reset();
  const std::uint64_t switches = simulate(now, program).switches;
  for (std::uint64_t at = 0; at < switches; ++at) {
    now.faults.kill_at_switch = at;
    try {
      simulate(now, program);
    } catch (...) {
      std::fprintf(stderr, "uvlet: with a kill at switch %llu\n",
                   static_cast<unsigned long long>(at));
      throw;
    }
  }
  return switches;
}

std::size_t choose(std::size_t count) {
  if (count == 0) throw std::invalid_argument("choose: among 0");
  const Unlimited unlimited;
  return simulation().decisions().choose(count);
}

bool maybe(double probability) {
  Decisions& decisions = simulation().decisions();
  const Unlimited unlimited;
  return probability > 0 && decisions.maybe(probability);
}

void note(const std::string& line) {
  simulation().note("notes", Hub::get().running()->id, line.c_str());
}

void expose(const Handle<Identity>& victim) {
  if (!victim) throw std::invalid_argument("expose: a handle that names nobody");
  simulation().expose(victim);
}

std::pair<int, int> stream_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  return {ends[0], ends[1]};
}

void AllBlocked::suspend(Hub& hub) noexcept { hub.idle_waiters.push_back(this); }

Cancel AllBlocked::cancel() noexcept {
  unlink();
  return Cancel::done;
}

// --- Sequencer ---------------------------------------------------------------------------------

Sequencer::Await::Await(Sequencer& sequencer, unsigned position)
    : sequencer_(&sequencer), position_(position) {
  std::vector<bool>& taken = sequencer.taken_;
  if (taken.size() <= position) taken.resize(position + 1);
  if (taken[position])
    throw std::logic_error("Sequencer: place " + std::to_string(position) + " is taken twice");
  taken[position] = true;
}

Cancel Sequencer::Await::cancel() noexcept {
  unlink();
  return Cancel::done;
}

void Sequencer::advance() noexcept {
  ++now_;
  for (Await* waiter : waiters_) {
    if (waiter->position_ != now_) continue;
    waiter->wake();
    return;
  }
}

}  // namespace testing

std::unique_ptr<World> make_world(Hub& hub, const HubOptions& options) {
  testing::Setup setup;
  if (testing::starting) {
    setup = std::move(*std::exchange(testing::starting, nullptr));
  } else if (options.virtual_clock || options.schedule_seed) {
    setup.virtual_clock = options.virtual_clock;
    if (options.schedule_seed)
      setup.decisions = std::make_unique<testing::RandomDecisions>(*options.schedule_seed);
  } else {
    return make_libuv_world();
  }
  return std::make_unique<testing::SimulatedWorld>(hub, std::move(setup));
}

// --- failing allocations -----------------------------------------------------------------------

namespace testing {

constinit thread_local AllocationPlan allocation_plan;

bool allocation_fails() noexcept {
  AllocationPlan& plan = allocation_plan;
  plan.asked = true;
  if (!plan.armed || plan.unlimited > 0 || plan.left-- > 0) return false;
  plan.armed = false;
  return plan.failed = true;
}

std::uint64_t fail_each_allocation(const std::function<void()>& program) {
  AllocationPlan& plan = allocation_plan;
  plan.asked = false;
  ::operator delete(::operator new(1));
  if (!plan.asked)
    throw std::logic_error("fail_each_allocation: no source file includes uvlet/testing_new.hpp");
  for (std::uint64_t at = 0;; ++at) {
    plan.failed = false;
    plan.left = at;
    plan.armed = true;
    try {
      program();
    } catch (const std::bad_alloc&) {
    } catch (...) {
      plan.armed = false;
      std::fprintf(stderr, "uvlet: with allocation %llu failing\n",
                   static_cast<unsigned long long>(at));
      throw;
    }
    plan.armed = false;
    if (!plan.failed) return at;
  }
}

}  // namespace testing

}  // namespace uvlet::inline UVLET_ABI
