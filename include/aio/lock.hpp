#pragma once

#include <aio/semaphore.hpp>
#include <uvlet/permits.hpp>

#include <stdexcept>

namespace aio {

// Mutual exclusion; it has no owner, who releases it need not be who acquired it. In the order of
// asking. Must outlive who waits. Source: asyncio.Lock.
class Lock {
 public:
  Lock() noexcept = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  // Waits until it is free, and takes it; true, always.
  detail::Acquire acquire() noexcept { return detail::Acquire(permit_, "an aio::Lock"); }
  // Hands it to the first who waits. Never switches. Throws logic_error if it is not locked.
  void release() {
    if (!locked()) throw std::logic_error("a Lock that is not locked was released");
    permit_.put();
  }
  bool locked() const noexcept { return permit_.count() <= 0; }

  // For std::lock_guard with std::adopt_lock.
  void unlock() { release(); }

 private:
  uvlet::Permits permit_{1};
};

}  // namespace aio
