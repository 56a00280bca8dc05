#pragma once

// The coroutine type. See docs/architecture.md, "Tasks", for who resumes what.

#include <uvlet/call_site.hpp>
#include <uvlet/exceptions.hpp>
#include <uvlet/frame.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/outcome.hpp>
#include <uvlet/timeout.hpp>
#include <uvlet/traceback.hpp>
#include <uvlet/waiter.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace aio {

using uvlet::CancelledError;
using uvlet::Duration;

template <class T = void>
class task;

namespace detail {

template <class T>
class TaskAwaiter;
template <class A>
class ForeignAwait;

template <class A>
decltype(auto) get_awaiter(A&& awaitable) {
  if constexpr (requires { std::forward<A>(awaitable).operator co_await(); })
    return std::forward<A>(awaitable).operator co_await();
  else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); })
    return operator co_await(std::forward<A>(awaitable));
  else
    return std::forward<A>(awaitable);
}

template <class A>
using awaiter_t = decltype(get_awaiter(std::declval<A>()));

template <class W>
inline constexpr bool is_task_awaiter = false;
template <class T>
inline constexpr bool is_task_awaiter<TaskAwaiter<T>> = true;

// Awaitables that know our Roots; all others are resumed by who knows whom, on any thread.
template <class A>
concept native_awaitable =
    uvlet::operation<awaiter_t<A>> || is_task_awaiter<std::remove_cvref_t<awaiter_t<A>>>;

}  // namespace detail

template <class A>
concept awaitable = requires(A&& a) {
  detail::get_awaiter(std::forward<A>(a)).await_resume();
};

// What co_await gives, by value.
template <class A>
using await_result_t =
    std::remove_cvref_t<decltype(std::declval<detail::awaiter_t<A>>().await_resume())>;

namespace detail {

template <class A>
concept asks_for_call_site = requires(awaiter_t<A> awaiter, const uvlet::CallSite& site) {
  awaiter.called_from(site);
};

// An awaiter that stays where it is: g++ 12 copies one that is an lvalue, and moves an xvalue.
template <class Awaiter>
class InPlace {
 public:
  explicit InPlace(Awaiter& awaiter) noexcept : awaiter_(awaiter) {}
  decltype(auto) await_ready() { return awaiter_.await_ready(); }
  template <class P>
  decltype(auto) await_suspend(std::coroutine_handle<P> handle) {
    return awaiter_.await_suspend(handle);
  }
  decltype(auto) await_resume() { return std::forward<Awaiter>(awaiter_).await_resume(); }

 private:
  std::remove_reference_t<Awaiter>& awaiter_;
};

class PromiseBase : public uvlet::NativePromise {
 public:
  static void* operator new(std::size_t bytes) { return uvlet::FrameCache::allocate(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    uvlet::FrameCache::release(memory, bytes);
  }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  // The driver takes up the coroutine that awaits this one; null: the driver itself waits for it.
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> finished) const noexcept {
      if (const std::coroutine_handle<> next = finished.promise().continuation)
        uvlet::Hub::existing()->step = next;
    }
    void await_resume() const noexcept {}
  };
  Final final_suspend() const noexcept { return {}; }

  // What is not ours is awaited on its own terms, and only tells us that it is done.
  template <class A>
  requires(!asks_for_call_site<A>) auto await_transform(A&& awaited) const {
    if constexpr (uvlet::operation<A>)
      return InPlace<A>(awaited);
    else if constexpr (native_awaitable<A>)
      return get_awaiter(std::forward<A>(awaited));
    else
      return ForeignAwait<A>(std::forward<A>(awaited));
  }
  // An awaiter that crosses to green code is told from where.
  template <class A>
  requires asks_for_call_site<A>
  auto await_transform(A&& awaited, uvlet::CallSite site = uvlet::CallSite::current()) const {
    auto awaiter = get_awaiter(std::forward<A>(awaited));
    awaiter.called_from(site);
    return awaiter;
  }
};

template <class T>
class Promise final : public PromiseBase {
  static_assert(alignof(T) <= alignment_max, "over-aligned results must be passed by pointer");

 public:
  task<T> get_return_object() noexcept;
  template <class V = T>
  requires std::is_constructible_v<T, V&&>
  void return_value(V&& value) { value_.emplace(std::forward<V>(value)); }
  void unhandled_exception() noexcept { error_ = uvlet::caught_exception(); }
  T take() {
    if (error_) uvlet::rethrow(std::exchange(error_, nullptr));
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
  std::exception_ptr error_;
};

template <>
class Promise<void> final : public PromiseBase {
 public:
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { error_ = uvlet::caught_exception(); }
  void take() {
    if (error_) uvlet::rethrow(std::exchange(error_, nullptr));
  }

 private:
  std::exception_ptr error_;
};

// The one owner of a coroutine's frame.
template <class T>
class Frame {
 public:
  using Coroutine = std::coroutine_handle<Promise<T>>;
  explicit Frame(Coroutine coroutine) noexcept : address_(coroutine.address()) {}
  Frame(Frame&& other) noexcept : address_(std::exchange(other.address_, nullptr)) {}
  Frame& operator=(Frame&& other) noexcept {
    std::swap(address_, other.address_);
    return *this;
  }
  ~Frame() {
    if (address_) get().destroy();
  }
  Coroutine get() const noexcept { return Coroutine::from_address(address_); }
  Promise<T>& promise() const noexcept { return get().promise(); }
  bool done() const noexcept { return get().done(); }
  void resume() const { get().resume(); }
  explicit operator bool() const noexcept { return address_ != nullptr; }

  // It is awaited from here on, and stays where it is.
  void awaited_by(std::coroutine_handle<> awaiting) noexcept {
    promise().continuation = awaiting;
    promise().owner = &address_;
  }

 private:
  void* address_;
};

// Destroys the coroutines that `last` awaits, from the innermost one outwards: each would destroy
// the next by itself, but that needs stack for each.
inline void destroy_awaited(std::coroutine_handle<> innermost,
                            std::coroutine_handle<> last) noexcept {
  while (innermost != last) {
    const uvlet::NativePromise& promise = uvlet::NativePromise::of(innermost);
    const std::coroutine_handle<> outer = promise.continuation;
    *promise.owner = nullptr;
    innermost.destroy();
    innermost = outer;
  }
}

// A top-level task that nobody holds: `done` is resumed when it has ended.
template <class T>
struct Detached;

// Awaits a task from a coroutine: it becomes part of the awaiting Root, or, where a coroutine of
// another library awaits it, a Root of its own.
template <class T>
class TaskAwaiter {
 public:
  explicit TaskAwaiter(Frame<T> frame) noexcept : frame_(std::move(frame)) {}
  TaskAwaiter(TaskAwaiter&&) noexcept = default;
  ~TaskAwaiter() {
    if (detached_) [[unlikely]]
      detached_->abandon(frame_);
    if (resumer_) [[unlikely]]
      resumer_->off_stack();
  }

  bool await_ready() const noexcept { return false; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> awaiting) {
    if constexpr (uvlet::native_promise<P>) {
      frame_.awaited_by(awaiting);
      uvlet::Hub::existing()->step = frame_.get();
    } else {
      detached_ = new Detached<T>(uvlet::Hub::get(), frame_.get(), awaiting, *this);
    }
  }
  T await_resume() {
    resumer_ = nullptr;
    return frame_.promise().take();
  }

 private:
  friend struct Detached<T>;
  Frame<T> frame_;
  Detached<T>* detached_ = nullptr;          // of a coroutine of another library: it awaits this
  uvlet::StacklessRoot* resumer_ = nullptr;  // and is about to be resumed by this
};

template <class T>
struct Detached final : uvlet::StacklessRoot {
  Detached(uvlet::Hub& owner, typename Frame<T>::Coroutine coroutine,
           std::coroutine_handle<> awaiting, TaskAwaiter<T>& who_awaits) noexcept
      : StacklessRoot(owner, Kind::task), body(coroutine), done(awaiting), awaiter(who_awaits) {
    owner.make_ready(*this);
  }
  std::coroutine_handle<> first_step() const noexcept override { return body; }
  void off_stack() noexcept override {
    if (body.done()) end();
  }
  void never_started() noexcept override { end(); }
  void end() noexcept {
    if (this->locals) this->free_locals();
    if (abandoned) {
      uvlet::Waiter* const destroyer = abandoned;
      delete this;
      destroyer->wake();
      return;
    }
    // A Root of its own again: the other library's code may block.
    uvlet::StacklessRoot& next = hub->adopt(done);
    hub->make_ready(next);
    awaiter.detached_ = nullptr;
    awaiter.resumer_ = &next;
    delete this;
  }

  // The awaiting frame is destroyed before the task has ended: the task is cancelled, and waited
  // for. Where nothing may wait, or in the child of a fork, the frames go with their owner,
  // innermost first, and each wait withdraws itself.
  void abandon(Frame<T>& frame) noexcept {
    const bool may_wait =
        hub == uvlet::Hub::existing() && hub->running() != this && hub->running()->may_wait();
    if (!may_wait && !sp && hub->running() != this) {
      Root::unlink();
      destroy_awaited(innermost_coroutine(*this), body);
      { const Frame<T> destroyed = std::move(frame); }
      delete this;
      return;
    }
    if (!may_wait) {
      std::fputs(
          "uvlet: a task was destroyed from inside itself, or in a libuv callback while its "
          "code is inside a green call\n",
          stderr);
      std::terminate();
    }
    struct End final : uvlet::Operation<End> {
      explicit End(Detached& root) noexcept : ending(root) {}
      bool ready() const noexcept { return false; }
      void suspend(uvlet::Hub&) noexcept { ending.abandoned = this; }
      void result() const noexcept {}
      uvlet::Cancel cancel() noexcept override { return uvlet::Cancel::later; }
      const char* describe() const noexcept override { return "the end of a destroyed task"; }
      Detached& ending;
    };
    const uvlet::Shield shield;
    hub->interrupt(*this, std::make_exception_ptr(CancelledError()));
    uvlet::block(End(*this));
  }

  typename Frame<T>::Coroutine body;
  std::coroutine_handle<> done;
  TaskAwaiter<T>& awaiter;
  uvlet::Waiter* abandoned = nullptr;
};

}  // namespace detail

// A coroutine that gives a T: lazy, it runs when it is awaited, once. Move-only. Destroying one
// that was not awaited is free.
template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = detail::Promise<T>;
  using value_type = T;

  explicit task(detail::Frame<T> frame) noexcept : frame_(std::move(frame)) {}
  task(task&&) noexcept = default;
  task& operator=(task&&) noexcept = default;

  // Consumes it. Throws logic_error if it was consumed before.
  detail::TaskAwaiter<T> operator co_await() { return detail::TaskAwaiter<T>(consume()); }

  // For the rest of the library: the frame goes to the caller.
  detail::Frame<T> consume() {
    if (!frame_)
      throw std::logic_error("a task can be awaited once: this one was moved from or awaited");
    return std::move(frame_);
  }

 private:
  detail::Frame<T> frame_;
};

namespace detail {

template <class T>
task<T> Promise<T>::get_return_object() noexcept {
  return task<T>(Frame<T>(std::coroutine_handle<Promise>::from_promise(*this)));
}
inline task<void> Promise<void>::get_return_object() noexcept {
  return task<void>(Frame<void>(std::coroutine_handle<Promise>::from_promise(*this)));
}

}  // namespace detail

// Any awaitable as a task.
template <class T>
task<T> as_task(task<T> work) {
  return work;
}
template <detail::native_awaitable A>
task<await_result_t<A>> as_task(A work) {
  co_return co_await std::move(work);
}

}  // namespace aio

#include <aio/foreign.hpp>
