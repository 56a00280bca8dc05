#include <aio/wait.hpp>

namespace aio::detail {

WaitForSome::WaitForSome(std::vector<uvlet::Handle<FutureBase>> futures, ReturnWhen when)
    : futures_(std::move(futures)), branches_(new Branch[futures_.size()]), when_(when) {}

WaitForSome::~WaitForSome() = default;

// Whether it, being done, ends the wait for all of them.
bool WaitForSome::decides(const FutureBase& future) const noexcept {
  if (when_ != FIRST_EXCEPTION) return when_ == FIRST_COMPLETED;
  return future.failed() && !future.cancelled();
}

bool WaitForSome::ready() const noexcept {
  bool all = true;
  for (const auto& future : futures_) {
    const bool done = future->outcome().settled();
    if (done && decides(*future)) return true;
    all = all && done;
  }
  return all;
}

void WaitForSome::suspend(uvlet::Hub&) noexcept {
  for (std::size_t i = 0; i < futures_.size(); ++i) {
    if (futures_[i]->outcome().settled()) continue;
    branches_[i].wait = this;
    branches_[i].future = futures_[i].get();
    futures_[i]->outcome().listen(branches_[i]);
    ++left_;
  }
}

bool WaitForSome::give_up() noexcept {
  if (over_) return false;
  over_ = true;
  for (std::size_t i = 0; i < futures_.size(); ++i) branches_[i].unlink();
  return true;
}

void WaitForSome::one_done(const FutureBase& future) noexcept {
  --left_;
  if ((left_ == 0 || decides(future)) && give_up()) wake();
}

}  // namespace aio::detail
