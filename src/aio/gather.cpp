#include <aio/gather.hpp>

namespace aio::detail {

GatherWait::GatherWait(std::vector<uvlet::Handle<FutureBase>> futures, bool settle)
    : futures_(std::move(futures)), branches_(new Branch[futures_.size()]), settle_(settle) {
  for (const auto& future : futures_) future->retrieve();  // also what fails after the first one
}

GatherWait::~GatherWait() = default;

FutureBase* GatherWait::first_failed() const noexcept {
  for (const auto& future : futures_)
    if (future->outcome().settled() && future->outcome().error()) return future.get();
  return nullptr;
}

bool GatherWait::ready() const noexcept {
  if (!settle_ && first_failed()) return true;
  for (const auto& future : futures_)
    if (!future->outcome().settled()) return false;
  return true;
}

void GatherWait::suspend(uvlet::Hub&) noexcept {
  for (std::size_t i = 0; i < futures_.size(); ++i) {
    if (futures_[i]->outcome().settled()) continue;
    branches_[i].gather = this;
    branches_[i].future = futures_[i].get();
    futures_[i]->outcome().listen(branches_[i]);
    ++left_;
  }
}

void GatherWait::one_done(FutureBase& future) noexcept {
  --left_;
  if (!failed_ && future.outcome().error()) failed_ = &future;
  if (left_ > 0 && (!failed_ || settle_ || cancelling_)) return;
  for (std::size_t i = 0; i < futures_.size(); ++i) branches_[i].unlink();
  wake();
}

void GatherWait::result() const {
  if (settle_) return;
  const FutureBase* failed = failed_ ? failed_ : first_failed();
  if (failed) uvlet::rethrow(const_cast<FutureBase*>(failed)->outcome().error());
}

void GatherWait::cancel_again() noexcept {
  for (const auto& future : futures_) future->cancel();
}

uvlet::Cancel GatherWait::cancel() noexcept {
  if (left_ == 0 || root_->linked()) return uvlet::Cancel::done;
  cancelling_ = true;
  for (const auto& future : futures_) future->cancel();
  return root_->linked() ? uvlet::Cancel::done : uvlet::Cancel::later;
}

}  // namespace aio::detail
