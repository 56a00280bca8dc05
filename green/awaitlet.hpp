#pragma once

// The bridge: ordinary functions wait for tasks, coroutines wait for green threads.

#include <aio/future.hpp>
#include <aio/task.hpp>
#include <green/greenthread.hpp>

#include <source_location>
#include <type_traits>
#include <utility>

namespace green {

using aio::await_result_t;

#if defined(__cpp_lib_source_location)
using CallSite = std::source_location;
#else
// For compilers without std::source_location (clang 14).
struct CallSite {
  static constexpr CallSite current(const char* file = __builtin_FILE(),
                                    unsigned line = __builtin_LINE(),
                                    const char* function = __builtin_FUNCTION()) noexcept {
    return {file, line, function};
  }
  const char* file_name() const noexcept { return file; }
  unsigned line() const noexcept { return line_number; }
  const char* function_name() const noexcept { return function; }
  const char* file;
  unsigned line_number;
  const char* function;
};
#endif

namespace detail {

// Runs a task on the stack of who calls, as part of who calls; parks only when it is suspended.
// The blocking face of our own tasks.
template <class T>
UVLET_INLINE T drive(aio::task<T>&& work) {
  aio::detail::Frame<T> frame = work.consume();
  uvlet::Hub& hub = uvlet::Hub::get();
  uvlet::Root& root = *hub.running();
  uvlet::Scope scope(root);
  frame.resume();
  for (;;) {
    while (root.step) std::exchange(root.step, nullptr).resume();
    if (frame.done()) break;
    hub.wait_turn(root);
    std::exchange(root.wake, nullptr).resume();
  }
  if (scope.forced()) [[unlikely]] {
    const std::exception_ptr forced = scope.take_forced();
    { const aio::detail::Frame<T> ended = std::move(frame); }
    std::rethrow_exception(forced);
  }
  return frame.promise().take();
}

}  // namespace detail

// Waits, in an ordinary function, for anything that a coroutine could co_await: a task, a Future,
// an operation of ours, an awaitable of another library. The coroutine runs as part of the green
// thread that calls; a task that completes without suspending does not switch. A kill, or a Timeout
// made outside, is CancelledError in the coroutine and is itself thrown here, whatever the
// coroutine made of it. Throws logic_error for a task that was consumed before, and
// NoAwaitletContext where it would have to wait in a libuv callback.
// Blocks the green thread. Cancel point.
template <class T>
UVLET_INLINE T awaitlet(aio::task<T>&& work, CallSite = CallSite::current()) {
  ++uvlet::Hub::get().awaitlets;
  return detail::drive(std::move(work));
}
template <aio::awaitable A>
await_result_t<A> awaitlet(A&& awaitable, CallSite = CallSite::current()) {
  ++uvlet::Hub::get().awaitlets;
  if constexpr (uvlet::operation<aio::detail::awaiter_t<A>>) {
    auto&& awaiter = aio::detail::get_awaiter(std::forward<A>(awaitable));
    return uvlet::block(awaiter);
  } else if constexpr (aio::detail::native_awaitable<A>) {
    return detail::drive(std::move(awaitable));  // a task that has a name
  } else {
    aio::detail::ForeignAwait<A> wait(std::forward<A>(awaitable));
    return uvlet::block(wait);
  }
}

// A coroutine function as an ordinary one: f(args...) waits for function(args...).
template <class F>
auto sync(F function) {
  return [function = std::move(function)]<class... A>(A&&... arguments) {
    return awaitlet(function(std::forward<A>(arguments)...));
  };
}

// A green thread that waits for a task; killing it, with any exception, cancels the task.
template <class T>
GreenThread<T> spawn_for_awaitable(aio::task<T> work) {
  return spawn([work = std::move(work)]() mutable { return awaitlet(std::move(work)); });
}
template <class T>
GreenThread<T> spawn_for_awaitable(aio::Future<T> future) {
  return spawn([future = std::move(future)]() mutable { return awaitlet(std::move(future)); });
}

}  // namespace green

namespace aio {

// Runs a plain function on a green thread of its own: it may block, and awaitlet. Cancelling kills
// it, and waits for its end. It shares the context of who awaits. Source: awaitlet.async_def.
template <class F, class... A>
task<green::detail::call_result_t<F, A...>> async_def(F function, A... arguments) {
  using R = green::detail::call_result_t<F, A...>;
  auto call = green::detail::make_call(std::move(function), std::move(arguments)...);
  green::GreenThread<R> thread = green::detail::start<R>(
      uvlet::Hub::get(), uvlet::this_address(), std::move(call), green::detail::AtOnce(), false);
  thread.identity()->root->share_context(*uvlet::Hub::get().running());
  co_return co_await std::move(thread);
}

template <class T>
Future<T> ensure_future(green::GreenThread<T> thread) {
  return create_task(as_task(std::move(thread)));
}

}  // namespace aio
