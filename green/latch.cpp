#include <green/latch.hpp>

#include <stdexcept>
#include <string>

namespace green {

latch::latch(std::ptrdiff_t expected) : left_(expected) {
  if (expected < 0)
    throw std::invalid_argument("a latch for " + std::to_string(expected) + " arrivals");
}

void latch::count_down(std::ptrdiff_t by) {
  if (by < 0 || by > left_)
    throw std::invalid_argument("a latch was counted down by " + std::to_string(by) + " of " +
                                std::to_string(left_) + " that are left");
  left_ -= by;
  while (left_ == 0 && !line_.empty()) line_.front()->wake();
}

namespace detail {

bool LatchWait::ready() {
  if (arriving_ != 0) latch_->count_down(arriving_);
  return latch_->try_wait();
}

void LatchWait::suspend(uvlet::Hub&) noexcept { latch_->line_.push_back(this); }

}  // namespace detail
}  // namespace green
