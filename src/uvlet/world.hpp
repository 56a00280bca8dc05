#pragma once

// The seam: all that the scheduler knows of the world.

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>

#include <functional>
#include <memory>

typedef struct uv_loop_s uv_loop_t;

namespace uvlet::inline UVLET_ABI {

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
  // Handles and requests of the user's own are active.
  virtual bool user_alive() noexcept = 0;
  // Ends a poll, now or the next. Thread-safe.
  virtual void wake() noexcept = 0;
};

// libuv and CLOCK_MONOTONIC; throws system_error when no loop can be made.
std::unique_ptr<World> make_libuv_world();
// libuv, and a clock that jumps to `until` when nothing happens before.
std::unique_ptr<World> make_virtual_world();

}  // namespace uvlet::inline UVLET_ABI
