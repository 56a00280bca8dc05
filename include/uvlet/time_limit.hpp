#pragma once

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/timer.hpp>
#include <uvlet/waiter.hpp>

#include <utility>

namespace uvlet::inline UVLET_ABI {

// An operation that waits no longer than a limit. `Base` is a Waiter with suspend(Hub&) and
//   bool give_up() noexcept   the limit has passed. True: it is unlinked, and has no result.
//                             False: a result has come, and wins.
// The Derived class defines result(), as in Operation.
template <class Derived, class Base>
class LimitedOperation : public Operation<Derived, Base>, private Timer {
 public:
  template <class... A>
  explicit LimitedOperation(Duration limit, A&&... arguments)
      : Operation<Derived, Base>(std::forward<A>(arguments)...), limit_(limit) {}
  LimitedOperation(LimitedOperation&& other) noexcept
      : Operation<Derived, Base>(std::move(other)), Timer(), limit_(other.limit_) {}

  void suspend(Hub& hub) {
    hub.timers.start(*this, deadline_after(hub.now(), limit_));
    Base::suspend(hub);
  }
  Cancel cancel() noexcept override {
    const Cancel answer = Base::cancel();
    if (answer == Cancel::done) cancel_timer();
    return answer;
  }

 protected:
  ~LimitedOperation() = default;
  Duration limit() const noexcept { return limit_; }

 private:
  void expire() noexcept override {
    if (Base::give_up()) this->make_ready();
  }
  Purpose purpose() const noexcept override { return {this->describe(), this->root()}; }

  Duration limit_;
};

}  // namespace uvlet::inline UVLET_ABI
