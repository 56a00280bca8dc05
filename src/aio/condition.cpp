#include <aio/condition.hpp>
#include <uvlet/timeout.hpp>

namespace aio {

// The wait for a notification. One that is not used goes to the next.
class Condition::Wait final : public uvlet::Operation<Wait> {
 public:
  explicit Wait(Condition& condition) noexcept : condition_(condition) {}
  Wait(Wait&&) noexcept = default;
  ~Wait() { leave(); }

  bool ready() const noexcept { return false; }
  void suspend(uvlet::Hub&) noexcept { condition_.waiting_.push_back(this); }
  void result() noexcept { notified_ = false; }
  uvlet::Cancel cancel() noexcept override {
    leave();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "an aio::Condition"; }

  void be_notified() noexcept {
    notified_ = true;
    wake();
  }

 private:
  void leave() noexcept {
    unlink();
    if (std::exchange(notified_, false)) condition_.wake_first();
  }

  Condition& condition_;
  bool notified_ = false;
};

task<bool> Condition::wait() {
  require_locked("wait");
  std::exception_ptr interrupted;
  try {
    Wait notification(*this);
    lock_->release();
    co_await std::move(notification);
  } catch (...) {
    interrupted = std::current_exception();
  }
  {
    const uvlet::Shield shield;
    co_await lock_->acquire();
  }
  if (interrupted) std::rethrow_exception(interrupted);
  co_return true;
}

void Condition::notify(int count) {
  require_locked("notify");
  if (count < 0)
    throw std::invalid_argument("notify: " + std::to_string(count) + " waiters, less than none");
  while (count-- > 0 && wake_first()) continue;
}

void Condition::notify_all() {
  require_locked("notify_all");
  while (wake_first()) continue;
}

bool Condition::wake_first() noexcept {
  if (waiting_.empty()) return false;
  static_cast<Wait*>(waiting_.pop_front())->be_notified();
  return true;
}

void Condition::require_locked(const char* call) const {
  if (!locked())
    throw std::logic_error(std::string(call) + " on a Condition whose lock is not held");
}

}  // namespace aio
