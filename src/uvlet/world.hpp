#pragma once

// The seam: all that the scheduler knows of the world.

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/list.hpp>
#include <uvlet/root.hpp>

#include <functional>
#include <memory>

typedef struct uv_loop_s uv_loop_t;

namespace uvlet::inline UVLET_ABI {

class EpollSet;
class Hub;
namespace testing {
struct SimulationOptions;
}

class World {
 public:
  virtual ~World() = default;
  // Asked before a poll may block until then: a callback of the user's, run by the loop, may have
  // made a Root ready, or started an earlier timer. Set by the hub.
  std::function<bool(Time until)> too_long;
  virtual uv_loop_t* loop() noexcept = 0;
  virtual Time now() noexcept = 0;
  // Lets events happen. Returns when some did, at `until` (0: at once) or after wake().
  virtual void poll(Time until) noexcept = 0;
  // Where a poll also collects events, which the hub serves; null: there is no such place, and a
  // poll serves all.
  virtual EpollSet* epoll_set() noexcept { return nullptr; }
  // Handles and requests of the user's own are active, or something else here will happen.
  virtual bool alive() noexcept = 0;
  // Ends a poll, now or the next. Thread-safe.
  virtual void wake() noexcept = 0;

  // Takes the one to run out of the ready list; null: none may run yet.
  virtual Root* next(List<Root>& ready) noexcept {
    return ready.empty() ? nullptr : ready.pop_front();
  }
  // While green threads are busy a poll is due after this time: it costs as much as a hundred
  // switches.
  virtual Time poll_interval() const noexcept { return 100'000; }
  // Every switch goes by way of the loop, so that next() decides each of them.
  virtual bool stepwise() const noexcept { return false; }
  // No other thread posts here but for work that was sent out from here.
  virtual bool sealed() const noexcept { return false; }
  // Descriptors are waited for, but nothing will come: both ends are here.
  virtual bool silent() const noexcept { return false; }
};

// libuv and CLOCK_MONOTONIC; throws system_error when no loop can be made.
std::unique_ptr<World> make_libuv_world();

}  // namespace uvlet::inline UVLET_ABI
