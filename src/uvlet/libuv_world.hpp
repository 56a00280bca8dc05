#pragma once

#include "world.hpp"

#include <uv.h>

namespace uvlet::inline UVLET_ABI {

// libuv and CLOCK_MONOTONIC. All handles of ours are unreferenced but while a poll may block, so
// that uv_loop_alive() tells whether the user has any.
class LibuvWorld : public World {
 public:
  LibuvWorld();
  ~LibuvWorld() override;

  uv_loop_t* loop() noexcept override { return &loop_; }
  Time now() noexcept override;
  void poll(Time until) noexcept override;
  bool alive() noexcept override { return uv_loop_alive(&loop_) != 0; }
  void wake() noexcept override { uv_async_send(&async_); }

 private:
  void arm(Time until) noexcept;

  uv_loop_t loop_;
  uv_async_t async_;
  uv_timer_t timer_;
  uv_prepare_t prepare_;
  Time until_ = 0;  // of the poll that runs
};

}  // namespace uvlet::inline UVLET_ABI
