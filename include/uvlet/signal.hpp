#pragma once

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/list.hpp>
#include <uvlet/timer.hpp>
#include <uvlet/waiter.hpp>

namespace uvlet::inline UVLET_ABI {

class Signal;

// The wait for the next notify_all().
class SignalWait final : public Operation<SignalWait> {
 public:
  SignalWait(List<Listener>& waiters, const char* what) noexcept
      : waiters_(&waiters), what_(what) {}
  SignalWait(SignalWait&&) noexcept = default;

  bool ready() const noexcept { return false; }
  void suspend(Hub&) noexcept { waiters_->push_back(this); }
  void result() const noexcept {}
  Cancel cancel() noexcept override {
    unlink();
    return Cancel::done;
  }
  const char* describe() const noexcept override { return what_; }

 private:
  List<Listener>* waiters_;
  const char* what_;
};

// "Something changed, look again": what a loop around a condition waits for.
class Signal {
 public:
  explicit Signal(const char* what) noexcept : what_(what) {}

  SignalWait wait() noexcept { return {waiters_, what_}; }
  void notify_all() noexcept {
    while (!waiters_.empty()) waiters_.pop_front()->notify();
  }

 private:
  List<Listener> waiters_;
  const char* what_;
};

// Notifies a Signal when a while has passed: a limit for a loop that waits for it, also in a
// Shield.
class Deadline final : private Timer {
 public:
  Deadline(Signal& signal, Duration after) : signal_(signal) {
    Hub& hub = Hub::get();
    hub.timers.start(*this, deadline_after(hub.now(), after));
  }
  bool passed() const noexcept { return passed_; }

 private:
  void expire() noexcept override {
    passed_ = true;
    signal_.notify_all();
  }

  Signal& signal_;
  bool passed_ = false;
};

}  // namespace uvlet::inline UVLET_ABI
