#pragma once

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/timer.hpp>
#include <uvlet/waiter.hpp>

namespace uvlet::inline UVLET_ABI {

// Waits for a length of time, counted from the wait's start; zero goes to the back of the line.
class Sleep : public Operation<Sleep, Parked>, private Timer {
 public:
  explicit Sleep(Duration length) noexcept : Timer(length) {}
  Sleep(Sleep&& other) noexcept : Operation(std::move(other)), Timer(other.length()) {}

  bool ready() const noexcept { return false; }
  void suspend(Hub& hub) {
    if (length().seconds() > 0)
      hub.timers.start(*this, deadline_after(hub.now(), length()));
    else
      make_ready();
  }
  void result() const noexcept {}
  Cancel cancel() noexcept override {
    cancel_timer();
    return Cancel::done;
  }
  const char* describe() const noexcept override { return "sleep"; }

 private:
  void expire() noexcept override { make_ready(); }
  Purpose purpose() const noexcept override { return {describe(), root()}; }
};

}  // namespace uvlet::inline UVLET_ABI
