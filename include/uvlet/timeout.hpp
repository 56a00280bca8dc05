#pragma once

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/exceptions.hpp>
#include <uvlet/hub.hpp>

#include <cstdint>
#include <exception>
#include <optional>

namespace uvlet::inline UVLET_ABI {

// A scope guard that interrupts the green thread or task that made it, when it waits beyond the
// deadline. Destroying it cancels it. Timeouts nest; the earliest fires first. An operation that
// does not switch is not interrupted; a Timeout of zero interrupts the next one that does.
// Source: eventlet.timeout.Timeout.
class UVLET_API Timeout final : Timer {
 public:
  // Throws TimeoutExpired with is(*this); nullopt: never.
  explicit Timeout(std::optional<Duration> after) : Timeout(after, nullptr, 0) {}
  // Throws this exception instead; a std::exception_ptr means the one it holds.
  template <class E>
  Timeout(std::optional<Duration> after, E exception)
      : Timeout(after, as_exception_ptr(std::move(exception)), 0) {}
  ~Timeout();

  bool pending() const noexcept {
    return Timer::pending() || (interrupt_.queued() && after_->seconds() == 0);
  }
  void cancel() noexcept;
  // Starts it anew, for who calls. Throws logic_error while pending.
  void start();

  // Whether its time was over before it was cancelled.
  bool expired() const noexcept { return expired_; }
  // Moves the deadline to `after` from now; who made it is interrupted, whoever calls. Throws
  // logic_error once it has expired.
  void reschedule(Duration after);

  // Tells Timeouts of this process apart.
  std::uint64_t number() const noexcept { return number_; }

 private:
  Timeout(std::optional<Duration> after, std::exception_ptr error, int);
  void expire() noexcept override;
  Purpose purpose() const noexcept override { return {"a Timeout", owner_->root}; }
  void start_timer();

  std::optional<Duration> after_;
  std::exception_ptr error_;  // null: TimeoutExpired
  std::uint64_t number_;
  Handle<Identity> owner_;  // the Root it interrupts may end before it
  bool expired_ = false;
  Interrupt interrupt_;  // queued from its expiry to its delivery
};

// A scope in which kill, cancel and Timeouts wait until it ends; they are thrown at the first wait
// after it. Green threads and tasks alike.
class UVLET_API Shield {
 public:
  Shield();
  ~Shield();
  Shield(const Shield&) = delete;
  Shield& operator=(const Shield&) = delete;

 private:
  Handle<Identity> owner_;
};

}  // namespace uvlet::inline UVLET_ABI
