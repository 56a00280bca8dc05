#pragma once

// What a promise and its futures share, and the waits for it. For <green/future.hpp>.

#include <green/greenthread.hpp>
#include <uvlet/outcome.hpp>
#include <uvlet/time_limit.hpp>
#include <uvlet/timeout.hpp>

#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace green::detail {

template <class T>
using shared_result_t =
    std::conditional_t<std::is_void_v<T>, void, std::add_lvalue_reference_t<const T>>;

template <class T>
class FutureState {
 public:
  virtual ~FutureState() = default;
  // Whether the result is that of a function that nobody has run yet; run_deferred() does.
  virtual bool deferred() const noexcept { return false; }
  virtual void run_deferred() {}

  bool settled() const noexcept { return outcome_.settled(); }
  void listen(uvlet::Listener& listener) noexcept { outcome_.listen(listener); }

  template <class... V>
  void set(V&&... value) {
    require_unsettled();
    if constexpr (std::is_reference_v<T>)
      outcome_.set_value(std::addressof(value)...);
    else
      outcome_.set_value(std::forward<V>(value)...);
    outcome_.notify_listeners();
  }
  void fail(std::exception_ptr error) {
    require_unsettled();
    outcome_.set_error(std::move(error));
    outcome_.notify_listeners();
  }
  void abandon() noexcept {
    if (!settled())
      fail(std::make_exception_ptr(std::future_error(std::future_errc::broken_promise)));
  }
  void require_unsettled() const {
    if (settled()) throw std::future_error(std::future_errc::promise_already_satisfied);
  }
  void retrieve() {
    if (std::exchange(retrieved_, true))
      throw std::future_error(std::future_errc::future_already_retrieved);
  }

  T take() {
    if constexpr (std::is_reference_v<T>)
      return *outcome_.take(true);
    else
      return outcome_.take(true);
  }
  shared_result_t<T> look() const {
    if (outcome_.error()) uvlet::rethrow(outcome_.error());
    if constexpr (std::is_reference_v<T>)
      return *outcome_.value();
    else if constexpr (!std::is_void_v<T>)
      return outcome_.value();
  }

 private:
  using Kept = std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>;
  uvlet::Outcome<Kept> outcome_;
  bool retrieved_ = false;
};

template <class T>
FutureState<T>& checked(const std::shared_ptr<FutureState<T>>& state) {
  if (!state) throw std::future_error(std::future_errc::no_state);
  return *state;
}
template <class T>
std::shared_ptr<FutureState<T>> retrieve(const std::shared_ptr<FutureState<T>>& state) {
  checked(state).retrieve();
  return state;
}

// Runs a function, and keeps what it gives or throws. What interrupts the caller goes on as well.
template <class T, class F, class... A>
void run_into(FutureState<T>& state, F& function, A&&... arguments) {
  state.require_unsettled();
  try {
    if constexpr (std::is_void_v<T>) {
      std::invoke(function, std::forward<A>(arguments)...);
      state.set();
    } else {
      state.set(std::invoke(function, std::forward<A>(arguments)...));
    }
  } catch (const BaseException&) {
    if (!state.settled()) state.fail(uvlet::caught_exception());
    throw;
  } catch (...) {
    state.fail(uvlet::caught_exception());
  }
}

template <class T, class Call>
class Deferred final : public FutureState<T> {
 public:
  explicit Deferred(Call call) : call_(std::move(call)) {}
  bool deferred() const noexcept override { return call_.has_value(); }
  void run_deferred() override {
    Call call = std::move(*call_);
    call_.reset();
    run_into(*this, call);
  }

 private:
  std::optional<Call> call_;
};

// The green thread of an async(): whoever lets go of the last future waits for its end.
template <class T>
struct AsyncThread {
  ~AsyncThread() {
    uvlet::Hub* hub = uvlet::Hub::existing();
    if (thread.dead() || !hub || !hub->running()->may_wait() || thread == getcurrent()) return;
    const uvlet::Shield shield;
    try {
      thread.wait();
    } catch (...) {  // it is in the state
    }
  }
  std::shared_ptr<FutureState<T>> state = std::make_shared<FutureState<T>>();
  GreenThread<void> thread;
};

// What an async() that is killed before its start leaves behind.
template <class T>
struct Exit {
  explicit Exit(std::shared_ptr<FutureState<T>> of) noexcept : state(std::move(of)) {}
  Exit(Exit&&) noexcept = default;
  ~Exit() {
    if (state && !state->settled()) state->fail(std::make_exception_ptr(GreenletExit()));
  }
  std::shared_ptr<FutureState<T>> state;
};

template <class T, class Call>
std::shared_ptr<FutureState<T>> launch(void* spawned_at, Call call) {
  auto running = std::make_shared<AsyncThread<T>>();
  auto body = [exit = Exit<T>(running->state), call = std::move(call)]() mutable {
    run_into(*exit.state, call);
  };
  running->thread = start<void>(uvlet::Hub::get(), spawned_at, std::move(body), AtOnce(), false);
  FutureState<T>* const state = running->state.get();
  return {std::move(running), state};
}

// --- the waits --------------------------------------------------------------------------------

template <class T>
class SettledWait : public uvlet::Waiter {
 public:
  explicit SettledWait(std::shared_ptr<FutureState<T>> state) noexcept : state_(std::move(state)) {}
  SettledWait(SettledWait&&) noexcept = default;

  bool ready() {
    if (state_->deferred()) state_->run_deferred();
    return state_->settled();
  }
  void suspend(uvlet::Hub&) noexcept { state_->listen(*this); }
  uvlet::Cancel cancel() noexcept override {
    unlink();
    return uvlet::Cancel::done;
  }
  bool give_up() noexcept {
    const bool waits = linked();
    unlink();
    return waits;
  }
  const char* describe() const noexcept override { return "a future"; }

 protected:
  std::shared_ptr<FutureState<T>> state_;
};

template <class T>
class FutureWait final : public uvlet::Operation<FutureWait<T>, SettledWait<T>> {
 public:
  using uvlet::Operation<FutureWait, SettledWait<T>>::Operation;
  FutureWait(FutureWait&&) noexcept = default;
  void result() const noexcept {}
};

template <class T>
class FutureWaitWithin final : public uvlet::LimitedOperation<FutureWaitWithin<T>, SettledWait<T>> {
 public:
  using uvlet::LimitedOperation<FutureWaitWithin, SettledWait<T>>::LimitedOperation;
  FutureWaitWithin(FutureWaitWithin&&) noexcept = default;
  bool ready() const noexcept {
    return this->state_->settled() || this->state_->deferred() || this->limit() == Duration(0);
  }
  std::future_status result() const noexcept {
    if (this->state_->settled()) return std::future_status::ready;
    return this->state_->deferred() ? std::future_status::deferred : std::future_status::timeout;
  }
};

// Takes the result, and the state from its future.
template <class T>
class FutureGet final : public uvlet::Operation<FutureGet<T>, SettledWait<T>> {
 public:
  FutureGet(std::shared_ptr<FutureState<T>> state, std::shared_ptr<FutureState<T>>& holder) noexcept
      : uvlet::Operation<FutureGet, SettledWait<T>>(std::move(state)), holder_(&holder) {}
  FutureGet(FutureGet&&) noexcept = default;
  T result() {
    const std::shared_ptr<FutureState<T>> state = std::move(*holder_);
    return this->state_->take();
  }

 private:
  std::shared_ptr<FutureState<T>>* holder_;
};

template <class T>
class SharedGet final : public uvlet::Operation<SharedGet<T>, SettledWait<T>> {
 public:
  using uvlet::Operation<SharedGet, SettledWait<T>>::Operation;
  SharedGet(SharedGet&&) noexcept = default;
  shared_result_t<T> result() const { return this->state_->look(); }
};

}  // namespace green::detail
