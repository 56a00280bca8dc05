#pragma once

#include <aio/future.hpp>
#include <aio/gather.hpp>
#include <uvlet/time_limit.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace aio {

// When wait() returns.
enum ReturnWhen {
  ALL_COMPLETED,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,  // or all are done; a cancelled one is no exception
};

namespace detail {

// Listens to some Futures until enough of them are done. It cancels none.
class UVLET_API WaitForSome : public uvlet::Waiter {
 public:
  WaitForSome(std::vector<uvlet::Handle<FutureBase>> futures, ReturnWhen when);
  WaitForSome(WaitForSome&&) = default;

  bool ready() const noexcept;
  void suspend(uvlet::Hub&) noexcept;
  uvlet::Cancel cancel() noexcept override {
    give_up();
    return uvlet::Cancel::done;
  }
  bool give_up() noexcept;
  const char* describe() const noexcept override { return "some of several Futures"; }

 protected:
  ~WaitForSome();

 private:
  struct Branch final : uvlet::Listener {
    WaitForSome* wait = nullptr;
    FutureBase* future = nullptr;
    void notify() noexcept override { wait->one_done(*future); }
  };
  bool decides(const FutureBase& future) const noexcept;
  void one_done(const FutureBase& future) noexcept;

  std::vector<uvlet::Handle<FutureBase>> futures_;
  std::unique_ptr<Branch[]> branches_;
  std::size_t left_ = 0;  // that are not done
  ReturnWhen when_;
  bool over_ = false;
};

class WaitForSomeWithin final : public uvlet::LimitedOperation<WaitForSomeWithin, WaitForSome> {
 public:
  using LimitedOperation::LimitedOperation;
  WaitForSomeWithin(WaitForSomeWithin&&) noexcept = default;
  void result() const noexcept {}
};

}  // namespace detail

// Waits until all of them are done, or the first, or one has failed, or the time is over; gives
// those that are done and those that are not, in their order. Throws nothing of theirs, cancels
// nothing, not even when it is cancelled. Throws invalid_argument if there are none. Source:
// asyncio.wait.
template <awaitable A>
task<std::pair<std::vector<Future<await_result_t<A>>>, std::vector<Future<await_result_t<A>>>>>
wait(std::vector<A> work, ReturnWhen when = ALL_COMPLETED, std::optional<Duration> timeout = {}) {
  using T = await_result_t<A>;
  if (work.empty()) throw std::invalid_argument("wait: there is nothing to wait for");
  std::vector<Future<T>> futures;
  {
    std::vector<uvlet::Handle<detail::FutureBase>> bases;
    for (A& one : work) {
      futures.push_back(ensure_future(std::move(one)));
      bases.push_back(detail::base_of(futures.back()));
    }
    detail::WaitForSomeWithin some(timeout.value_or(Duration::forever()), std::move(bases), when);
    co_await std::move(some);
  }
  std::pair<std::vector<Future<T>>, std::vector<Future<T>>> done_and_pending;
  for (Future<T>& future : futures) {
    auto& side = future.done() ? done_and_pending.first : done_and_pending.second;
    side.push_back(std::move(future));
  }
  co_return done_and_pending;
}
template <class T>
task<std::pair<std::vector<Future<T>>, std::vector<Future<T>>>> wait(
    std::vector<Future<T>> work, ReturnWhen when = ALL_COMPLETED,
    std::optional<Duration> timeout = {}) {
  return wait<Future<T>>(std::move(work), when, timeout);
}

}  // namespace aio
