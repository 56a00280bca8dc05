#include <aio/future.hpp>

#include <cstdio>
#include <stdexcept>
#include <typeinfo>
#include <utility>

namespace aio::detail {

// What this one's task waits by, if that may be cut short and is for another that is not done.
FutureWait* FutureBase::wait() const noexcept {
  if (!root || !root->waiting || root->cancel_requested || root->shields > 0) return nullptr;
  auto* wait = dynamic_cast<FutureWait*>(root->waiting);
  return wait && !wait->future().outcome().settled() ? wait : nullptr;
}

bool FutureBase::cancel() {
  if (outcome().settled()) return false;
  bool in_circle = false;
  FutureBase* innermost = this;
  while (FutureWait* wait = innermost->wait()) {
    innermost->visiting_ = true;
    if (wait->future().visiting_) {
      wait->is_in_circle();
      in_circle = true;
      break;
    }
    innermost = &wait->future();
  }
  for (FutureBase* future = this; future->visiting_; future = &future->wait()->future())
    future->visiting_ = false;
  if (in_circle && innermost->root->delivered) return true;  // that interrupt ends the circle
  if (!innermost->root)
    innermost->set_error(std::make_exception_ptr(CancelledError()));
  else if (innermost->root->holds_interrupt(typeid(CancelledError)))
    innermost->root->deliver();  // as in asyncio one exception stands for all that come before it
  else
    innermost->root->hub->interrupt(*innermost->root, std::make_exception_ptr(CancelledError()));
  return true;
}

void FutureBase::set_error(std::exception_ptr error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const CancelledError&) {
    cancelled_ = true;
  } catch (...) {
  }
  failed_ = true;
  outcome().set_error(std::move(error));
  complete();
}

void FutureBase::report_unretrieved(const std::exception_ptr& error) noexcept {
  if (cancelled_ || !uvlet::report_exceptions.load(std::memory_order_relaxed)) return;
  try {
    std::rethrow_exception(error);
  } catch (const uvlet::GreenletExit&) {
    return;
  } catch (...) {
  }
  try {
    const std::string text = std::string(of_task_ ? "Task" : "Future") +
                             " exception was never retrieved: '" + name() + "' ended with " +
                             uvlet::describe(error) + "\n" + uvlet::traceback(error);
    std::fputs(text.c_str(), stderr);
  } catch (...) {  // no memory for the report
  }
}

void FutureBase::complete() noexcept {
  finished = true;
  outcome().notify_listeners();
}

void FutureBase::add_callback(std::unique_ptr<Callback> callback) {
  if (outcome().settled())
    callback.release()->notify();
  else
    outcome().listen(*callback.release());
}

void FutureBase::Callback::notify() noexcept {
  std::unique_ptr<Callback> self(this);
  try {
    uvlet::Hub::get().spawn([callback = std::move(self)] {
      uvlet::Hub::get().running()->context = std::move(callback->context);
      callback->call();
    });
  } catch (...) {
    std::fputs("uvlet: no memory for a callback of a Future, which is not called\n", stderr);
  }
}

void FutureWait::refuse_itself() const {
  throw std::logic_error("'" + future_->name() + "' awaits itself");
}

uvlet::Cancel FutureWait::cancel() noexcept {
  if (!linked() && future_->outcome().settled()) return uvlet::Cancel::done;
  if (!in_circle_) future_->cancel();
  if (std::exchange(in_circle_, false)) {
    unlink();
    return uvlet::Cancel::done;
  }
  return future_->outcome().settled() ? uvlet::Cancel::done : uvlet::Cancel::later;
}

}  // namespace aio::detail
