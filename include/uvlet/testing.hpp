#pragma once

// Tests of concurrent programs that repeat. A simulation is a hub whose clock is virtual and whose
// schedule comes from a seed: what fails once fails again. The code above the hub is the production
// code. See docs/testing.md.

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/list.hpp>
#include <uvlet/root.hpp>
#include <uvlet/signal.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace uvlet::inline UVLET_ABI::testing {

// What goes wrong in a simulation, as probabilities. In explore() any that is not 0 is a choice
// that is taken both ways.
struct FaultPlan {
  FaultPlan() noexcept {}
  double early_timeouts =
      0;  // a switch: the clock jumps to the next deadline, though some are ready
  double delayed_wakes = 0;   // a switch: one that is ready is held back, for up to delay_max
  Duration delay_max = 0.01;  // of virtual time
  double kills = 0;           // a switch: one of those that were exposed is killed
  std::optional<std::uint64_t> kill_at_switch;  // at this switch, counted from 0, one is killed
  double short_transfers = 0;  // a read or write on a stream socket: part of what was asked for
  double would_block = 0;      // a read or write on a stream socket: EAGAIN first
};

struct SimulationOptions {
  SimulationOptions() noexcept {}
  SimulationOptions(std::uint64_t from) noexcept : seed(from) {}
  std::uint64_t seed = 0;
  FaultPlan faults;
  bool keep_log = false;  // or its fingerprint alone
};

// What a simulation did.
struct Report {
  std::uint64_t fingerprint = 0;  // of the log: equal for equal runs
  std::vector<std::string> log;   // a line for each switch, fault and note()
  std::uint64_t switches = 0;
  std::uint64_t kills = 0;  // by the fault plan
  double seconds = 0;       // of virtual time
  std::size_t left = 0;     // green threads and tasks that had not ended; they are killed
};

// Runs `program` as the main green thread of a simulated hub, on an OS thread of its own. Rethrows
// what it throws, after printing the seed; Deadlock where nothing can go on. Blocks the OS thread.
UVLET_API Report simulate(const SimulationOptions& options, const std::function<void()>& program);

struct Exploration {
  std::uint64_t schedules = 0;  // that were run
  std::uint64_t switches = 0;   // in all of them
  bool complete = true;         // there are no others
};

struct ExploreOptions {
  ExploreOptions() noexcept {}
  FaultPlan faults;
  std::uint64_t schedules_max = 10'000'000;
  std::vector<unsigned> schedule;  // not empty: this one alone
};

// Runs `program` in a simulated hub once for each order in which its green threads and coroutines
// can run, from wait to wait. It has to end what it starts, and may depend on nothing but its
// choices: logic_error otherwise. Rethrows what it throws, after printing the schedule, with which
// ExploreOptions runs it again. Blocks the OS thread.
UVLET_API Exploration explore(const std::function<void()>& program,
                              const ExploreOptions& options = {});

// Runs `program` in simulations of one seed, killing one of the exposed at the first switch, then
// at the second, and so on: at every point where it can be cut short. Gives their number.
UVLET_API std::uint64_t kill_at_each_switch(const SimulationOptions& options,
                                            const std::function<void()>& program);

// Runs `program` on this thread with its first allocation failing, then with its second, and so on,
// until a run has none left to fail. Gives the number of those that did. Each fails once, with
// bad_alloc, which the program may throw; it has to check that nothing else went wrong. Needs
// <uvlet/testing_new.hpp>: logic_error without. Frames and handles come from a cache where no
// sanitizer is on, and do not count.
UVLET_API std::uint64_t fail_each_allocation(const std::function<void()>& program);
// Asked by the operators new of <uvlet/testing_new.hpp>.
UVLET_API bool allocation_fails() noexcept;

// --- within a simulation; logic_error elsewhere

// A number below `count`, which is not 0: a choice of the program's own that repeats with the rest.
UVLET_API std::size_t choose(std::size_t count);
// True with this probability; in explore() both ways.
UVLET_API bool maybe(double probability);
// Adds a line to the log.
UVLET_API void note(const std::string& line);
// Lets the fault plan kill it.
UVLET_API void expose(const Handle<Identity>& victim);
template <class G>
requires requires(const G& thread) { thread.identity(); }
void expose(const G& thread) { expose(thread.identity()); }

// --- in any hub

// Two connected stream sockets, for green::Socket::from_fd and aio::Stream::from_fd: bytes that do
// not leave the process. In a simulation they obey its fault plan. The caller owns both.
UVLET_API std::pair<int, int> stream_pair();

// The wait of wait_all_blocked.
class UVLET_API AllBlocked final : public Operation<AllBlocked> {
 public:
  AllBlocked() noexcept = default;
  AllBlocked(AllBlocked&&) noexcept = default;
  bool ready() const noexcept { return false; }
  void suspend(Hub& hub) noexcept;
  void result() const noexcept {}
  Cancel cancel() noexcept override;
  const char* describe() const noexcept override { return "all others to be blocked"; }
};

// Waits until all others wait for what is neither ready nor due: a test can say "it still waits"
// without a pause. Source: trio.testing.wait_all_tasks_blocked.
// Blocks the green thread. Cancel point.
inline void wait_all_blocked() { block(AllBlocked()); }
inline AllBlocked wait_all_blocked_async() { return {}; }

// Puts the blocks of several green threads or coroutines in one order. Source:
// trio.testing.Sequencer.
class UVLET_API Sequencer {
 public:
  // A place in the order, held until destroyed.
  class UVLET_API Turn {
   public:
    explicit Turn(Sequencer& sequencer) noexcept : sequencer_(&sequencer) {}
    Turn(Turn&& other) noexcept : sequencer_(std::exchange(other.sequencer_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (sequencer_) sequencer_->advance();
    }

   private:
    Sequencer* sequencer_;
  };

  // The wait for a place.
  class UVLET_API Await final : public Operation<Await> {
   public:
    Await(Sequencer& sequencer, unsigned position);
    Await(Await&&) noexcept = default;
    bool ready() const noexcept { return position_ == sequencer_->now_; }
    void suspend(Hub&) noexcept { sequencer_->waiters_.push_back(this); }
    Turn result() const noexcept { return Turn(*sequencer_); }
    Cancel cancel() noexcept override;
    const char* describe() const noexcept override { return "its turn in a sequence"; }

   private:
    friend class Sequencer;
    Sequencer* sequencer_;
    unsigned position_;
  };

  // Waits until the places below this one, from 0, have been held and given up. Each place is
  // taken once: logic_error. Blocks the green thread. Cancel point.
  Turn operator()(unsigned position) { return block(Await(*this, position)); }
  Await turn_async(unsigned position) { return {*this, position}; }

 private:
  void advance() noexcept;

  unsigned now_ = 0;
  std::vector<bool> taken_;
  List<Await> waiters_;
};

}  // namespace uvlet::inline UVLET_ABI::testing
