#include <aio/barrier.hpp>

namespace aio {

Barrier::Barrier(int parties) : parties_(parties) {
  if (parties < 1) throw std::invalid_argument("a Barrier for fewer than one");
}

// The last to come does not wait.
bool Barrier::Wait::ready() noexcept {
  if (barrier_.broken_) return true;
  if (barrier_.waiting_count_ + 1 < barrier_.parties_) return false;
  barrier_.let_go(true);
  index_ = barrier_.parties_ - 1;
  return true;
}

void Barrier::Wait::suspend(uvlet::Hub&) noexcept {
  barrier_.waiting_.push_back(this);
  ++barrier_.waiting_count_;
}

int Barrier::Wait::result() const {
  if (index_ < 0) throw BrokenBarrierError();
  return index_;
}

void Barrier::Wait::leave() noexcept {
  if (!linked()) return;
  unlink();
  --barrier_.waiting_count_;
}

void Barrier::let_go(bool passed) noexcept {
  for (int index = 0; !waiting_.empty(); ++index) {
    Wait* wait = waiting_.pop_front();
    wait->index_ = passed ? index : -1;
    wait->wake();
  }
  waiting_count_ = 0;
}

detail::Done Barrier::abort() noexcept {
  broken_ = true;
  let_go(false);
  return {};
}

detail::Done Barrier::reset() noexcept {
  broken_ = false;
  let_go(false);
  return {};
}

}  // namespace aio
