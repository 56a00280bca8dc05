#pragma once

#include <aio/future.hpp>
#include <uvlet/timeout.hpp>

#include <utility>

namespace aio {

using uvlet::Shield;

namespace detail {

// The wait for a Future that leaves it alone when it is cut short.
template <class T>
class ShieldedWait final : public uvlet::Operation<ShieldedWait<T>> {
 public:
  // Throws InvalidStateError for a Future that was moved from.
  explicit ShieldedWait(Future<T> future) : future_(std::move(future)) { future_.state(); }
  ShieldedWait(ShieldedWait&&) noexcept = default;

  bool ready() const noexcept { return state().value.settled(); }
  void suspend(uvlet::Hub&) noexcept { state().value.listen(*this); }
  T result() {
    state().retrieve();
    return state().value.take(state().references == 1);
  }
  uvlet::Cancel cancel() noexcept override {
    this->unlink();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "a shielded Future"; }

 private:
  FutureState<T>& state() const noexcept { return *future_.state(); }

  Future<T> future_;
};

template <class T>
task<T> shielded(Future<T> future) {
  ShieldedWait<T> wait(std::move(future));
  co_return co_await std::move(wait);
}

}  // namespace detail

// Awaits it, but cancelling who awaits does not cancel it: it runs on. What is no Future yet is
// started at once, as create_task does. Source: asyncio.shield.
template <awaitable A>
task<await_result_t<A>> shield(A work) {
  return detail::shielded(ensure_future(std::move(work)));
}
template <class T>
task<T> shield(Future<T> work) {
  return detail::shielded(std::move(work));
}

}  // namespace aio
