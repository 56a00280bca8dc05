#pragma once

#include <green/greenthread.hpp>
#include <uvlet/waiter.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

namespace green {
namespace detail {

class BarrierCore;

// The wait for the end of a phase.
class UVLET_API BarrierWait final : public uvlet::Operation<BarrierWait> {
 public:
  BarrierWait(const BarrierCore& core, std::uint64_t phase) noexcept
      : core_(const_cast<BarrierCore*>(&core)), phase_(phase) {}
  BarrierWait(BarrierWait&&) noexcept = default;
  bool ready() const noexcept;
  void suspend(uvlet::Hub&) noexcept;
  void result() const noexcept {}
  uvlet::Cancel cancel() noexcept override {
    unlink();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "a barrier"; }

 private:
  BarrierCore* core_;
  std::uint64_t phase_;
};

// What a barrier is without its completion.
class UVLET_API BarrierCore {
 public:
  explicit BarrierCore(std::ptrdiff_t expected);
  std::uint64_t phase() const noexcept { return phase_; }
  // True: these were the last ones, and the completion is due.
  bool arrive(std::ptrdiff_t count, std::ptrdiff_t dropped = 0);
  // The next phase begins.
  void complete() noexcept;

 private:
  friend class BarrierWait;
  std::ptrdiff_t expected_;  // in each phase
  std::ptrdiff_t left_;      // in this one; 0 while its completion runs
  std::uint64_t phase_ = 0;
  uvlet::List<uvlet::Waiter> line_;
};

struct NoCompletion {
  void operator()() const noexcept {}
};

}  // namespace detail

// std::barrier: in each phase those who wait go on when as many as expected have arrived. The last
// to arrive runs the completion, which may not throw, before anybody goes on. One that is
// interrupted while it waits has arrived all the same.
template <class Completion = detail::NoCompletion>
class barrier {
  static_assert(std::is_nothrow_invocable_v<Completion&>, "as std::barrier asks for");

 public:
  // The phase that somebody arrived in.
  class arrival_token {
   public:
    arrival_token(arrival_token&&) noexcept = default;
    arrival_token& operator=(arrival_token&&) noexcept = default;

   private:
    friend class barrier;
    explicit arrival_token(std::uint64_t phase) noexcept : phase_(phase) {}
    std::uint64_t phase_;
  };

  // Throws invalid_argument for a negative number.
  explicit barrier(std::ptrdiff_t expected, Completion completion = Completion())
      : core_(expected), completion_(std::move(completion)) {}
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;

  // Throws invalid_argument unless 0 < count <= how many have not arrived in this phase.
  [[nodiscard]] arrival_token arrive(std::ptrdiff_t count = 1) {
    arrival_token token(core_.phase());
    if (core_.arrive(count)) complete();
    return token;
  }
  // Arrives, and is not expected in later phases.
  void arrive_and_drop() {
    if (core_.arrive(1, 1)) complete();
  }
  // Blocks the green thread. Cancel point.
  void wait(arrival_token&& token) const { uvlet::block(wait_async(std::move(token))); }
  // Blocks the green thread. Cancel point.
  void arrive_and_wait() { wait(arrive()); }
  detail::BarrierWait wait_async(arrival_token&& token) const noexcept {
    return {core_, token.phase_};
  }
  // Arrives at the call.
  detail::BarrierWait arrive_and_wait_async() { return wait_async(arrive()); }

  static constexpr std::ptrdiff_t max() noexcept {
    return std::numeric_limits<std::ptrdiff_t>::max();
  }

 private:
  void complete() {
    completion_();
    core_.complete();
  }

  detail::BarrierCore core_;
  [[no_unique_address]] Completion completion_;
};

}  // namespace green
