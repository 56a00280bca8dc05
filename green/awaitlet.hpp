#pragma once

// The bridge: ordinary functions wait for tasks, coroutines wait for green threads.

#include <aio/future.hpp>
#include <aio/task.hpp>
#include <green/greenthread.hpp>
#include <green/transitions.hpp>

#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace green {

using aio::await_result_t;

namespace detail {

// Runs a task on the stack of who calls, as part of who calls; parks only when it is suspended.
// The blocking face of our own tasks.
template <class T>
UVLET_INLINE T drive(aio::task<T>&& work, Crossing* crossing = nullptr) {
  uvlet::notice_blocking_call();
  aio::detail::Frame<T> frame = work.consume();
  uvlet::Root& root = *uvlet::Hub::get().running();
  uvlet::Scope scope(root);
  frame.resume();
  for (;;) {
    while (root.hub->step) std::exchange(root.hub->step, nullptr).resume();
    if (frame.done()) break;
    if (crossing) crossing->suspended = true;
    root.hub->wait_turn(root);  // not the hub of before: it may have forked
    root.waiting->coroutine().resume();
  }
  if (scope.forced()) [[unlikely]] {
    const std::exception_ptr forced = scope.take_forced();
    { const aio::detail::Frame<T> ended = std::move(frame); }
    std::rethrow_exception(forced);
  }
  return frame.promise().take();
}

// A function that async_def runs lies one change deeper than its caller.
inline void inherit_depth(const Greenlet& thread) {
  thread.identity()->root->depth = uvlet::Hub::get().running()->depth + 1;
}

// The wait for anything but a task that is an rvalue.
template <class A>
UVLET_INLINE await_result_t<A> wait_for_any(A&& awaitable, Crossing* crossing) {
  bool* const suspended = crossing ? &crossing->suspended : nullptr;
  if constexpr (uvlet::operation<aio::detail::awaiter_t<A>>) {
    auto&& awaiter = aio::detail::get_awaiter(std::forward<A>(awaitable));
    return uvlet::block(awaiter, suspended);
  } else if constexpr (aio::detail::native_awaitable<A>) {
    return drive(std::move(awaitable), crossing);  // a task that has a name
  } else {
    aio::detail::ForeignAwait<A> wait(std::forward<A>(awaitable));
    return uvlet::block(wait, suspended);
  }
}

// A wait that is counted, or whose exceptions are traced.
template <class Wait>
auto watched(const CallSite& site, const Wait& wait) {
  std::optional<Crossing> crossing;
  if (counting()) crossing.emplace(site, Crossing::Direction::to_async);
  try {
    return wait(crossing ? &*crossing : nullptr);
  } catch (...) {
    uvlet::trace_awaitlet(site);
    throw;
  }
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
UVLET_INLINE T awaitlet(aio::task<T>&& work, CallSite site = CallSite::current()) {
  ++uvlet::Hub::get().awaitlets;
  if (uvlet::CrossingWatch::any()) [[unlikely]]
    return detail::watched(
        site, [&](detail::Crossing* crossing) { return detail::drive(std::move(work), crossing); });
  return detail::drive(std::move(work));
}
template <aio::awaitable A>
await_result_t<A> awaitlet(A&& awaitable, CallSite site = CallSite::current()) {
  ++uvlet::Hub::get().awaitlets;
  if (uvlet::CrossingWatch::any()) [[unlikely]]
    return detail::watched(site, [&](detail::Crossing* crossing) {
      return detail::wait_for_any(std::forward<A>(awaitable), crossing);
    });
  return detail::wait_for_any(std::forward<A>(awaitable), nullptr);
}

// A coroutine function as an ordinary one: f(args...) waits for function(args...). `site` is what
// the report of transitions names.
template <class F>
auto sync(F function, CallSite site = CallSite::current()) {
  return [function = std::move(function), site]<class... A>(A&&... arguments) {
    return awaitlet(std::invoke(function, std::forward<A>(arguments)...), site);
  };
}

namespace detail {

// The function of a green thread that awaits a Future, and cancels it if it never runs.
template <class T>
class AwaitsFuture {
 public:
  AwaitsFuture(aio::Future<T> future, const CallSite& site)
      : future_(std::move(future)), site_(site) {
    future_.state();  // there is one
  }
  AwaitsFuture(AwaitsFuture&&) noexcept = default;
  ~AwaitsFuture() {
    if (future_) future_.cancel();
  }
  T operator()() { return awaitlet(std::move(future_), site_); }

 private:
  aio::Future<T> future_;
  CallSite site_;
};

}  // namespace detail

// A green thread that waits for a task; killing it, with any exception, cancels the task.
template <class T>
GreenThread<T> spawn_for_awaitable(aio::task<T> work, CallSite site = CallSite::current()) {
  return spawn(
      [work = std::move(work), site]() mutable { return awaitlet(std::move(work), site); });
}
template <class T>
GreenThread<T> spawn_for_awaitable(aio::Future<T> future, CallSite site = CallSite::current()) {
  return spawn(detail::AwaitsFuture<T>(std::move(future), site));
}

}  // namespace green

namespace aio {

namespace detail {

// Whether the green thread that makes it calls what may block, from then on. Another watch can only
// begin while this green thread waits, which is such a call: so one flag serves all, and is set
// when a watch ends.
class BlockingCallWatch {
 public:
  BlockingCallWatch() {
    uvlet::Hub::get().running()->watch_for_wait();
    ++uvlet::blocking_call_watches;
    uvlet::blocking_called = false;
  }
  ~BlockingCallWatch() {
    uvlet::blocking_called = true;
    --uvlet::blocking_call_watches;
  }
  BlockingCallWatch(const BlockingCallWatch&) = delete;
  BlockingCallWatch& operator=(const BlockingCallWatch&) = delete;
  void require_one() const {
    if (!uvlet::blocking_called) throw green::NoAwaitOccurred();
  }
};

template <class R, class Call>
task<R> async_def(Call call, green::CallSite site) {
  green::GreenThread<R> thread = green::detail::start<R>(
      uvlet::Hub::get(), uvlet::this_address(), std::move(call), green::detail::AtOnce(), false);
  green::detail::inherit_depth(thread);
  uvlet::Root& root = *thread.identity()->root;
  root.share_context(*uvlet::Hub::get().running());
  uvlet::Hub::get().make_ready_first(root);
  try {
    green::detail::AwaitEnd<R> end(thread);
    end.called_from(site);
    co_await std::move(end);
  } catch (const CancelledError&) {  // what the function made of its kill is what counts
    if (green::detail::AwaitEnd<R>::outlived_kill(thread)) throw;
  }
  try {
    co_return co_await std::move(thread).wait_async();
  } catch (const green::GreenletExit&) {
    throw CancelledError();
  }
}

// The call, which has to wait for something.
template <class R, class Call>
auto strict(Call call) {
  return [call = std::move(call)]() mutable -> R {
    const BlockingCallWatch watch;
    if constexpr (std::is_void_v<R>) {
      call();
      watch.require_one();
    } else {
      R result = call();
      watch.require_one();
      return result;
    }
  };
}

}  // namespace detail

// async_def(function, arguments...) is a task that runs a plain function on a green thread of its
// own, at once: it may block, and awaitlet. Cancelling kills it, and waits for its end: if it
// swallows that, its result counts. It shares the context of who awaits. (A class, because `site`,
// which the report of transitions names, comes after a pack.) Source: awaitlet.async_def.
template <class F, class... A>
class [[nodiscard]] async_def : public task<green::detail::call_result_t<F, A...>> {
  using R = green::detail::call_result_t<F, A...>;

 public:
  explicit async_def(F function, A... arguments, green::CallSite site = green::CallSite::current())
      : task<R>(detail::async_def<R>(
            green::detail::make_call(std::move(function), std::move(arguments)...), site)) {}
};
template <class F, class... A>
async_def(F, A...) -> async_def<F, A...>;

// The same for a function that is meant to wait: NoAwaitOccurred if it returns and never called
// awaitlet or any other call that blocks, even one that needed no wait.
// Source: awaitlet.async_def(assert_await_occurs=True).
template <class F, class... A>
class [[nodiscard]] async_def_strict : public task<green::detail::call_result_t<F, A...>> {
  using R = green::detail::call_result_t<F, A...>;

 public:
  explicit async_def_strict(F function, A... arguments,
                            green::CallSite site = green::CallSite::current())
      : task<R>(detail::async_def<R>(detail::strict<R>(green::detail::make_call(
                                         std::move(function), std::move(arguments)...)),
                                     site)) {}
};
template <class F, class... A>
async_def_strict(F, A...) -> async_def_strict<F, A...>;

template <class T>
Future<T> ensure_future(green::GreenThread<T> thread) {
  return create_task(as_task(std::move(thread)));
}

}  // namespace aio
