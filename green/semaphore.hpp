#pragma once

#include <green/greenthread.hpp>
#include <uvlet/permits.hpp>
#include <uvlet/time_limit.hpp>

#include <limits>

namespace green {
namespace detail {

class SemaphoreAcquire final : public uvlet::Operation<SemaphoreAcquire, uvlet::PermitWait> {
 public:
  using Operation::Operation;
  SemaphoreAcquire(SemaphoreAcquire&&) noexcept = default;
  bool result() noexcept { return take(); }
};

// Acquiring within a limit, with `Wait` a PermitWait: false if no permit is free when it ends.
template <class Wait>
class SemaphoreAcquireWithin final
    : public uvlet::LimitedOperation<SemaphoreAcquireWithin<Wait>, Wait> {
 public:
  using uvlet::LimitedOperation<SemaphoreAcquireWithin, Wait>::LimitedOperation;
  SemaphoreAcquireWithin(SemaphoreAcquireWithin&&) noexcept = default;
  bool ready() noexcept { return Wait::ready() || this->limit() == Duration(0); }
  bool result() noexcept { return this->take() || (Wait::ready() && this->take()); }
};

// Takes a permit on one side of a CappedSemaphore for one that it puts on the other. Waiting, it
// has put its own already.
class UVLET_API SwapWait : public uvlet::PermitWait {
 public:
  SwapWait(uvlet::Permits& from, uvlet::Permits& to, bool releases) noexcept
      : PermitWait(from), to_(&to), releases_(releases) {}
  SwapWait(SwapWait&&) noexcept = default;

  bool ready() noexcept;
  void suspend(uvlet::Hub& hub) noexcept;
  uvlet::Cancel cancel() noexcept override;
  bool give_up() noexcept;

 protected:
  ~SwapWait() { undo(); }

 private:
  void undo() noexcept;

  uvlet::Permits* to_;
  bool releases_;  // once granted it has happened: somebody else has taken what it put
};

class CappedAcquire final : public uvlet::Operation<CappedAcquire, SwapWait> {
 public:
  using Operation::Operation;
  CappedAcquire(CappedAcquire&&) noexcept = default;
  bool result() noexcept { return take(); }
};

class CappedRelease final : public uvlet::Operation<CappedRelease, SwapWait> {
 public:
  using Operation::Operation;
  CappedRelease(CappedRelease&&) noexcept = default;
  void result() noexcept { take(); }
};

}  // namespace detail

// A count of permits: acquire takes one, and waits while there is none. Strictly in the order of
// asking: nobody overtakes who waits, and a permit that is released goes to the first of them.
// Lockable, as std::lock_guard wants it. Must outlive who waits. Source:
// eventlet.semaphore.Semaphore.
class UVLET_API Semaphore {
 public:
  // Throws invalid_argument for a negative value.
  explicit Semaphore(int value = 1);
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // True, always. Blocks the green thread. Cancel point.
  UVLET_INLINE bool acquire() {
    uvlet::notice_blocking_call();
    if (permits_.try_take()) [[likely]]
      return true;
    return uvlet::block(acquire_async());
  }
  detail::SemaphoreAcquire acquire_async() noexcept { return detail::SemaphoreAcquire(permits_); }
  bool try_acquire() noexcept { return permits_.try_take(); }
  // False when the time is over first; with 0, at once. Blocks the green thread. Cancel point.
  bool try_acquire_for(Duration timeout) { return uvlet::block(try_acquire_for_async(timeout)); }
  detail::SemaphoreAcquireWithin<uvlet::PermitWait> try_acquire_for_async(Duration timeout) {
    return detail::SemaphoreAcquireWithin<uvlet::PermitWait>(timeout, permits_);
  }

  // Hands a permit to the first who waits, else adds one. Never switches. Throws invalid_argument
  // beyond the largest int, and a BoundedSemaphore beyond its first value.
  void release() {
    if (permits_.count() >= limit_) [[unlikely]]
      refuse_release();
    permits_.put();
  }

  bool locked() const noexcept { return permits_.count() <= 0; }  // acquire would wait
  bool bounded() const noexcept { return false; }                 // release would wait
  // Permits that are free; below zero, minus the number of those who wait.
  int balance() const noexcept { return permits_.count() - permits_.waiting(); }
  int counter() const noexcept { return permits_.count(); }

  UVLET_INLINE void lock() { acquire(); }  // Blocks the green thread. Cancel point.
  bool try_lock() noexcept { return try_acquire(); }
  void unlock() { release(); }

 protected:
  Semaphore(int value, int limit);

 private:
  [[noreturn]] UVLET_COLD void refuse_release() const;

  uvlet::Permits permits_;
  int limit_;  // of the counter
};

// A Semaphore whose counter never exceeds its first value: releasing too often throws
// invalid_argument, and changes nothing. Source: eventlet.semaphore.BoundedSemaphore.
class BoundedSemaphore : public Semaphore {
 public:
  explicit BoundedSemaphore(int value = 1) : Semaphore(value, value) {}
};

// A count between 0 and a limit: acquire waits at 0, release waits at the limit. With a limit of 0
// each waits for the other. A release that is killed while it waits has not happened. Must outlive
// who waits. Source: eventlet.semaphore.CappedSemaphore.
class UVLET_API CappedSemaphore {
 public:
  // Throws invalid_argument unless 0 <= count <= limit.
  explicit CappedSemaphore(int count, int limit);
  CappedSemaphore(const CappedSemaphore&) = delete;
  CappedSemaphore& operator=(const CappedSemaphore&) = delete;

  // True, always. Blocks the green thread. Cancel point.
  bool acquire() { return uvlet::block(acquire_async()); }
  detail::CappedAcquire acquire_async() noexcept { return {lower_, upper_, false}; }
  bool try_acquire() noexcept;
  // False when the time is over first; with 0, at once. Blocks the green thread. Cancel point.
  bool try_acquire_for(Duration timeout) { return uvlet::block(try_acquire_for_async(timeout)); }
  detail::SemaphoreAcquireWithin<detail::SwapWait> try_acquire_for_async(Duration timeout) {
    return detail::SemaphoreAcquireWithin<detail::SwapWait>(timeout, lower_, upper_, false);
  }

  // At the limit it waits for room. Blocks the green thread. Cancel point.
  void release() { uvlet::block(release_async()); }
  detail::CappedRelease release_async() noexcept { return {upper_, lower_, true}; }
  bool try_release() noexcept;

  bool locked() const noexcept { return lower_.count() <= 0; }   // acquire would wait
  bool bounded() const noexcept { return upper_.count() <= 0; }  // release would wait
  // What can be acquired minus what can be released; who waits counts.
  int balance() const noexcept {
    return (lower_.count() - lower_.waiting()) - (upper_.count() - upper_.waiting());
  }

  void lock() { acquire(); }  // Blocks the green thread. Cancel point.
  bool try_lock() noexcept { return try_acquire(); }
  void unlock() { release(); }  // As release(). Blocks the green thread. Cancel point.

 private:
  uvlet::Permits lower_;  // to acquire
  uvlet::Permits upper_;  // to release
};

}  // namespace green
