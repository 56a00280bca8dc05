#pragma once

#include <green/greenthread.hpp>
#include <uvlet/waiter.hpp>

#include <cstddef>
#include <limits>

namespace green {

class latch;

namespace detail {

// The wait for a latch; with `arriving`, counting it down first.
class UVLET_API LatchWait final : public uvlet::Operation<LatchWait> {
 public:
  LatchWait(latch& target, std::ptrdiff_t arriving) noexcept
      : latch_(&target), arriving_(arriving) {}
  LatchWait(LatchWait&&) noexcept = default;
  bool ready();
  void suspend(uvlet::Hub&) noexcept;
  void result() const noexcept {}
  uvlet::Cancel cancel() noexcept override {
    unlink();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "a latch"; }

 private:
  latch* latch_;
  std::ptrdiff_t arriving_;
};

}  // namespace detail

// std::latch: those who wait go on when it has been counted down to zero, once and for good. One
// that is interrupted in arrive_and_wait has arrived.
class UVLET_API latch {
 public:
  // Throws invalid_argument for a negative number.
  explicit latch(std::ptrdiff_t expected);
  latch(const latch&) = delete;
  latch& operator=(const latch&) = delete;

  // Never switches. Throws invalid_argument for a negative number, or one above what is left.
  void count_down(std::ptrdiff_t by = 1);
  bool try_wait() const noexcept { return left_ == 0; }
  // Blocks the green thread. Cancel point.
  void wait() const { uvlet::block(wait_async()); }
  // Blocks the green thread. Cancel point.
  void arrive_and_wait(std::ptrdiff_t by = 1) { uvlet::block(arrive_and_wait_async(by)); }
  detail::LatchWait wait_async() const noexcept { return {const_cast<latch&>(*this), 0}; }
  detail::LatchWait arrive_and_wait_async(std::ptrdiff_t by = 1) noexcept { return {*this, by}; }

  static constexpr std::ptrdiff_t max() noexcept {
    return std::numeric_limits<std::ptrdiff_t>::max();
  }

 private:
  friend class detail::LatchWait;
  std::ptrdiff_t left_;
  uvlet::List<uvlet::Waiter> line_;  // empty when nothing is left
};

}  // namespace green
