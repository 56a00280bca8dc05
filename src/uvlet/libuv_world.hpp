#pragma once

#include "epoll_set.hpp"
#include "world.hpp"

#include <optional>
#include <uv.h>

namespace uvlet::inline UVLET_ABI {

// libuv and CLOCK_MONOTONIC, and an epoll set beside libuv's, which watches ours. All handles of
// ours are unreferenced but while a poll may block, so that uv_loop_alive() tells whether the user
// has any.
class LibuvWorld : public World {
 public:
  enum class Watching { by_libuv, by_epoll };

  explicit LibuvWorld(Watching watching);
  ~LibuvWorld() override;

  uv_loop_t* loop() noexcept override { return &loop_; }
  Time now() noexcept override;
  void poll(Time until) noexcept override;
  EpollSet* epoll_set() noexcept override { return set_ ? &*set_ : nullptr; }
  bool alive() noexcept override { return uv_loop_alive(&loop_) != 0; }
  void wake() noexcept override { uv_async_send(&async_); }

 private:
  void watch_set();
  void run(Time until) noexcept;
  void arm(Time until) noexcept;

  uv_loop_t loop_;
  uv_async_t async_;
  uv_timer_t timer_;
  uv_prepare_t prepare_;
  Time until_ = 0;     // of the poll that runs
  Time last_run_ = 0;  // of libuv's loop
  std::optional<EpollSet> set_;
  uv_poll_t set_poll_;
  bool set_ready_ = false;  // libuv has told
  bool sleeps_ = false;     // the last poll did
};

}  // namespace uvlet::inline UVLET_ABI
