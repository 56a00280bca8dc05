#include <green/semaphore.hpp>

#include <stdexcept>
#include <string>

namespace green {
namespace {

int checked(int value) {
  if (value < 0)
    throw std::invalid_argument("the value of a Semaphore is negative: " + std::to_string(value));
  return value;
}

int checked(int count, int limit) {
  if (count < 0)
    throw std::invalid_argument("the count of a CappedSemaphore is negative: " +
                                std::to_string(count));
  if (count > limit)
    throw std::invalid_argument("the count of a CappedSemaphore, " + std::to_string(count) +
                                ", is above its limit, " + std::to_string(limit));
  return count;
}

}  // namespace

Semaphore::Semaphore(int value) : Semaphore(value, std::numeric_limits<int>::max()) {}
Semaphore::Semaphore(int value, int limit) : permits_(checked(value)), limit_(limit) {}

void Semaphore::refuse_release() const {
  throw std::invalid_argument(
      "a semaphore was released too many times: its value is at its limit, " +
      std::to_string(limit_));
}

CappedSemaphore::CappedSemaphore(int count, int limit)
    : lower_(checked(count, limit)), upper_(limit - count) {}

bool CappedSemaphore::try_acquire() noexcept {
  if (!lower_.try_take()) return false;
  upper_.put();
  return true;
}

bool CappedSemaphore::try_release() noexcept {
  if (!upper_.try_take()) return false;
  lower_.put();
  return true;
}

namespace detail {

bool SwapWait::ready() noexcept {
  if (!PermitWait::ready()) return false;
  to_->put();
  return true;
}

void SwapWait::suspend(uvlet::Hub& hub) noexcept {
  to_->put();
  PermitWait::suspend(hub);
}

uvlet::Cancel SwapWait::cancel() noexcept {
  if (granted_ && releases_) return uvlet::Cancel::too_late;
  undo();
  return uvlet::Cancel::done;
}

bool SwapWait::give_up() noexcept {
  if (granted_) return false;
  undo();
  return true;
}

void SwapWait::undo() noexcept {
  if (granted_ && releases_) take();
  if (!linked() && !granted_) return;
  to_->take_back();
  leave();
}

}  // namespace detail
}  // namespace green
