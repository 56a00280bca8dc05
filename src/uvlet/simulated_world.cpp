#include "simulated_world.hpp"

#include "allocations.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace uvlet::inline UVLET_ABI::testing {
namespace {

constexpr Time pool_patience = 50'000'000;   // ns of real time, before the clock jumps
constexpr Time silence_max = 1'000'000'000;  // then a sealed world hears nothing from outside
// A green thread that only yields would stop a virtual clock: after so many polls with somebody
// ready it goes on to the next deadline.
constexpr unsigned busy_polls_max = 10'000;
constexpr std::size_t window = 64;

constexpr std::uint64_t fingerprint_start = 14695981039346656037U;  // FNV-1a
constexpr std::uint64_t fingerprint_prime = 1099511628211U;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) noexcept {
  for (int byte = 0; byte < 8; ++byte, value >>= 8)
    hash = (hash ^ (value & 255)) * fingerprint_prime;
  return hash;
}

std::uint64_t mix(std::uint64_t hash, const char* text) noexcept {
  for (; *text; ++text) hash = (hash ^ static_cast<unsigned char>(*text)) * fingerprint_prime;
  return hash;
}

}  // namespace

// A level-triggered watch: a refused transfer is told of again.
SimulatedWorld::SimulatedWorld(Hub& hub, Setup setup)
    : LibuvWorld(Watching::by_libuv), hub_(hub), setup_(std::move(setup)) {
  report_.fingerprint = fingerprint_start;
}

// The clock jumps only where nothing else can happen first. What other threads do for this one
// takes no virtual time.
void SimulatedWorld::poll(Time until) noexcept {
  const Unlimited unlimited;
  if (hub_.external > 0 || LibuvWorld::alive() || !setup_.sealed) LibuvWorld::poll(0);
  if (until == 0) {  // somebody is ready, or waits for idleness
    if (!too_long(0)) return;
    if (all_held_) return jump(std::min(held_until_, hub_.timers.next_deadline()));
    if (++busy_polls_ < busy_polls_max && !maybe(setup_.faults.early_timeouts)) return;
    busy_polls_ = 0;
    if (hub_.timers.next_deadline() != never) jump(hub_.timers.next_deadline());
    return;
  }
  busy_polls_ = 0;
  silent_ = false;
  if (too_long(until) || hub_.posted()) return;  // the poll above may have taken the wake-up
  if (!setup_.virtual_clock) return LibuvWorld::poll(until);
  // What the pool, or somebody outside, may do yet has a moment of real time.
  if (until == never || hub_.offloaded > 0) {
    const Time patience = until != never ? pool_patience : setup_.sealed ? silence_max : never;
    const Time start_of_wait = LibuvWorld::now();
    LibuvWorld::poll(patience == never ? never : start_of_wait + patience);
    if (too_long(until) || LibuvWorld::now() - start_of_wait < patience) return;
    silent_ = until == never && hub_.offloaded == 0;
  }
  if (until != never) jump(until);
}

Root* SimulatedWorld::next(List<Root>& ready) noexcept {
  const Unlimited unlimited;
  if (!setup_.decisions) return World::next(ready);
  if (setup_.faults.kill_at_switch == report_.switches || maybe(setup_.faults.kills)) kill_one();
  if (ready.empty()) return nullptr;
  Root* root = pick(ready);
  if (root && maybe(setup_.faults.delayed_wakes)) {
    hold(*root);
    ready.push_back(root);
    root = pick(ready);
  }
  all_held_ = root == nullptr;
  if (!root) return nullptr;
  note("runs", root->id, root->waiting ? root->waiting->describe() : "");
  ++report_.switches;
  return root;
}

// One that is not held back, of the first few: a long list need not be walked. Null: all are.
Root* SimulatedWorld::pick(List<Root>& ready) noexcept {
  if (now() >= held_until_) held_.clear();
  std::size_t count = 0;
  Root* candidates[window];
  for (Root* root : ready) {
    if (is_held(*root)) continue;
    candidates[count] = root;
    if (++count == window) break;
  }
  if (count == 0) return nullptr;
  Root* chosen = candidates[setup_.decisions->choose(count)];
  chosen->unlink();
  return chosen;
}

void SimulatedWorld::hold(Root& root) noexcept {
  if (held_.empty()) {
    const double part = static_cast<double>(1 + setup_.decisions->choose(16)) / 16;
    held_until_ = deadline_after(now(), setup_.faults.delay_max.seconds() * part);
  }
  note("is held back", root.id, "");
  held_.push_back(root.identify());
}

bool SimulatedWorld::is_held(const Root& root) const noexcept {
  return std::any_of(held_.begin(), held_.end(),
                     [&](const Handle<Identity>& held) { return held->root == &root; });
}

void SimulatedWorld::kill_one() noexcept {
  std::size_t chosen = 0;
  for (;;) {
    if (victims_.empty()) return;
    chosen = setup_.decisions->choose(victims_.size());
    if (!victims_[chosen]->finished) break;
    victims_[chosen] = std::move(victims_.back());
    victims_.pop_back();
  }
  Identity& victim = *victims_[chosen];
  if (!victim.root) return;
  note("is killed", victim.id, victim.root->waiting ? victim.root->waiting->describe() : "");
  ++report_.kills;
  victim.root->kill();
}

std::size_t SimulatedWorld::allowance(std::size_t bytes, bool& refused) noexcept {
  const Unlimited unlimited;
  if (!refused && maybe(setup_.faults.would_block)) {
    refused = true;
    return 0;
  }
  refused = false;
  if (bytes < 2 || !maybe(setup_.faults.short_transfers)) return bytes;
  return 1 + setup_.decisions->choose(bytes - 1);
}

Decisions& SimulatedWorld::decisions() {
  if (!setup_.decisions) throw std::logic_error("no choice is made here: the hub has no seed");
  return *setup_.decisions;
}

void SimulatedWorld::note(const char* what, std::uint64_t who, const char* detail) noexcept {
  const Unlimited unlimited;
  const auto elapsed = static_cast<std::uint64_t>(now() - start);
  std::uint64_t& hash = report_.fingerprint;
  hash = mix(mix(mix(mix(hash, elapsed), what), who), detail);
  if (!setup_.keep_log) return;
  char line[256];
  std::snprintf(line, sizeof line, "%.6f %llu %s%s%s", static_cast<double>(elapsed) * 1e-9,
                static_cast<unsigned long long>(who), what, *detail ? ": " : "", detail);
  report_.log.emplace_back(line);
}

void SimulatedWorld::calm() noexcept {
  held_.clear();
  all_held_ = false;
  setup_.faults = FaultPlan();
  setup_.decisions.reset();
}

Report SimulatedWorld::report() const {
  Report report = report_;
  report.seconds = static_cast<double>(now_ - start) * 1e-9;
  report.left = hub_.alive().size();
  return report;
}

SimulatedWorld* simulated_world(Hub& hub) noexcept {
  return dynamic_cast<SimulatedWorld*>(&hub.world());
}

}  // namespace uvlet::inline UVLET_ABI::testing
