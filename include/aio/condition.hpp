#pragma once

#include <aio/lock.hpp>
#include <aio/task.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace aio {

// "Something changed, look again", for what a Lock protects: its own Lock, or one that others use
// too. Must outlive who waits. Source: asyncio.Condition.
class Condition {
 public:
  Condition() : lock_(&own_.emplace()) {}
  explicit Condition(Lock& lock) noexcept : lock_(&lock) {}
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  detail::Acquire acquire() noexcept { return lock_->acquire(); }
  void release() { lock_->release(); }
  bool locked() const noexcept { return lock_->locked(); }

  // Releases the lock, waits for a notification, and has the lock again when it ends, however it
  // ends: what interrupts it while it waits for the lock is thrown at the next wait. True, always.
  // Throws logic_error if the lock is not held.
  UVLET_API task<bool> wait();
  // Waits until predicate() is true; gives what it gave.
  template <class P>
  task<std::invoke_result_t<P&>> wait_for(P predicate) {
    for (;;) {
      auto result = predicate();
      if (result) co_return result;
      co_await wait();
    }
  }

  // Wakes the first `count` who wait; who is cancelled before it runs leaves its place to the next.
  // Never switches. Throws logic_error if the lock is not held, invalid_argument for a negative
  // count.
  UVLET_API void notify(int count = 1);
  UVLET_API void notify_all();

  void unlock() { release(); }  // as in Lock

 private:
  class Wait;
  void require_locked(const char* call) const;
  bool wake_first() noexcept;

  std::optional<Lock> own_;
  Lock* lock_;
  uvlet::List<uvlet::Waiter> waiting_;
};

}  // namespace aio
