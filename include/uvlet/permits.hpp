#pragma once

// Permits that are handed out in the order in which they are asked for: what semaphores are made
// of.

#include <uvlet/config.hpp>
#include <uvlet/list.hpp>
#include <uvlet/waiter.hpp>

#include <utility>

namespace uvlet::inline UVLET_ABI {

class Permits;

// The wait for one permit. One that is granted and not taken goes to the next.
class PermitWait : public Waiter {
 public:
  explicit PermitWait(Permits& permits) noexcept : permits_(&permits) {}
  PermitWait(PermitWait&& other) noexcept
      : Waiter(std::move(other)),
        permits_(other.permits_),
        granted_(std::exchange(other.granted_, false)) {}

  bool ready() noexcept;
  void suspend(Hub&) noexcept;
  Cancel cancel() noexcept override {
    leave();
    return Cancel::done;
  }
  bool give_up() noexcept {
    if (granted_) return false;
    leave();
    return true;
  }
  const char* describe() const noexcept override { return "a semaphore"; }

 protected:
  ~PermitWait() { leave(); }
  // Gives up the place in the line, or what was granted.
  void leave() noexcept;
  // False: nothing was granted.
  bool take() noexcept { return std::exchange(granted_, false); }

  friend class Permits;
  Permits* permits_;
  bool granted_ = false;
};

// A count, and a line of those who want one. Must outlive who waits.
class Permits {
 public:
  explicit Permits(int count) noexcept : count_(count) {}

  bool try_take() noexcept {
    if (count_ <= 0) return false;
    --count_;
    return true;
  }
  // Hands one to the first in the line. Never switches.
  void put() noexcept {
    if (++count_ > 0 && !line_.empty()) grant();
  }
  // Undoes a put(): the count may become negative, which the next ones make good.
  void take_back() noexcept { --count_; }

  int count() const noexcept { return count_; }
  int waiting() const noexcept { return waiting_; }

 private:
  friend class PermitWait;
  void grant() noexcept {
    --count_;
    --waiting_;
    auto* first = static_cast<PermitWait*>(line_.pop_front());
    first->granted_ = true;
    first->wake();
  }

  // Invariant: while somebody is in the line, count_ <= 0.
  int count_;
  int waiting_ = 0;  // the length of the line
  List<Waiter> line_;
};

inline bool PermitWait::ready() noexcept { return granted_ = permits_->try_take(); }

inline void PermitWait::suspend(Hub&) noexcept {
  permits_->line_.push_back(this);
  ++permits_->waiting_;
}

inline void PermitWait::leave() noexcept {
  if (linked()) {
    unlink();
    --permits_->waiting_;
  } else if (take()) {
    permits_->put();
  }
}

}  // namespace uvlet::inline UVLET_ABI
