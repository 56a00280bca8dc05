#pragma once

#include <aio/exceptions.hpp>
#include <aio/task.hpp>
#include <green/greenthread.hpp>
#include <uvlet/timeout.hpp>

#include <exception>
#include <functional>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace green {

using uvlet::Shield;
using uvlet::Timeout;
using uvlet::TimeoutExpired;

namespace detail {

// What a call gives, once it is awaited if it can be.
template <class R>
struct Awaited {
  using type = R;
};
template <aio::awaitable R>
struct Awaited<R> {
  using type = aio::await_result_t<R>;
};
template <class F, class... A>
using awaited_call_t = typename Awaited<call_result_t<F, A...>>::type;
template <class V, class R>
using value_or_t = std::conditional_t<std::is_void_v<R>, std::optional<V>, R>;

template <class F, class... A>
aio::task<awaited_call_t<F, A...>> call_and_await(F f, A... a) {
  auto call = make_call(std::move(f), std::move(a)...);
  if constexpr (aio::awaitable<call_result_t<F, A...>>)
    co_return co_await call();
  else
    co_return call();
}

}  // namespace detail

// Runs f(a...); throws TimeoutExpired if it waits beyond the limit (nullopt: none).
// Blocks the green thread. Cancel point.
template <class F, class... A>
auto with_timeout(std::optional<Duration> limit, F&& f, A&&... a)
    -> std::remove_cvref_t<std::invoke_result_t<F, A...>> {
  const Timeout timeout(limit);
  return std::invoke(std::forward<F>(f), std::forward<A>(a)...);
}
// The same in a coroutine, as all of these; what f gives is awaited if it can be.
template <class F, class... A>
aio::task<detail::awaited_call_t<F, A...>> with_timeout_async(std::optional<Duration> limit, F f,
                                                              A... a) {
  const Timeout timeout(limit);
  co_return co_await detail::call_and_await(std::move(f), std::move(a)...);
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
template <class V, class F, class... A>
auto with_timeout_or_async(std::optional<Duration> limit, V value, F f, A... a)
    -> aio::task<detail::value_or_t<V, detail::awaited_call_t<F, A...>>> {
  using R = detail::awaited_call_t<F, A...>;
  const Timeout timeout(limit);
  try {
    if constexpr (std::is_void_v<R>) {
      co_await detail::call_and_await(std::move(f), std::move(a)...);
      co_return std::optional<V>();
    } else {
      co_return co_await detail::call_and_await(std::move(f), std::move(a)...);
    }
  } catch (const TimeoutExpired& expired) {
    if (!expired.is(timeout)) throw;
  }
  co_return detail::value_or_t<V, R>(std::move(value));
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
template <class F>
aio::task<bool> move_on_after_async(Duration limit, F f) {
  const Timeout timeout(limit);
  try {
    co_await detail::call_and_await(std::move(f));
    co_return true;
  } catch (const TimeoutExpired& expired) {
    if (!expired.is(timeout)) throw;
  }
  co_return false;
}

// Whether it means that time was over: TimeoutExpired, aio::TimeoutError, system_error ETIMEDOUT.
UVLET_API bool is_timeout(std::exception_ptr error) noexcept;

}  // namespace green
