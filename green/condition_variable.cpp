#include <green/condition_variable.hpp>

#include <system_error>

namespace green {
namespace detail {

void refuse_wait() {
  throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                          "a condition variable was waited for without its lock");
}

void NotifyWait::suspend(uvlet::Hub&) noexcept { condition_->line_.push_back(this); }

// Not in a list after its notification: all were notified, or the condition variable is gone.
uvlet::Cancel NotifyWait::cancel() noexcept {
  const bool pass_on = notified_ && linked();
  unlink();
  if (pass_on) condition_->notify_one();
  return uvlet::Cancel::done;
}

}  // namespace detail

void condition_variable::notify_one() noexcept {
  if (line_.empty()) return;
  auto* first = static_cast<detail::NotifyWait*>(line_.front());
  first->notified_ = true;
  first->wake();
  notified_.push_back(first);
}

void condition_variable::notify_all() noexcept {
  while (!line_.empty()) {
    auto* first = static_cast<detail::NotifyWait*>(line_.front());
    first->notified_ = true;
    first->wake();
  }
}

}  // namespace green
