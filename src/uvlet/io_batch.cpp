#include "io_batch.hpp"

#include "watch.hpp"

#include <uvlet/scratch.hpp>

#include <new>
#include <utility>

namespace uvlet::inline UVLET_ABI {
namespace {

// Places whose first bytes do not share the sets of a cache.
constexpr std::size_t place_bytes = scratch_bytes + 5 * 64;

Direction direction_of(const SocketCall& call) noexcept {
  return call.sends ? Direction::write : Direction::read;
}

}  // namespace

IoBatch::IoBatch() noexcept = default;
IoBatch::~IoBatch() = default;

bool IoBatch::have_ring() noexcept {
  if (!std::exchange(asked_for_ring_, true)) ring_ = Uring::make();
  return ring_ != nullptr;
}

char* IoBatch::place(unsigned number) noexcept {
  if (!places_) places_.reset(new (std::nothrow) char[requests_max * place_bytes]);
  return places_ ? places_.get() + number * place_bytes : nullptr;
}

void IoBatch::note(Watch& watch, const SocketCall& call, int place) noexcept {
  watch.descriptor->batched_[static_cast<int>(direction_of(call))] =
      static_cast<std::int8_t>(place);
}

bool IoBatch::add(Watch& watch, Direction direction) noexcept {
  if (count_ == requests_max) run();
  Descriptor& descriptor = *watch.descriptor;
  IoRequest* request = descriptor.requests_[static_cast<int>(direction)];
  if (!request || descriptor.transport_ || descriptor.simulated_) return false;
  SocketCall& call = calls_[count_] = {};
  if (!request->next_call(call)) return false;
  if (!call.data) {
    if (call.bytes > scratch_bytes) return false;
    call.data = place(count_);
    if (!call.data) return false;
  }
  call.fd = descriptor.fd_;
  call.sends = direction == Direction::write;
  note(watch, call, static_cast<int>(count_));
  watches_[count_++] = &watch;
  return true;
}

void IoBatch::run() noexcept {
  close_gaps();
  const unsigned count = std::exchange(count_, 0);
  unsigned made = 0;
  if (count > 1 && ring_) {
    made = ring_->make(calls_, count);
    if (made == 0) give_up_ring();
  }
  for (unsigned i = 0; i < count; ++i) note(*watches_[i], calls_[i], -1);
  for (unsigned i = 0; i < count; ++i)
    watches_[i]->serve_batched(direction_of(calls_[i]), i < made ? &calls_[i] : nullptr);
}

// It takes nothing any more: it is closed, or forbidden.
void IoBatch::give_up_ring() noexcept {
  ring_.reset();
  open_ = false;
}

// Those that were removed leave no gap: the kernel takes calls in a row.
void IoBatch::close_gaps() noexcept {
  unsigned kept = 0;
  for (unsigned i = 0; i < count_; ++i) {
    if (!watches_[i]) continue;
    if (kept < i) {
      watches_[kept] = watches_[i];
      calls_[kept] = calls_[i];
      note(*watches_[kept], calls_[kept], static_cast<int>(kept));
    }
    ++kept;
  }
  count_ = kept;
}

}  // namespace uvlet::inline UVLET_ABI
