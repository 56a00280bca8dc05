#pragma once

// The seam's other side: a world with a virtual clock, whose every choice comes from a seed, or
// from a list of choices that explore() goes through.

#include "decisions.hpp"
#include "libuv_world.hpp"

#include <uvlet/hub.hpp>
#include <uvlet/testing.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace uvlet::inline UVLET_ABI::testing {

struct Setup {
  Setup() noexcept {}
  bool virtual_clock = true;
  bool sealed = false;  // see World
  bool keep_log = false;
  FaultPlan faults;
  std::unique_ptr<Decisions> decisions;  // null: the order is the production's
};

class SimulatedWorld final : public LibuvWorld {
 public:
  SimulatedWorld(Hub& hub, Setup setup);

  Time now() noexcept override { return setup_.virtual_clock ? now_ : LibuvWorld::now(); }
  void poll(Time until) noexcept override;
  Root* next(List<Root>& ready) noexcept override;
  Time poll_interval() const noexcept override { return 0; }
  bool stepwise() const noexcept override { return setup_.decisions != nullptr; }
  bool sealed() const noexcept override { return setup_.sealed; }
  bool silent() const noexcept override { return silent_; }

  Decisions& decisions();
  void note(const char* what, std::uint64_t who, const char* detail) noexcept;
  void expose(Handle<Identity> victim) { victims_.push_back(std::move(victim)); }
  // How many bytes a transfer may move; 0: it would block, which is not said twice in a row.
  std::size_t allowance(std::size_t bytes, bool& refused) noexcept;

  // Nothing goes wrong from now on, and the order is the production's.
  void calm() noexcept;
  Report report() const;

 private:
  bool maybe(double probability) noexcept {
    return probability > 0 && setup_.decisions && setup_.decisions->maybe(probability);
  }
  void jump(Time to) noexcept { now_ = to > now_ ? to : now_; }
  void kill_one() noexcept;
  Root* pick(List<Root>& ready) noexcept;
  void hold(Root& root) noexcept;
  bool is_held(const Root& root) const noexcept;

  Hub& hub_;
  Setup setup_;
  Time now_ = start;
  unsigned busy_polls_ = 0;             // since the last one with nobody ready
  std::vector<Handle<Identity>> held_;  // ready, but not to run before then
  Time held_until_ = 0;
  bool silent_ = false;
  bool all_held_ = false;  // nobody could run the last time
  std::vector<Handle<Identity>> victims_;
  Report report_;

  static constexpr Time start = 1'000'000'000;
};

// The world of this hub if it is a simulated one, else null.
SimulatedWorld* simulated_world(Hub& hub) noexcept;

}  // namespace uvlet::inline UVLET_ABI::testing

namespace uvlet::inline UVLET_ABI {

// libuv's, or a simulated one where the options, or a simulation that starts, ask for it.
std::unique_ptr<World> make_world(Hub& hub, const HubOptions& options);

}  // namespace uvlet::inline UVLET_ABI
