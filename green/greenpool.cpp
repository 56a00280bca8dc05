#include <green/greenpool.hpp>

namespace green {
namespace detail {
namespace {

int checked(int places) {
  if (places < 0)
    throw std::invalid_argument("the size of a GreenPool is negative: " + std::to_string(places));
  return places;
}

}  // namespace

PoolCore::PoolCore(int places) : size(checked(places)) {}

void PoolCore::resize(int places) {
  size = checked(places);
  grant();
}

void PoolCore::release() noexcept {
  --running;
  grant();
  if (running == 0) idle.notify_all();
}

void PoolCore::grant() noexcept {
  while (running < size && !spawners.empty()) {
    ++running;
    static_cast<SlotWait*>(spawners.front())->grant();
  }
}

int PoolCore::waiting() const noexcept {
  int count = 0;
  for (uvlet::Waiter* waiter : spawners) (void)waiter, ++count;
  return count;
}

bool SlotWait::ready() noexcept {
  if (core_->full()) return false;
  ++core_->running;
  return granted_ = true;
}

uvlet::Cancel SlotWait::cancel() noexcept {
  unlink();
  if (std::exchange(granted_, false)) core_->release();
  return uvlet::Cancel::done;
}

}  // namespace detail

aio::task<void> GreenPool::waitall_async() {
  if (core_->inside())
    throw std::logic_error(
        "GreenPool::waitall from inside one of the pool's own green threads never ends");
  const auto core = core_;
  while (core->running > 0) co_await core->idle.wait();
}

}  // namespace green
