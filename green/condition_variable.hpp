#pragma once

#include <aio/task.hpp>
#include <green/mutex.hpp>
#include <uvlet/timeout.hpp>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>

namespace green {

class condition_variable;

namespace detail {

// The wait for a notification. One that is given and not taken goes to the next.
class UVLET_API NotifyWait : public uvlet::Waiter {
 public:
  explicit NotifyWait(condition_variable& condition) noexcept : condition_(&condition) {}
  NotifyWait(NotifyWait&&) noexcept = default;

  bool ready() const noexcept { return false; }
  void suspend(uvlet::Hub&) noexcept;
  uvlet::Cancel cancel() noexcept override;
  bool give_up() noexcept {
    if (notified_) return false;
    unlink();
    return true;
  }
  const char* describe() const noexcept override { return "a condition variable"; }

 protected:
  bool notified_ = false;

 private:
  friend class green::condition_variable;
  condition_variable* condition_;
};

class Notified final : public uvlet::Operation<Notified, NotifyWait> {
 public:
  using Operation::Operation;
  Notified(Notified&&) noexcept = default;
  void result() noexcept { unlink(); }
};
class NotifiedWithin final : public uvlet::LimitedOperation<NotifiedWithin, NotifyWait> {
 public:
  using LimitedOperation::LimitedOperation;
  NotifiedWithin(NotifiedWithin&&) noexcept = default;
  std::cv_status result() noexcept {
    unlink();
    return notified_ ? std::cv_status::no_timeout : std::cv_status::timeout;
  }
};

[[noreturn]] UVLET_API UVLET_COLD void refuse_wait();

// Holds a lock open for as long as somebody waits, and takes it again in any case.
template <class L>
void give_up(L& lock) {
  if constexpr (requires { lock.owns_lock(); })
    if (!lock.owns_lock()) refuse_wait();
  lock.unlock();
}
template <class L>
void take_back(L& lock) {
  const uvlet::Shield shield;
  lock.lock();
}

}  // namespace detail

// std::condition_variable and std::condition_variable_any: it takes any lock, of any mutex here. A
// wait that is interrupted has the lock again when it throws, and leaves a notification to the
// next. There are no spurious wake-ups, but one that was left behind. Notified in the order of
// coming. It may be destroyed as soon as all who wait have been notified.
// Throws system_error, operation_not_permitted, if the lock is not the caller's.
class UVLET_API condition_variable {
 public:
  condition_variable() = default;
  condition_variable(const condition_variable&) = delete;
  condition_variable& operator=(const condition_variable&) = delete;

  void notify_one() noexcept;  // Never switches.
  void notify_all() noexcept;  // Never switches.

  // Blocks the green thread. Cancel point.
  template <class L>
  void wait(L& lock) {
    detail::give_up(lock);
    try {
      uvlet::block(detail::Notified(*this));
    } catch (...) {
      detail::take_back(lock);
      throw;
    }
    detail::take_back(lock);
  }
  // Blocks the green thread. Cancel point.
  template <class L, class Predicate>
  void wait(L& lock, Predicate predicate) {
    uvlet::notice_blocking_call();
    while (!predicate()) wait(lock);
  }
  // Blocks the green thread. Cancel point.
  template <class L>
  std::cv_status wait_for(L& lock, Duration time) {
    detail::give_up(lock);
    std::cv_status status;
    try {
      status = uvlet::block(detail::NotifiedWithin(time, *this));
    } catch (...) {
      detail::take_back(lock);
      throw;
    }
    detail::take_back(lock);
    return status;
  }
  // What the predicate says in the end. Blocks the green thread. Cancel point.
  template <class L, class Predicate>
  bool wait_for(L& lock, Duration time, Predicate predicate) {
    uvlet::notice_blocking_call();
    uvlet::Hub& hub = uvlet::Hub::get();
    const uvlet::Time deadline = deadline_after(hub.now(), time);
    while (!predicate()) {
      if (wait_for(lock, remaining(hub, deadline)) == std::cv_status::timeout) return predicate();
    }
    return true;
  }
  // Blocks the green thread. Cancel point.
  template <class L, class Clock, class Length>
  std::cv_status wait_until(L& lock, std::chrono::time_point<Clock, Length> then) {
    return wait_for(lock, detail::time_until(then));
  }
  // Blocks the green thread. Cancel point.
  template <class L, class Clock, class Length, class Predicate>
  bool wait_until(L& lock, std::chrono::time_point<Clock, Length> then, Predicate predicate) {
    return wait_for(lock, detail::time_until(then), std::move(predicate));
  }

  // The same in a coroutine; the lock, and this, must outlive the task.
  template <class L>
  aio::task<void> wait_async(L& lock) {
    detail::give_up(lock);
    std::exception_ptr error;
    try {
      co_await detail::Notified(*this);
    } catch (...) {
      error = std::current_exception();
    }
    detail::take_back(lock);
    if (error) std::rethrow_exception(error);
  }
  template <class L, class Predicate>
  aio::task<void> wait_async(L& lock, Predicate predicate) {
    while (!predicate()) co_await wait_async(lock);
  }
  template <class L>
  aio::task<std::cv_status> wait_for_async(L& lock, Duration time) {
    detail::give_up(lock);
    std::exception_ptr error;
    std::cv_status status = std::cv_status::timeout;
    try {
      status = co_await detail::NotifiedWithin(time, *this);
    } catch (...) {
      error = std::current_exception();
    }
    detail::take_back(lock);
    if (error) std::rethrow_exception(error);
    co_return status;
  }
  template <class L, class Predicate>
  aio::task<bool> wait_for_async(L& lock, Duration time, Predicate predicate) {
    const uvlet::Time deadline = deadline_after(uvlet::Hub::get().now(), time);
    while (!predicate()) {
      const Duration left = remaining(uvlet::Hub::get(), deadline);
      const std::cv_status status = co_await wait_for_async(lock, left);
      if (status == std::cv_status::timeout) co_return predicate();
    }
    co_return true;
  }
  template <class L, class Clock, class Length>
  aio::task<std::cv_status> wait_until_async(L& lock, std::chrono::time_point<Clock, Length> then) {
    co_return co_await wait_for_async(lock, detail::time_until(then));
  }
  template <class L, class Clock, class Length, class Predicate>
  aio::task<bool> wait_until_async(L& lock, std::chrono::time_point<Clock, Length> then,
                                   Predicate predicate) {
    co_return co_await wait_for_async(lock, detail::time_until(then), std::move(predicate));
  }

 private:
  friend class detail::NotifyWait;
  static Duration remaining(const uvlet::Hub& hub, uvlet::Time deadline) {
    if (deadline == uvlet::never) return Duration::forever();
    return std::chrono::nanoseconds(deadline - hub.now());
  }

  uvlet::List<uvlet::Waiter> line_;
  uvlet::List<uvlet::Waiter> notified_;  // alone, and have not run since
};

using condition_variable_any = condition_variable;

}  // namespace green
