#pragma once

#include <aio/future.hpp>

#include <exception>
#include <future>
#include <memory>
#include <type_traits>
#include <utility>

namespace aio {
namespace detail {

// A promise that is always kept: with CancelledError where nothing came of the task.
template <class T>
class CertainPromise {
 public:
  CertainPromise() = default;
  CertainPromise(CertainPromise&& other) noexcept
      : promise_(std::move(other.promise_)), open_(std::exchange(other.open_, false)) {}
  ~CertainPromise() {
    if (open_) set_exception(std::make_exception_ptr(CancelledError()));
  }
  std::future<T> get_future() { return promise_.get_future(); }
  template <class... V>
  void set_value(V&&... value) {
    open_ = false;
    promise_.set_value(std::forward<V>(value)...);
  }
  void set_exception(std::exception_ptr error) {
    open_ = false;
    promise_.set_exception(std::move(error));
  }

 private:
  std::promise<T> promise_;
  bool open_ = true;
};

template <class T>
task<void> keep_promise(task<T> work, CertainPromise<T> promise) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(work);
      promise.set_value();
    } else {
      promise.set_value(co_await std::move(work));
    }
  } catch (...) {
    promise.set_exception(uvlet::caught_exception());
  }
}

}  // namespace detail

// Runs a task on `hub`, which must live until then. Thread-safe: the future may be waited for on
// any OS thread but the hub's own. A task that was cancelled is CancelledError. Source:
// asyncio.run_coroutine_threadsafe.
template <class T>
std::future<T> run_coroutine_threadsafe(task<T> work, uvlet::Hub& hub) {
  detail::CertainPromise<T> promise;
  std::future<T> future = promise.get_future();
  struct Start final : uvlet::Post {
    explicit Start(task<void> all) noexcept : whole(std::move(all)) {}
    void run(uvlet::Hub&) noexcept override {
      const std::unique_ptr<Start> self(this);
      try {
        create_task(std::move(whole));
      } catch (...) {  // no memory for it: the promise goes with `whole`
      }
    }
    task<void> whole;
  };
  hub.send(*new Start(detail::keep_promise(std::move(work), std::move(promise))));
  return future;
}

}  // namespace aio
