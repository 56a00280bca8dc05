#pragma once

// The seam: all that the scheduler knows of the world.

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>

#include <memory>

typedef struct uv_loop_s uv_loop_t;

namespace uvlet::inline UVLET_ABI {

class World {
 public:
  virtual ~World() = default;
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
