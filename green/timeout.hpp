#pragma once

#include <aio/exceptions.hpp>
#include <green/greenthread.hpp>
#include <uvlet/timeout.hpp>

#include <exception>
#include <functional>
#include <optional>
#include <system_error>
#include <utility>

namespace green {

using uvlet::Shield;
using uvlet::Timeout;
using uvlet::TimeoutExpired;

// Runs f(a...); throws TimeoutExpired if it waits beyond the limit (nullopt: none).
// Blocks the green thread. Cancel point.
template <class F, class... A>
auto with_timeout(std::optional<Duration> limit, F&& f, A&&... a)
    -> std::remove_cvref_t<std::invoke_result_t<F, A...>> {
  const Timeout timeout(limit);
  return std::invoke(std::forward<F>(f), std::forward<A>(a)...);
}

// The same, but gives `value` on expiry of its own limit, and of no other; where f gives nothing,
// an optional: `value` on expiry, nullopt when it finished. Blocks the green thread. Cancel point.
template <class V, class F, class... A>
auto with_timeout_or(std::optional<Duration> limit, V value, F&& f, A&&... a) {
  using R = std::remove_cvref_t<std::invoke_result_t<F, A...>>;
  const Timeout timeout(limit);
  try {
    if constexpr (std::is_void_v<R>) {
      std::invoke(std::forward<F>(f), std::forward<A>(a)...);
      return std::optional<V>();
    } else {
      return R(std::invoke(std::forward<F>(f), std::forward<A>(a)...));
    }
  } catch (const TimeoutExpired& expired) {
    if (!expired.is(timeout)) throw;
    if constexpr (std::is_void_v<R>)
      return std::optional<V>(std::move(value));
    else
      return R(std::move(value));
  }
}

// True if f() finished, false if the time was over first: eventlet's `with Timeout(s, False)`.
// Blocks the green thread. Cancel point.
template <class F>
bool move_on_after(Duration limit, F&& f) {
  const Timeout timeout(limit);
  try {
    std::invoke(std::forward<F>(f));
    return true;
  } catch (const TimeoutExpired& expired) {
    if (!expired.is(timeout)) throw;
    return false;
  }
}

// Whether it means that time was over: TimeoutExpired, aio::TimeoutError, system_error ETIMEDOUT.
UVLET_API bool is_timeout(std::exception_ptr error) noexcept;

}  // namespace green
