#pragma once

#include <aio/task.hpp>
#include <uvlet/permits.hpp>

#include <limits>
#include <stdexcept>

namespace aio {
namespace detail {

class [[nodiscard]] Acquire final : public uvlet::Operation<Acquire, uvlet::PermitWait> {
 public:
  Acquire(uvlet::Permits& permits, const char* what) noexcept : Operation(permits), what_(what) {}
  Acquire(Acquire&&) noexcept = default;
  bool result() noexcept { return take(); }
  const char* describe() const noexcept override { return what_; }

 private:
  const char* what_;
};

}  // namespace detail

// A count of permits: acquire takes one, and waits while there is none. In the order of asking:
// nobody overtakes who waits. Must outlive who waits. Source: asyncio.Semaphore.
class Semaphore {
 public:
  // Throws invalid_argument for a negative value.
  explicit Semaphore(int value = 1) : Semaphore(value, std::numeric_limits<int>::max()) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // Waits for a permit; true, always.
  detail::Acquire acquire() noexcept { return detail::Acquire(permits_, "an aio::Semaphore"); }
  // Hands a permit to the first who waits, else adds one. Never switches. Throws invalid_argument
  // beyond the largest int, and a BoundedSemaphore beyond its first value.
  void release() {
    if (permits_.count() >= limit_)
      throw std::invalid_argument("a Semaphore was released too many times");
    permits_.put();
  }
  bool locked() const noexcept { return permits_.count() <= 0; }  // acquire would wait

 protected:
  Semaphore(int value, int limit) : permits_(value), limit_(limit) {
    if (value < 0) throw std::invalid_argument("the value of a Semaphore is negative");
  }

 private:
  uvlet::Permits permits_;
  int limit_;
};

// A Semaphore that cannot be released more often than it was acquired. Source:
// asyncio.BoundedSemaphore.
class BoundedSemaphore : public Semaphore {
 public:
  explicit BoundedSemaphore(int value = 1) : Semaphore(value, value) {}
};

}  // namespace aio
