#pragma once

#include <aio/exceptions.hpp>
#include <aio/task.hpp>
#include <uvlet/timeout.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace aio {

// Awaits it for at most `limit`; then cancels it, waits for its end and throws TimeoutError,
// whatever it made of the cancellation. A task runs as part of its caller. Source:
// asyncio.wait_for.
template <awaitable A>
task<await_result_t<A>> wait_for(A work, Duration limit) {
  using T = await_result_t<A>;
  std::exception_ptr error;
  std::optional<uvlet::stored_t<T>> value;
  {
    uvlet::Timeout timer(limit, TimeoutError());  // made outside the scope: it crosses it
    uvlet::Scope scope(*uvlet::Hub::get().running());
    try {
      if constexpr (std::is_void_v<T>) {
        co_await std::move(work);
        value.emplace();
      } else {
        value.emplace(co_await std::move(work));
      }
    } catch (...) {
      error = uvlet::caught_exception();
    }
    if (auto forced = scope.take_forced_for_coroutine()) error = std::move(forced);
  }
  if (error) uvlet::rethrow(error);
  if constexpr (!std::is_void_v<T>) co_return std::move(*value);
}
template <class T>
task<T> wait_for(task<T> work, Duration limit) {
  return wait_for<task<T>>(std::move(work), limit);
}

}  // namespace aio
