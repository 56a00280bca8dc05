#include "libuv_world.hpp"

#include <cstdlib>
#include <ctime>
#include <system_error>
#include <utility>

namespace uvlet::inline UVLET_ABI {
namespace {

constexpr Time nanoseconds_per_millisecond = 1'000'000;
// While descriptors of the epoll set keep the hub busy, libuv has its turn after this time.
constexpr Time run_interval = nanoseconds_per_millisecond;
// A poll that takes longer has slept.
constexpr Time sleep_min = 10'000;

void check(int rc, const char* what) {
  if (rc < 0) throw std::system_error(-rc, std::generic_category(), what);
}

}  // namespace

LibuvWorld::LibuvWorld(Watching watching) {
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
  if (watching == Watching::by_epoll) watch_set();
}

// So that libuv's poll ends when there is something to collect.
void LibuvWorld::watch_set() {
  set_.emplace();
  check(uv_poll_init(&loop_, &set_poll_, set_->fd()), "uv_poll_init");
  set_poll_.data = this;
  uv_poll_start(&set_poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
    static_cast<LibuvWorld*>(poll->data)->set_ready_ = true;
  });
  uv_unref(reinterpret_cast<uv_handle_t*>(&set_poll_));
}

LibuvWorld::~LibuvWorld() {
  uv_close(reinterpret_cast<uv_handle_t*>(&async_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), nullptr);
  if (set_) uv_close(reinterpret_cast<uv_handle_t*>(&set_poll_), nullptr);
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

Time LibuvWorld::now() noexcept {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Time{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void LibuvWorld::poll(Time until) noexcept {
  if (!set_) return run(until);
  // Who slept in the last poll will sleep in this one: libuv is asked at once, and tells of the
  // set.
  const Time start = LibuvWorld::now();
  if ((!sleeps_ || until == 0 || set_->collected()) && set_->collect()) {
    if (start - last_run_ < run_interval) return;
    until = 0;
  }
  run(until);
  last_run_ = LibuvWorld::now();
  sleeps_ = last_run_ - start > sleep_min;
  if (std::exchange(set_ready_, false)) set_->collect();
}

void LibuvWorld::run(Time until) noexcept {
  until_ = until;
  if (until != 0 && until != never) arm(until);
  uv_ref(reinterpret_cast<uv_handle_t*>(&async_));  // a loop without one would not even look
  uv_run(&loop_, until == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
  uv_unref(reinterpret_cast<uv_handle_t*>(&async_));
  uv_timer_stop(&timer_);
}

// libuv counts whole milliseconds from a time it caches: round up from a fresh one.
void LibuvWorld::arm(Time until) noexcept {
  const Time left = until - LibuvWorld::now();
  const Time milliseconds =
      left <= 0 ? 0 : (left + nanoseconds_per_millisecond - 1) / nanoseconds_per_millisecond;
  uv_update_time(&loop_);
  // uv_run fires timers before it polls: one that is due by then must keep it from blocking.
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { uv_stop(timer->loop); },
      static_cast<std::uint64_t>(milliseconds), 0);
}

std::unique_ptr<World> make_libuv_world() {
  const bool portable = std::getenv("UVLET_UV_POLL") != nullptr;
  return std::make_unique<LibuvWorld>(portable ? LibuvWorld::Watching::by_libuv
                                               : LibuvWorld::Watching::by_epoll);
}

}  // namespace uvlet::inline UVLET_ABI
