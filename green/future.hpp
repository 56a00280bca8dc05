#pragma once

// The standard library's futures between green threads, coroutines and tasks of one hub.

#include <aio/task.hpp>
#include <green/future_state.hpp>
#include <green/mutex.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <type_traits>
#include <utility>

namespace green {

template <class T>
class shared_future;
template <class Signature>
class packaged_task;

namespace detail {

// What future and shared_future have in common. Each call but valid() throws future_error(no_state)
// where there is no state.
template <class T>
class FutureBase {
 public:
  FutureBase() noexcept = default;
  explicit FutureBase(std::shared_ptr<FutureState<T>> state) noexcept : state_(std::move(state)) {}

  bool valid() const noexcept { return state_ != nullptr; }
  // Runs a deferred function here. Blocks the green thread. Cancel point.
  void wait() const { uvlet::block(wait_async()); }
  FutureWait<T> wait_async() const { return FutureWait<T>(state()); }
  // Blocks the green thread. Cancel point.
  std::future_status wait_for(Duration time) const { return uvlet::block(wait_for_async(time)); }
  FutureWaitWithin<T> wait_for_async(Duration time) const {
    return FutureWaitWithin<T>(time, state());
  }
  // Blocks the green thread. Cancel point.
  template <class Clock, class Length>
  std::future_status wait_until(std::chrono::time_point<Clock, Length> then) const {
    return wait_for(time_until(then));
  }
  template <class Clock, class Length>
  FutureWaitWithin<T> wait_until_async(std::chrono::time_point<Clock, Length> then) const {
    return wait_for_async(time_until(then));
  }

 protected:
  const std::shared_ptr<FutureState<T>>& state() const {
    if (!state_) throw std::future_error(std::future_errc::no_state);
    return state_;
  }
  std::shared_ptr<FutureState<T>> state_;
};

}  // namespace detail

// std::future: the one reader of a result. That of async() waits for its green thread when it is
// destroyed.
template <class T>
class future : public detail::FutureBase<T> {
 public:
  using detail::FutureBase<T>::FutureBase;
  future() noexcept = default;
  future(future&&) noexcept = default;
  future& operator=(future&&) noexcept = default;

  // The result, moved out, or what it ended with; then it is not valid any more. An interrupted
  // get() leaves it valid. Blocks the green thread. Cancel point.
  T get() { return uvlet::block(get_async()); }
  // This must outlive the wait.
  detail::FutureGet<T> get_async() { return detail::FutureGet<T>(this->state(), this->state_); }
  shared_future<T> share() noexcept { return shared_future<T>(std::move(this->state_)); }
};

// std::shared_future: any number of readers, by copies of it.
template <class T>
class shared_future : public detail::FutureBase<T> {
 public:
  using detail::FutureBase<T>::FutureBase;
  shared_future() noexcept = default;
  shared_future(future<T>&& other) noexcept : shared_future(other.share()) {}

  // A reference to the result, or what it ended with. Blocks the green thread. Cancel point.
  detail::shared_result_t<T> get() const { return uvlet::block(get_async()); }
  detail::SharedGet<T> get_async() const { return detail::SharedGet<T>(this->state()); }
};

// std::promise: where a result comes from. One that is destroyed without it leaves broken_promise.
// Throws future_error: promise_already_satisfied, future_already_retrieved, no_state.
template <class T>
class promise {
 public:
  promise() : state_(std::make_shared<detail::FutureState<T>>()) {}
  promise(promise&&) noexcept = default;
  promise& operator=(promise&& other) noexcept {
    promise(std::move(other)).swap(*this);
    return *this;
  }
  ~promise() {
    if (state_) state_->abandon();
  }

  future<T> get_future() { return future<T>(detail::retrieve(state_)); }
  // Wakes who waits; never switches.
  template <class V = T>
  requires(!std::is_void_v<T>) void set_value(V&& value) {
    detail::checked(state_).set(std::forward<V>(value));
  }
  void set_value() requires std::is_void_v<T> { detail::checked(state_).set(); }
  void set_exception(std::exception_ptr error) { detail::checked(state_).fail(std::move(error)); }
  void swap(promise& other) noexcept { state_.swap(other.state_); }

 private:
  template <class Signature>
  friend class packaged_task;
  detail::FutureState<T>& state() const { return detail::checked(state_); }

  std::shared_ptr<detail::FutureState<T>> state_;
};

// std::packaged_task: a function whose result goes to a future.
template <class R, class... A>
class packaged_task<R(A...)> {
 public:
  packaged_task() noexcept = default;
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, packaged_task>) explicit packaged_task(F&& f)
      : function_(std::make_unique<Held<std::decay_t<F>>>(std::forward<F>(f))) {}

  bool valid() const noexcept { return function_ != nullptr; }
  future<R> get_future() { return require().get_future(); }
  // Throws future_error: promise_already_satisfied the second time, no_state.
  // Blocks the green thread. Cancel point.
  void operator()(A... arguments) {
    detail::FutureState<R>& state = require().state();
    function_->run(state, std::forward<A>(arguments)...);
  }
  aio::task<> call_async(A... arguments) {
    (*this)(std::forward<A>(arguments)...);
    co_return;
  }
  // Ready to be called again, with a future of its own.
  void reset() {
    require();
    promise_ = promise<R>();
  }
  void swap(packaged_task& other) noexcept { std::swap(*this, other); }

 private:
  struct Function {
    virtual ~Function() = default;
    virtual void run(detail::FutureState<R>& result, A... arguments) = 0;
  };
  template <class F>
  struct Held final : Function {
    explicit Held(F f) : function(std::move(f)) {}
    void run(detail::FutureState<R>& result, A... arguments) override {
      detail::run_into(result, function, std::forward<A>(arguments)...);
    }
    F function;
  };
  promise<R>& require() {
    if (!function_) throw std::future_error(std::future_errc::no_state);
    return promise_;
  }

  std::unique_ptr<Function> function_;
  promise<R> promise_;
};

// Runs f(a...) in a green thread that starts when it is its turn, or, with launch::deferred alone,
// in who first waits for the result.
template <class F, class... A>
[[gnu::always_inline]] inline auto async(std::launch policy, F&& f, A&&... a)
    -> future<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>> {
  using T = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;
  auto call = detail::make_call(std::forward<F>(f), std::forward<A>(a)...);
  using Call = decltype(call);
  if (policy == std::launch::deferred)
    return future<T>(std::make_shared<detail::Deferred<T, Call>>(std::move(call)));
  return future<T>(detail::launch<T>(uvlet::this_address(), std::move(call)));
}
template <class F, class... A>
requires(!std::is_same_v<std::decay_t<F>, std::launch>)
    [[gnu::always_inline]] inline auto async(F&& f, A&&... a) {
  return green::async(std::launch::async, std::forward<F>(f), std::forward<A>(a)...);
}

}  // namespace green
