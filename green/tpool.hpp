#pragma once

// Ordinary functions on OS threads, for what would block the hub: libuv's thread pool, which file
// operations and name look-ups use as well.

#include <aio/to_thread.hpp>
#include <green/awaitlet.hpp>
#include <green/greenpool.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace green::tpool {

// Calls f(a...) on a thread of the pool, and waits for it; inside the pool it is called in place.
// It must not use green threads or what belongs to this hub. What it throws is thrown here, with
// its type, whatever that is. An interrupt ends the wait at once: the call goes on, or is still
// made, and f, its arguments and its result are freed on this hub when it is done; a hub that ends
// waits for that. Blocks the green thread. Cancel point.
template <class F, class... A>
auto execute_async(F&& f, A&&... a) {
  auto call = uvlet::make_call(std::forward<F>(f), std::forward<A>(a)...);
  return aio::detail::ThreadCall<uvlet::call_result_t<F, A...>, decltype(call)>(std::move(call));
}
template <class F, class... A>
auto execute(F&& f, A&&... a) -> uvlet::call_result_t<F, A...> {
  return uvlet::block(execute_async(std::forward<F>(f), std::forward<A>(a)...));
}

// The number of threads, of all hubs: 4, or the environment's UV_THREADPOOL_SIZE, until it is set;
// libuv has 1024 at most. Throws invalid_argument below 1, and logic_error once anything has used
// the pool. To be called before there are other threads: it sets UV_THREADPOOL_SIZE.
UVLET_API void set_num_threads(int threads);

namespace detail {

// The wait for one's turn at a Proxy.
class ProxyTurn final : public uvlet::Operation<ProxyTurn, green::detail::SlotWait> {
 public:
  using Operation::Operation;
  green::detail::Slot result() noexcept { return take(); }
  const char* describe() const noexcept override { return "its turn at a tpool::Proxy"; }
};

}  // namespace detail

// An object that is used on the pool alone, one call at a time, in the order of the calls. Copies
// share the object; it is destroyed when the last of them is gone and the last call is done.
// Source: eventlet.tpool.Proxy.
template <class T>
class Proxy {
 public:
  template <class F>
  using Result = std::remove_cvref_t<std::invoke_result_t<F&, T&>>;

  explicit Proxy(T object) : shared_(std::make_shared<Shared>(std::move(object))) {}

  // Gives f(object), by value, as execute() does. Inside the pool it is called in place: there f
  // may use its own Proxy again. Blocks the green thread. Cancel point.
  template <class F>
  auto operator()(F f) -> Result<F> {
    if (aio::detail::ThreadJob::inside_pool()) return shared_->call(f);
    return green::detail::drive(calling(shared_, std::move(f)));
  }
  template <class F>
  auto call_async(F f) -> aio::task<Result<F>> {
    return calling(shared_, std::move(f));
  }

 private:
  struct Shared {
    explicit Shared(T kept) : object(std::move(kept)) {}
    template <class F>
    Result<F> call(F& f) {
      const std::lock_guard lock(mutex);
      return std::invoke(f, object);
    }

    T object;
    std::recursive_mutex mutex;  // against calls in place
    // Calls wait here, and not on threads of the pool.
    std::shared_ptr<green::detail::PoolCore> turns = std::make_shared<green::detail::PoolCore>(1);
  };

  // The turn goes with the call: one that was abandoned holds it until it is done.
  template <class F>
  static auto calling(std::shared_ptr<Shared> shared, F f) -> aio::task<Result<F>> {
    green::detail::Slot turn = co_await detail::ProxyTurn(shared->turns);
    auto call = [shared, f = std::move(f), turn = std::move(turn)]() mutable -> Result<F> {
      return shared->call(f);
    };
    co_return co_await aio::to_thread(std::move(call));
  }

  std::shared_ptr<Shared> shared_;
};

}  // namespace green::tpool
