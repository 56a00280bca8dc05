#pragma once

#include <aio/exceptions.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/timeout.hpp>

#include <optional>

namespace aio {

// A scope guard: what waits in its scope beyond the deadline gets TimeoutError, where it waits.
// Destroying it cancels it. (A callee that catches std::exception eats the error: prefer wait_for
// there.) Source: asyncio.timeout.
class timeout {
 public:
  // nullopt: never, unless it is rescheduled.
  explicit timeout(std::optional<uvlet::Duration> after)
      : timer_(after.value_or(uvlet::Duration::forever()), TimeoutError()) {}

  // Whether the deadline has passed.
  bool expired() const noexcept { return timer_.expired(); }
  // Moves the deadline to `after` from now. Throws logic_error once it has expired.
  void reschedule(uvlet::Duration after) { timer_.reschedule(after); }

 private:
  uvlet::Timeout timer_;
};

}  // namespace aio
