#include <green/mutex.hpp>

#include <system_error>

namespace green::detail {

void refuse_unlock() {
  throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                          "a lock was released by one who does not have it");
}

void refuse_lock() {
  throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                          "a mutex was locked by its owner");
}

bool SharedWait::ready() noexcept {
  if (core_->writing_ || !core_->line_.empty() || (exclusive_ && core_->readers_ > 0)) return false;
  if (exclusive_)
    core_->writing_ = true;
  else
    ++core_->readers_;
  return granted_ = true;
}

void SharedWait::suspend(uvlet::Hub&) {
  if (core_->owner_ == root()->id && root()->kind != uvlet::Root::Kind::foreign) refuse_lock();
  core_->line_.push_back(this);
}

bool SharedWait::own() {
  if (!std::exchange(granted_, false)) return false;
  if (exclusive_) core_->owner_ = caller();
  return true;
}

// A writer that leaves the line may have kept readers behind it waiting.
void SharedWait::leave() noexcept {
  if (linked()) {
    unlink();
    core_->grant();
  } else if (std::exchange(granted_, false)) {
    core_->release(exclusive_);
  }
}

void SharedCore::grant() noexcept {
  while (!line_.empty() && !writing_) {
    auto* first = static_cast<SharedWait*>(line_.front());
    if (first->exclusive_ && readers_ > 0) return;
    if (first->exclusive_)
      writing_ = true;
    else
      ++readers_;
    first->granted_ = true;
    first->wake();
  }
}

}  // namespace green::detail
