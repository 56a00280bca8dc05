#pragma once

#include <aio/future.hpp>
#include <aio/semaphore.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace aio {
namespace detail {

// Futures that are not done yet, and a line of those that are.
template <class T>
class Completions {
 public:
  explicit Completions(std::vector<Future<T>> futures) : branches_(new Branch[futures.size()]) {
    done_.reserve(futures.size());
    std::size_t index = 0;
    for (Future<T>& future : futures) {
      Branch& branch = branches_[index++];
      branch.owner = this;
      branch.future = std::move(future);
      FutureState<T>& state = *branch.future.state();
      if (state.value.settled())
        branch.notify();
      else
        state.value.listen(branch);
    }
  }

  // Waits until there is one more that is done, for who calls take().
  auto one_more() noexcept { return not_taken_.acquire(); }
  Future<T> take() noexcept { return std::move(done_[taken_++]); }

 private:
  struct Branch final : uvlet::Listener {
    Completions* owner = nullptr;
    Future<T> future;
    void notify() noexcept override {
      owner->done_.push_back(std::move(future));  // there is room
      owner->not_taken_.release();
    }
  };

  std::vector<Future<T>> done_;
  std::size_t taken_ = 0;
  Semaphore not_taken_{0};
  std::unique_ptr<Branch[]> branches_;
};

template <class T>
task<T> next_completed(std::shared_ptr<Completions<T>> completions) {
  co_await completions->one_more();
  co_return co_await completions->take();
}

}  // namespace detail

// Starts all of them, each as create_task does. The tasks it gives, as many, end with the result or
// the error of the one that is done first, second and so on, in the order in which they are
// awaited. Cancelling one of these cancels none of the work. Source: asyncio.as_completed.
template <awaitable A>
std::vector<task<await_result_t<A>>> as_completed(std::vector<A> work) {
  using T = await_result_t<A>;
  std::vector<Future<T>> futures;
  for (A& one : work) futures.push_back(ensure_future(std::move(one)));
  const std::size_t count = futures.size();
  const auto completions = std::make_shared<detail::Completions<T>>(std::move(futures));
  std::vector<task<T>> in_order;
  for (std::size_t i = 0; i < count; ++i) in_order.push_back(detail::next_completed(completions));
  return in_order;
}
template <class T>
std::vector<task<T>> as_completed(std::vector<task<T>> work) {
  return as_completed<task<T>>(std::move(work));
}

}  // namespace aio
