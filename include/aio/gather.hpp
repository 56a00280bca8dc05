#pragma once

#include <aio/future.hpp>

#include <cstddef>
#include <memory>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace aio {
namespace detail {

// Waits until all of some Futures are done, or, unless `settle`, one has failed. Cancelling it
// cancels all of them and waits for their ends.
class UVLET_API GatherWait final : public uvlet::Operation<GatherWait> {
 public:
  static constexpr bool forwards_cancel = true;
  explicit GatherWait(std::vector<uvlet::Handle<FutureBase>> futures, bool settle = false);
  GatherWait(GatherWait&&) = default;
  ~GatherWait();

  bool ready() const noexcept;
  void suspend(uvlet::Hub&) noexcept;
  void result() const;
  uvlet::Cancel cancel() noexcept override;
  void cancel_again() noexcept override;
  const char* describe() const noexcept override { return "gather"; }

 private:
  struct Branch final : uvlet::Listener {
    GatherWait* gather = nullptr;
    FutureBase* future = nullptr;
    void notify() noexcept override { gather->one_done(*future); }
  };
  void one_done(FutureBase& future) noexcept;
  FutureBase* first_failed() const noexcept;

  std::vector<uvlet::Handle<FutureBase>> futures_;
  std::unique_ptr<Branch[]> branches_;
  FutureBase* failed_ = nullptr;
  std::size_t left_ = 0;
  bool settle_;
  bool cancelling_ = false;
};

// The result of a Future that is done; moved out if nobody else can read it.
template <class T>
uvlet::stored_t<T> take_result(Future<T>& future) {
  const auto& state = future.state();
  if constexpr (std::is_void_v<T>) {
    state->value.copy();
    return {};
  } else {
    return state->value.take(state->references == 1);
  }
}

template <class T>
uvlet::Handle<FutureBase> base_of(const Future<T>& future) {
  return uvlet::Handle<FutureBase>::share(future.state().get());
}

}  // namespace detail

// Runs all of them concurrently, each as create_task does, and gives their results in order. The
// first error is rethrown at once and cancels nothing; cancelling gather cancels all. Source:
// asyncio.gather; but it starts when it is awaited.
template <awaitable... A>
task<std::tuple<uvlet::stored_t<await_result_t<A>>...>> gather(A... work) {
  std::tuple<Future<await_result_t<A>>...> futures{ensure_future(std::move(work))...};
  {
    std::vector<uvlet::Handle<detail::FutureBase>> bases;
    std::apply([&](auto&... future) { (bases.push_back(detail::base_of(future)), ...); }, futures);
    detail::GatherWait all(std::move(bases));
    co_await std::move(all);
  }
  co_return std::apply(
      [](auto&... future) {
        return std::tuple<uvlet::stored_t<await_result_t<A>>...>(detail::take_result(future)...);
      },
      futures);
}

template <awaitable A>
task<std::vector<uvlet::stored_t<await_result_t<A>>>> gather(std::vector<A> work) {
  std::vector<Future<await_result_t<A>>> futures;
  {
    std::vector<uvlet::Handle<detail::FutureBase>> bases;
    for (A& one : work) {
      futures.push_back(ensure_future(std::move(one)));
      bases.push_back(detail::base_of(futures.back()));
    }
    detail::GatherWait all(std::move(bases));
    co_await std::move(all);
  }
  std::vector<uvlet::stored_t<await_result_t<A>>> results;
  results.reserve(futures.size());
  for (auto& future : futures) results.push_back(detail::take_result(future));
  co_return results;
}

// The same, but an error is a result too: it waits for all of them. Source: asyncio.gather with
// return_exceptions=True.
template <awaitable A>
task<std::vector<std::variant<uvlet::stored_t<await_result_t<A>>, std::exception_ptr>>>
gather_settled(std::vector<A> work) {
  std::vector<Future<await_result_t<A>>> futures;
  {
    std::vector<uvlet::Handle<detail::FutureBase>> bases;
    for (A& one : work) {
      futures.push_back(ensure_future(std::move(one)));
      bases.push_back(detail::base_of(futures.back()));
    }
    detail::GatherWait all(std::move(bases), true);
    co_await std::move(all);
  }
  std::vector<std::variant<uvlet::stored_t<await_result_t<A>>, std::exception_ptr>> results;
  results.reserve(futures.size());
  for (auto& future : futures) {
    if (std::exception_ptr error = future.exception())
      results.emplace_back(std::in_place_index<1>, std::move(error));
    else
      results.emplace_back(std::in_place_index<0>, detail::take_result(future));
  }
  co_return results;
}
template <class T>
task<std::vector<std::variant<uvlet::stored_t<T>, std::exception_ptr>>> gather_settled(
    std::vector<task<T>> work) {
  return gather_settled<task<T>>(std::move(work));
}

}  // namespace aio
