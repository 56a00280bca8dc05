#include <green/barrier.hpp>

#include <stdexcept>
#include <string>

namespace green::detail {

BarrierCore::BarrierCore(std::ptrdiff_t expected) : expected_(expected), left_(expected) {
  if (expected < 0)
    throw std::invalid_argument("a barrier for " + std::to_string(expected) + " arrivals");
}

bool BarrierCore::arrive(std::ptrdiff_t count, std::ptrdiff_t dropped) {
  if (count <= 0 || count > left_)
    throw std::invalid_argument(std::to_string(count) + " arrived at a barrier, where " +
                                std::to_string(left_) + " are expected still");
  expected_ -= dropped;
  left_ -= count;
  return left_ == 0;
}

void BarrierCore::complete() noexcept {
  left_ = expected_;
  ++phase_;
  while (!line_.empty()) line_.front()->wake();
}

bool BarrierWait::ready() const noexcept { return core_->phase() != phase_; }
void BarrierWait::suspend(uvlet::Hub&) noexcept { core_->line_.push_back(this); }

}  // namespace green::detail
