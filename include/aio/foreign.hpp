#pragma once

// Waiting for awaitables of other libraries. They may resume who awaits them anywhere, on any
// thread; so a small coroutine of its own awaits, and only posts a wake-up to the hub.

#include <aio/task.hpp>

#include <atomic>
#include <coroutine>
#include <exception>
#include <utility>

namespace aio::detail {

// A coroutine that starts at once and frees itself at its end.
struct FireAndForget {
  struct promise_type {
    FireAndForget get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

template <class T>
struct ForeignState final : uvlet::Post {
  enum Stage : int { running, waited_for, done };

  // On the hub's loop: nobody else touches the state any more.
  void run(uvlet::Hub& owner) noexcept override {
    --owner.external;
    if (waiter)
      waiter->notify();
    else
      delete this;
  }

  std::atomic<int> stage{running};
  uvlet::Hub* hub = nullptr;
  uvlet::Waiter* waiter = nullptr;  // the hub's thread only; null: nobody waits any more
  uvlet::Outcome<T> outcome;
};

template <class A>
class ForeignAwait final : public uvlet::Operation<ForeignAwait<A>> {
 public:
  using Result = std::remove_cvref_t<decltype(std::declval<awaiter_t<A>>().await_resume())>;

  explicit ForeignAwait(A&& awaited) : awaited_(std::forward<A>(awaited)) {}
  ForeignAwait(ForeignAwait&&) = default;
  ~ForeignAwait() {
    if (!state_) return;
    if (state_->stage.load(std::memory_order_acquire) == State::done && !in_flight_)
      delete state_;
    else
      state_->waiter = nullptr;
  }

  bool ready() {
    state_ = new State;
    state_->hub = &uvlet::Hub::get();
    adapt(std::forward<A>(awaited_), state_);
    return state_->stage.load(std::memory_order_acquire) == State::done;
  }
  void suspend(uvlet::Hub& hub) noexcept {
    state_->waiter = this;
    ++hub.external;
    int expected = State::running;
    if (state_->stage.compare_exchange_strong(expected, State::waited_for)) {
      in_flight_ = true;
    } else {  // done meanwhile, on another thread
      --hub.external;
      this->make_ready();
    }
  }
  Result result() { return state_->outcome.take(true); }
  // It may hold references into frames of ours: it is waited for.
  uvlet::Cancel cancel() noexcept override { return uvlet::Cancel::later; }
  const char* describe() const noexcept override { return "a foreign awaitable"; }

  Result await_resume() {
    in_flight_ = false;
    return uvlet::Operation<ForeignAwait>::await_resume();
  }

 private:
  using State = ForeignState<Result>;

  static FireAndForget adapt(A&& awaited, State* state) {
    try {
      auto&& awaiter = get_awaiter(std::forward<A>(awaited));
      if constexpr (std::is_void_v<Result>) {
        co_await InPlace<awaiter_t<A>>(awaiter);
        state->outcome.set_value();
      } else {
        state->outcome.set_value(co_await InPlace<awaiter_t<A>>(awaiter));
      }
    } catch (...) {
      state->outcome.set_error(uvlet::caught_exception());
    }
    if (state->stage.exchange(State::done, std::memory_order_acq_rel) == State::waited_for)
      state->hub->send(*state);
  }

  A awaited_;
  State* state_ = nullptr;
  bool in_flight_ = false;  // a post will come
};

}  // namespace aio::detail
