#include "world.hpp"

#include <uv.h>

#include <climits>
#include <ctime>
#include <system_error>

namespace uvlet::inline UVLET_ABI {
namespace {

constexpr Time nanoseconds_per_millisecond = 1'000'000;

// All handles of ours are unreferenced but while a poll may block, so that uv_loop_alive() tells
// whether the user has any.
class LibuvWorld : public World {
 public:
  LibuvWorld() {
    check(uv_loop_init(&loop_), "uv_loop_init");
    check(uv_async_init(&loop_, &async_, [](uv_async_t*) {}), "uv_async_init");
    check(uv_timer_init(&loop_, &timer_), "uv_timer_init");
    check(uv_prepare_init(&loop_, &prepare_), "uv_prepare_init");
    prepare_.data = this;
    // Started first, it runs after the user's own.
    uv_prepare_start(&prepare_, [](uv_prepare_t* prepare) {
      auto* world = static_cast<LibuvWorld*>(prepare->data);
      if (world->too_long(world->until_)) uv_stop(prepare->loop);
    });
    uv_unref(reinterpret_cast<uv_handle_t*>(&async_));
    uv_unref(reinterpret_cast<uv_handle_t*>(&timer_));
    uv_unref(reinterpret_cast<uv_handle_t*>(&prepare_));
  }

  ~LibuvWorld() override {
    uv_close(reinterpret_cast<uv_handle_t*>(&async_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), nullptr);
    // Handles that the user left open stay with their owner; the loop's memory goes with us, so
    // they are closed here.
    uv_walk(
        &loop_,
        [](uv_handle_t* handle, void*) {
          if (!uv_is_closing(handle)) uv_close(handle, nullptr);
        },
        nullptr);
    while (uv_loop_close(&loop_) == UV_EBUSY) uv_run(&loop_, UV_RUN_ONCE);
  }

  uv_loop_t* loop() noexcept override { return &loop_; }

  Time now() noexcept override {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return Time{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }

  void poll(Time until) noexcept override {
    until_ = until;
    if (until != 0 && until != never) arm(until);
    uv_ref(reinterpret_cast<uv_handle_t*>(&async_));  // a loop without one would not even look
    uv_run(&loop_, until == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    uv_unref(reinterpret_cast<uv_handle_t*>(&async_));
    uv_timer_stop(&timer_);
  }

  bool user_alive() noexcept override { return uv_loop_alive(&loop_) != 0; }
  void wake() noexcept override { uv_async_send(&async_); }

 private:
  static void check(int rc, const char* what) {
    if (rc < 0) throw std::system_error(-rc, std::generic_category(), what);
  }

  // libuv counts whole milliseconds from a time it caches: round up from a fresh one.
  void arm(Time until) noexcept {
    const Time left = until - now();
    const Time milliseconds =
        left <= 0 ? 0 : (left + nanoseconds_per_millisecond - 1) / nanoseconds_per_millisecond;
    uv_update_time(&loop_);
    // uv_run fires timers before it polls: one that is due by then must keep it from blocking.
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { uv_stop(timer->loop); },
        static_cast<std::uint64_t>(milliseconds), 0);
  }

  uv_loop_t loop_;
  uv_async_t async_;
  uv_timer_t timer_;
  uv_prepare_t prepare_;
  Time until_ = 0;  // of the poll that runs
};

class VirtualWorld final : public LibuvWorld {
 public:
  Time now() noexcept override { return now_; }

  // The clock jumps only where nothing else can happen first: what the operating system owes
  // is waited for, at most a moment of real time.
  void poll(Time until) noexcept override {
    LibuvWorld::poll(0);
    if (until == 0) return;
    if (until != never && until > now_) {
      now_ = until;
      return;
    }
    if (until == never) LibuvWorld::poll(never);
  }

 private:
  Time now_ = 1'000'000'000;
};

}  // namespace

std::unique_ptr<World> make_libuv_world() { return std::make_unique<LibuvWorld>(); }
std::unique_ptr<World> make_virtual_world() { return std::make_unique<VirtualWorld>(); }

}  // namespace uvlet::inline UVLET_ABI
