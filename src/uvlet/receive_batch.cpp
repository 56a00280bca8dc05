#include "receive_batch.hpp"

#include "watch.hpp"

#include <uvlet/scratch.hpp>

#include <cassert>
#include <new>
#include <utility>

namespace uvlet::inline UVLET_ABI {
namespace {

// Places whose first bytes do not share the sets of a cache.
constexpr std::size_t place_bytes = scratch_bytes + 5 * 64;

}  // namespace

ReceiveBatch::ReceiveBatch() noexcept = default;
ReceiveBatch::~ReceiveBatch() = default;

bool ReceiveBatch::have_ring() noexcept {
  if (!std::exchange(asked_for_ring_, true)) ring_ = Uring::make();
  return ring_ != nullptr;
}

char* ReceiveBatch::place(unsigned number) noexcept {
  if (!places_) places_.reset(new (std::nothrow) char[requests_max * place_bytes]);
  return places_ ? places_.get() + number * place_bytes : nullptr;
}

bool ReceiveBatch::add(Watch& watch) noexcept {
  if (count_ == requests_max) run();
  Descriptor& descriptor = *watch.descriptor;
  IoRequest* const request = descriptor.requests_[static_cast<int>(Direction::read)];
  if (!request || descriptor.transport_ || descriptor.simulated_) return false;
  ReceiveCall& call = calls_[count_] = {};
  if (!request->next_receive(call)) return false;
  if (!call.data && call.bytes <= scratch_bytes) call.data = place(count_);
  if (!call.data) return false;
  call.fd = descriptor.fd_;
  watches_[count_++] = &watch;
  return true;
}

void ReceiveBatch::run() noexcept {
  const unsigned count = std::exchange(count_, 0);
  unsigned made = 0;
  if (count > 1 && ring_) {
    made = ring_->receive(calls_, count);
    if (made == 0) ring_.reset();  // it takes nothing any more: it is forbidden, or the parent's
  }
  for (unsigned i = 0; i < count; ++i) {
    assert(watches_[i]->descriptor && "what completes closes at most its own descriptor");
    watches_[i]->serve(Direction::read, i < made ? &calls_[i] : nullptr);
  }
}

}  // namespace uvlet::inline UVLET_ABI
