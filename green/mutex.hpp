#pragma once

// Mutual exclusion with the standard library's names and meanings, for code written with threads.
// They work with std::lock_guard, std::unique_lock, std::scoped_lock and std::shared_lock. Their
// owner is a green thread or a top-level task, with all the coroutines that are part of it; a
// coroutine of another library owns nothing: anybody may unlock what it has locked, and it may
// unlock anything; what it locks before its first wait belongs to who runs it.

#include <green/greenthread.hpp>
#include <uvlet/permits.hpp>
#include <uvlet/time_limit.hpp>

#include <chrono>
#include <cstdint>
#include <utility>

namespace green {
namespace detail {

// Who owns a lock: the id of a Root; 0: nobody.
using Owner = std::uint64_t;
inline constexpr Owner anybody = ~Owner{0};
UVLET_INLINE Owner caller() {
  const uvlet::Root& root = *uvlet::Hub::get().running();
  return root.kind == uvlet::Root::Kind::foreign ? anybody : root.id;
}

[[noreturn]] UVLET_API UVLET_COLD void refuse_unlock();
[[noreturn]] UVLET_API UVLET_COLD void refuse_lock();  // its owner would wait for itself

UVLET_INLINE void require_unlocker(Owner owner) {
  const Owner self = caller();
  if (owner != self && (owner == 0 || (owner != anybody && self != anybody))) [[unlikely]]
    refuse_unlock();
}

// How long it is until then, on that clock.
template <class Clock, class Length>
Duration time_until(std::chrono::time_point<Clock, Length> then) {
  return Duration(then - Clock::now());
}

// One permit, and who has it. While it is granted to somebody who has not run yet it is nobody's.
class Ownership {
 public:
  UVLET_INLINE bool try_take() {
    if (!permits_.try_take()) return false;
    owner_ = caller();
    return true;
  }
  void taken() { owner_ = caller(); }
  UVLET_INLINE void give() {
    require_unlocker(owner_);
    owner_ = 0;
    permits_.put();
  }
  bool is_callers() const { return owner_ == caller() && owner_ != anybody; }
  bool belongs_to(const uvlet::Root& root) const noexcept {
    return owner_ == root.id && root.kind != uvlet::Root::Kind::foreign;
  }
  uvlet::Permits& permits() noexcept { return permits_; }

 private:
  uvlet::Permits permits_{1};
  Owner owner_ = 0;
};

// The wait for a mutex.
class MutexWait : public uvlet::PermitWait {
 public:
  explicit MutexWait(Ownership& ownership) noexcept
      : PermitWait(ownership.permits()), ownership_(&ownership) {}
  MutexWait(MutexWait&&) noexcept = default;
  void suspend(uvlet::Hub& hub) {
    if (ownership_->belongs_to(*root())) refuse_lock();
    PermitWait::suspend(hub);
  }
  const char* describe() const noexcept override { return "a mutex"; }

 protected:
  bool own() {
    if (!take()) return false;
    ownership_->taken();
    return true;
  }
  Ownership* ownership_;
};

// The same for one that its owner may lock again.
class RecursiveWait : public MutexWait {
 public:
  RecursiveWait(Ownership& ownership, unsigned& depth) noexcept
      : MutexWait(ownership), depth_(&depth) {}
  RecursiveWait(RecursiveWait&&) noexcept = default;
  bool ready() {
    again_ = ownership_->is_callers();
    return again_ || PermitWait::ready();
  }

 protected:
  bool own() {
    if (!again_ && !MutexWait::own()) return false;
    ++*depth_;
    return true;
  }

 private:
  unsigned* depth_;
  bool again_ = false;
};

class SharedCore;

// The wait for a shared_mutex.
class UVLET_API SharedWait : public uvlet::Waiter {
 public:
  SharedWait(SharedCore& core, bool exclusive) noexcept : core_(&core), exclusive_(exclusive) {}
  SharedWait(SharedWait&& other) noexcept
      : Waiter(std::move(other)),
        core_(other.core_),
        exclusive_(other.exclusive_),
        granted_(std::exchange(other.granted_, false)) {}

  bool ready() noexcept;
  void suspend(uvlet::Hub&);
  uvlet::Cancel cancel() noexcept override {
    leave();
    return uvlet::Cancel::done;
  }
  bool give_up() noexcept {
    if (granted_) return false;
    leave();
    return true;
  }
  const char* describe() const noexcept override { return "a shared mutex"; }

 protected:
  ~SharedWait() { leave(); }
  bool own();

 private:
  friend class SharedCore;
  void leave() noexcept;

  SharedCore* core_;
  bool exclusive_;
  bool granted_ = false;
};

// Who has a shared_mutex, and the line of those who want it: served in the order of coming, readers
// that stand side by side together.
class UVLET_API SharedCore {
 public:
  UVLET_INLINE bool try_exclusive() {
    if (writing_ || readers_ > 0 || !line_.empty()) return false;
    writing_ = true;
    owner_ = caller();
    return true;
  }
  UVLET_INLINE bool try_shared() {
    if (writing_ || !line_.empty()) return false;
    ++readers_;
    return true;
  }
  UVLET_INLINE void unlock() {
    require_unlocker(owner_);
    owner_ = 0;
    release(true);
  }
  UVLET_INLINE void unlock_shared() {
    if (readers_ == 0) [[unlikely]]
      refuse_unlock();
    release(false);
  }

 private:
  friend class SharedWait;
  UVLET_INLINE void release(bool exclusive) noexcept {
    if (exclusive)
      writing_ = false;
    else
      --readers_;
    if (!line_.empty()) [[unlikely]]
      grant();
  }
  void grant() noexcept;

  // Invariant: the first in the line cannot have it now.
  bool writing_ = false;  // taken by a writer, or granted to one
  int readers_ = 0;       // the same for readers
  Owner owner_ = 0;       // the writer
  uvlet::List<uvlet::Waiter> line_;
};

// A lock that is waited for without an end, and within a limit: then false if that passed first.
template <class Wait>
class Lock final : public uvlet::Operation<Lock<Wait>, Wait> {
 public:
  using uvlet::Operation<Lock, Wait>::Operation;
  Lock(Lock&&) noexcept = default;
  void result() { this->own(); }
};
template <class Wait>
class LockWithin final : public uvlet::LimitedOperation<LockWithin<Wait>, Wait> {
 public:
  using uvlet::LimitedOperation<LockWithin, Wait>::LimitedOperation;
  LockWithin(LockWithin&&) noexcept = default;
  bool ready() { return Wait::ready() || this->limit() == Duration(0); }
  bool result() { return this->own() || (Wait::ready() && this->own()); }
};

}  // namespace detail

// std::mutex. Served in the order of coming: who is first in the line gets it from who unlocks it.
// Throws system_error: resource_deadlock_would_occur if its owner locks it again,
// operation_not_permitted if another unlocks it. Must outlive who waits.
class mutex {
 public:
  mutex() = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  // Blocks the green thread. Cancel point.
  UVLET_INLINE void lock() {
    uvlet::notice_blocking_call();
    if (ownership_.try_take()) [[likely]]
      return;
    uvlet::block(lock_async());
  }
  detail::Lock<detail::MutexWait> lock_async() noexcept {
    return detail::Lock<detail::MutexWait>(ownership_);
  }
  UVLET_INLINE bool try_lock() { return ownership_.try_take(); }
  UVLET_INLINE void unlock() { ownership_.give(); }

 protected:
  detail::Ownership ownership_;
};

// std::timed_mutex: a mutex that one can stop waiting for.
class timed_mutex : public mutex {
 public:
  // False if the time was over first; with 0, at once. Blocks the green thread. Cancel point.
  bool try_lock_for(Duration time) { return uvlet::block(try_lock_for_async(time)); }
  detail::LockWithin<detail::MutexWait> try_lock_for_async(Duration time) {
    return detail::LockWithin<detail::MutexWait>(time, ownership_);
  }
  // Blocks the green thread. Cancel point.
  template <class Clock, class Length>
  bool try_lock_until(std::chrono::time_point<Clock, Length> then) {
    return try_lock_for(detail::time_until(then));
  }
  template <class Clock, class Length>
  detail::LockWithin<detail::MutexWait> try_lock_until_async(
      std::chrono::time_point<Clock, Length> then) {
    return try_lock_for_async(detail::time_until(then));
  }
};

// std::recursive_mutex: its owner may lock it again, and unlocks it as often. It has the timed
// members of std::recursive_timed_mutex as well. Throws system_error, operation_not_permitted, if
// another unlocks it.
class recursive_mutex {
 public:
  recursive_mutex() = default;
  recursive_mutex(const recursive_mutex&) = delete;
  recursive_mutex& operator=(const recursive_mutex&) = delete;

  // Blocks the green thread. Cancel point.
  UVLET_INLINE void lock() {
    uvlet::notice_blocking_call();
    if (!try_lock()) [[unlikely]]
      uvlet::block(lock_async());
  }
  detail::Lock<detail::RecursiveWait> lock_async() noexcept {
    return detail::Lock<detail::RecursiveWait>(ownership_, depth_);
  }
  UVLET_INLINE bool try_lock() {
    if (!ownership_.try_take() && !ownership_.is_callers()) return false;
    ++depth_;
    return true;
  }
  UVLET_INLINE void unlock() {
    if (depth_ > 1 && ownership_.is_callers()) {
      --depth_;
      return;
    }
    ownership_.give();
    depth_ = 0;
  }

  // False if the time was over first; with 0, at once. Blocks the green thread. Cancel point.
  bool try_lock_for(Duration time) { return uvlet::block(try_lock_for_async(time)); }
  detail::LockWithin<detail::RecursiveWait> try_lock_for_async(Duration time) {
    return detail::LockWithin<detail::RecursiveWait>(time, ownership_, depth_);
  }
  // Blocks the green thread. Cancel point.
  template <class Clock, class Length>
  bool try_lock_until(std::chrono::time_point<Clock, Length> then) {
    return try_lock_for(detail::time_until(then));
  }
  template <class Clock, class Length>
  detail::LockWithin<detail::RecursiveWait> try_lock_until_async(
      std::chrono::time_point<Clock, Length> then) {
    return try_lock_for_async(detail::time_until(then));
  }

 private:
  detail::Ownership ownership_;
  unsigned depth_ = 0;
};

// std::shared_mutex: one writer, or any number of readers. Served in the order of coming, so that
// readers who keep coming do not starve a writer. It has the timed members of
// std::shared_timed_mutex as well. Throws system_error: resource_deadlock_would_occur if the writer
// locks it again, operation_not_permitted for unlocking what the caller, or no reader, has locked.
class shared_mutex {
 public:
  shared_mutex() = default;
  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;

  // Blocks the green thread. Cancel point.
  UVLET_INLINE void lock() {
    uvlet::notice_blocking_call();
    if (!core_.try_exclusive()) [[unlikely]]
      uvlet::block(lock_async());
  }
  detail::Lock<detail::SharedWait> lock_async() noexcept {
    return detail::Lock<detail::SharedWait>(core_, true);
  }
  UVLET_INLINE bool try_lock() { return core_.try_exclusive(); }
  UVLET_INLINE void unlock() { core_.unlock(); }
  // Blocks the green thread. Cancel point.
  UVLET_INLINE void lock_shared() {
    uvlet::notice_blocking_call();
    if (!core_.try_shared()) [[unlikely]]
      uvlet::block(lock_shared_async());
  }
  detail::Lock<detail::SharedWait> lock_shared_async() noexcept {
    return detail::Lock<detail::SharedWait>(core_, false);
  }
  UVLET_INLINE bool try_lock_shared() { return core_.try_shared(); }
  UVLET_INLINE void unlock_shared() { core_.unlock_shared(); }

  // False if the time was over first; with 0, at once. Blocks the green thread. Cancel point.
  bool try_lock_for(Duration time) { return uvlet::block(try_lock_for_async(time)); }
  bool try_lock_shared_for(Duration time) { return uvlet::block(try_lock_shared_for_async(time)); }
  detail::LockWithin<detail::SharedWait> try_lock_for_async(Duration time) {
    return detail::LockWithin<detail::SharedWait>(time, core_, true);
  }
  detail::LockWithin<detail::SharedWait> try_lock_shared_for_async(Duration time) {
    return detail::LockWithin<detail::SharedWait>(time, core_, false);
  }
  // Blocks the green thread. Cancel point.
  template <class Clock, class Length>
  bool try_lock_until(std::chrono::time_point<Clock, Length> then) {
    return try_lock_for(detail::time_until(then));
  }
  template <class Clock, class Length>
  detail::LockWithin<detail::SharedWait> try_lock_until_async(
      std::chrono::time_point<Clock, Length> then) {
    return try_lock_for_async(detail::time_until(then));
  }
  template <class Clock, class Length>
  bool try_lock_shared_until(std::chrono::time_point<Clock, Length> then) {
    return try_lock_shared_for(detail::time_until(then));
  }
  template <class Clock, class Length>
  detail::LockWithin<detail::SharedWait> try_lock_shared_until_async(
      std::chrono::time_point<Clock, Length> then) {
    return try_lock_shared_for_async(detail::time_until(then));
  }

 private:
  detail::SharedCore core_;
};

}  // namespace green
