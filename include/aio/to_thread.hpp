#pragma once

// Ordinary functions on libuv's thread pool: the core of to_thread and of green::tpool.

#include <aio/task.hpp>
#include <uvlet/call.hpp>
#include <uvlet/outcome.hpp>
#include <uvlet/waiter.hpp>

#include <memory>
#include <utility>

namespace aio {
namespace detail {

// A call on its way through the thread pool. Once started it belongs to whoever comes last: who
// waits for it, or, where nobody does any more, its hub, which frees it when the OS thread is done.
class UVLET_API ThreadJob {
 public:
  // It will see the context variables of who makes it, as they are now.
  ThreadJob();
  ThreadJob(const ThreadJob&) = delete;
  ThreadJob& operator=(const ThreadJob&) = delete;
  virtual ~ThreadJob();

  // Calls the function, in place or on a thread of the pool.
  void call() noexcept;

  // Gives it to the pool; `waiter` is woken when it is done. Throws system_error, bad_alloc.
  void start(uvlet::Hub& hub, uvlet::Waiter& waiter);
  // Nobody waits for it any more.
  void abandon() noexcept { waiter_ = nullptr; }
  // It is with the pool.
  bool in_flight() const noexcept { return in_flight_; }

  // Whether this OS thread is one of the pool's that runs a job.
  static bool inside_pool() noexcept;

 private:
  struct Work;
  virtual void run() noexcept = 0;
  void finish(uvlet::Hub& hub) noexcept;

  uvlet::Handle<uvlet::ContextVars> context_;  // of who made it
  uvlet::Waiter* waiter_ = nullptr;
  bool in_flight_ = false;
};

template <class R, class Function>
struct TypedThreadJob final : ThreadJob {
  explicit TypedThreadJob(Function call) : function(std::move(call)) {}
  void run() noexcept override {
    try {
      if constexpr (std::is_void_v<R>) {
        function();
        outcome.set_value();
      } else {
        outcome.set_value(function());
      }
    } catch (...) {
      outcome.set_error(uvlet::caught_exception());
    }
  }

  Function function;
  uvlet::Outcome<R> outcome;
};

// The wait for a call on the thread pool; inside the pool the call is made in place. An interrupt
// ends the wait at once and leaves the call to finish by itself.
template <class R, class Function>
class ThreadCall final : public uvlet::Operation<ThreadCall<R, Function>> {
 public:
  explicit ThreadCall(Function function)
      : job_(std::make_unique<TypedThreadJob<R, Function>>(std::move(function))) {}
  ThreadCall(ThreadCall&&) = default;
  ~ThreadCall() { abandon(); }

  bool ready() noexcept {
    if (!ThreadJob::inside_pool()) return false;
    job_->call();
    return true;
  }
  void suspend(uvlet::Hub& hub) { job_->start(hub, *this); }
  R result() { return job_->outcome.take(true); }
  uvlet::Cancel cancel() noexcept override {
    abandon();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "a call on the thread pool"; }

 private:
  void abandon() noexcept {
    if (job_ && job_->in_flight()) job_.release()->abandon();
  }

  std::unique_ptr<TypedThreadJob<R, Function>> job_;
};

// See green::tpool::set_num_threads.
UVLET_API void set_thread_pool_size(int threads);

}  // namespace detail

// Calls function(arguments...) on a thread of libuv's pool, and waits for it; inside the pool it is
// called in place. It must not use what belongs to this hub. It has a copy of the caller's context
// variables. What it throws is thrown here, with its type. Cancelled, the wait ends at once: the
// call goes on, or is still made, and it, its arguments and its result are freed on this hub when
// it is done. Source: asyncio.to_thread.
template <class F, class... A>
task<uvlet::call_result_t<F, A...>> to_thread(F function, A... arguments) {
  auto call = uvlet::make_call(std::move(function), std::move(arguments)...);
  using R = uvlet::call_result_t<F, A...>;
  co_return co_await detail::ThreadCall<R, decltype(call)>(std::move(call));
}

}  // namespace aio
