#pragma once

#include <green/greenthread.hpp>
#include <uvlet/timeout.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace green {

// The wait for an Event: gives the value, or, with a time limit, an optional (bool for void) that
// is empty when the limit passed first.
template <class T, bool limited>
class EventWait final : public uvlet::Operation<EventWait<T, limited>>, private uvlet::Timer {
 public:
  using Limited = std::conditional_t<std::is_void_v<T>, bool, std::optional<uvlet::stored_t<T>>>;
  using Result = std::conditional_t<limited, Limited, T>;

  EventWait(std::shared_ptr<uvlet::Outcome<T>> outcome, Duration limit) noexcept
      : outcome_(std::move(outcome)), limit_(limit) {}
  EventWait(EventWait&& other) noexcept
      : uvlet::Operation<EventWait>(std::move(other)),
        uvlet::Timer(),
        outcome_(std::move(other.outcome_)),
        limit_(other.limit_) {}

  bool ready() const noexcept { return outcome_->settled(); }
  void suspend(uvlet::Hub& hub) {
    if constexpr (limited) hub.timers.start(*this, deadline_after(hub.now(), limit_));
    outcome_->listen(*this);
  }
  Result result() {
    if constexpr (!limited) {
      return outcome_->copy();
    } else {
      if (expired_) return Result{};
      if constexpr (std::is_void_v<T>) {
        outcome_->copy();
        return true;
      } else {
        return outcome_->copy();
      }
    }
  }
  uvlet::Cancel cancel() noexcept override {
    cancel_timer();
    this->unlink();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "an event"; }

 private:
  void expire() noexcept override {
    if (!this->linked()) return;  // sent at the same moment: the value wins
    expired_ = true;
    this->wake();
  }
  Purpose purpose() const noexcept override { return {describe(), this->root()}; }

  std::shared_ptr<uvlet::Outcome<T>> outcome_;
  Duration limit_;
  bool expired_ = false;
};

// Sent once, heard by many: a value, or an exception, that green threads and coroutines wait for.
// Waiters are woken in the order in which they came. Source: eventlet.event.Event.
template <class T = void>
class Event {
 public:
  Event() : outcome_(std::make_shared<uvlet::Outcome<T>>()) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Wakes who waits; never switches. Throws logic_error if it was sent and not reset.
  void send(uvlet::stored_t<T> value) requires(!std::is_void_v<T>) {
    require_fresh();
    outcome_->set_value(std::move(value));
    outcome_->notify_listeners();
  }
  void send() requires std::is_void_v<T> {
    require_fresh();
    outcome_->set_value();
    outcome_->notify_listeners();
  }
  template <class E>
  void send_exception(E exception) {
    require_fresh();
    outcome_->set_error(uvlet::as_exception_ptr(std::move(exception)));
    outcome_->notify_listeners();
  }

  // The value, copied to each waiter; or rethrows the same exception object.
  // Blocks the green thread. Cancel point.
  T wait() const { return uvlet::block(wait_async()); }
  // nullopt, or false for void, when the time is over first.
  // Blocks the green thread. Cancel point.
  typename EventWait<T, true>::Result wait(Duration timeout) const {
    return uvlet::block(wait_async(timeout));
  }
  EventWait<T, false> wait_async() const { return {outcome_, Duration::forever()}; }
  EventWait<T, true> wait_async(Duration timeout) const { return {outcome_, timeout}; }

  bool ready() const noexcept { return outcome_->settled(); }
  bool has_result() const noexcept { return ready() && !outcome_->error(); }
  bool has_exception() const noexcept { return ready() && outcome_->error(); }

  // The value if there is one now (true for void); throws if an exception was sent.
  typename EventWait<T, true>::Result poll() const {
    if (!ready()) return {};
    if constexpr (std::is_void_v<T>) {
      outcome_->copy();
      return true;
    } else {
      return outcome_->copy();
    }
  }
  // The same, but nullopt (false) for an exception.
  typename EventWait<T, true>::Result poll_result() const {
    if (!has_result()) return {};
    return poll();
  }
  std::exception_ptr poll_exception() const { return ready() ? outcome_->error() : nullptr; }

  // Makes it ready to be sent again; who was woken before still gets what was sent then. Throws
  // logic_error unless it was sent.
  void reset() {
    if (!ready()) throw std::logic_error("Event::reset: nothing was sent since the last reset");
    outcome_ = std::make_shared<uvlet::Outcome<T>>();
  }

 private:
  void require_fresh() const {
    if (ready()) throw std::logic_error("Event: sent a second time without a reset");
  }

  std::shared_ptr<uvlet::Outcome<T>> outcome_;
};

}  // namespace green
