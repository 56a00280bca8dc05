#pragma once

#include <uvlet/config.hpp>
#include <uvlet/list.hpp>
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

}  // namespace uvlet::inline UVLET_ABI
