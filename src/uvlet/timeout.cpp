#include <uvlet/timeout.hpp>

#include <atomic>

namespace uvlet::inline UVLET_ABI {
namespace {
std::atomic<std::uint64_t> last_number{0};
}

Timeout::Timeout(std::optional<Duration> after, std::exception_ptr error, int)
    : after_(after), error_(std::move(error)), number_(++last_number) {
  start();
}

Timeout::~Timeout() { cancel(); }

void Timeout::start() {
  if (pending()) throw std::logic_error("a Timeout that is pending was started; cancel it first");
  cancel();  // one that expired, and waits for the end of a Shield, starts anew
  if (!after_) return;
  Hub& hub = Hub::get();
  Root& root = *hub.running();
  owner_ = root.identify();
  interrupt_.level = hub.next_serial();
  interrupt_.uncaught = hub.thread().exceptions->uncaught;
  interrupt_.error =
      error_ ? error_ : std::make_exception_ptr(TimeoutExpired(after_->seconds(), number_));
  start_timer();
}

void Timeout::start_timer() {
  Hub& hub = Hub::get();
  expired_ = false;
  if (after_->seconds() > 0)
    hub.timers.start(*this, deadline_after(hub.now(), *after_));
  else
    expire();
}

void Timeout::reschedule(Duration after) {
  if (expired_) throw std::logic_error("a Timeout that has expired was rescheduled");
  cancel_timer();
  after_ = after;
  if (owner_)
    start_timer();
  else
    start();
}

void Timeout::cancel() noexcept {
  cancel_timer();
  if (interrupt_.queued()) owner_->root->withdraw(interrupt_);
}

void Timeout::expire() noexcept {
  expired_ = true;
  if (owner_->root) owner_->root->interrupt(interrupt_);
}

Shield::Shield() {
  if (Hub* hub = Hub::existing()) {
    owner_ = hub->running()->identify();
    ++owner_->root->shields;
  }
}

Shield::~Shield() {
  if (!owner_ || !owner_->root) return;
  Root& root = *owner_->root;
  if (--root.shields == 0 && root.attention) root.deliver();
}

}  // namespace uvlet::inline UVLET_ABI
