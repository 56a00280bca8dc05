#pragma once

#include <aio/task.hpp>

#include <stdexcept>

namespace aio {

// The barrier was aborted, or reset while somebody waited.
struct UVLET_API BrokenBarrierError : std::runtime_error {
  BrokenBarrierError() : std::runtime_error("the barrier is broken") {}
  using std::runtime_error::runtime_error;
};

namespace detail {

// What is done by the time that it is given: awaiting it does not wait.
class Done final : public uvlet::Operation<Done, uvlet::Parked> {
 public:
  Done() noexcept = default;
  Done(Done&&) noexcept = default;
  bool ready() const noexcept { return true; }
  void suspend(uvlet::Hub&) noexcept {}
  void result() const noexcept {}
  uvlet::Cancel cancel() noexcept override { return uvlet::Cancel::done; }
  const char* describe() const noexcept override { return "nothing"; }
};

}  // namespace detail

// A point that so many must reach before any goes on; again and again. Who is cancelled while
// waiting has not reached it. Must outlive who waits. Source: asyncio.Barrier.
class UVLET_API Barrier {
 public:
  // Throws invalid_argument for fewer than one.
  explicit Barrier(int parties);
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  class [[nodiscard]] Wait final : public uvlet::Operation<Wait> {
   public:
    explicit Wait(Barrier& barrier) noexcept : barrier_(barrier) {}
    Wait(Wait&&) noexcept = default;
    ~Wait() { leave(); }
    bool ready() noexcept;
    void suspend(uvlet::Hub&) noexcept;
    int result() const;
    uvlet::Cancel cancel() noexcept override {
      leave();
      return uvlet::Cancel::done;
    }
    const char* describe() const noexcept override { return "an aio::Barrier"; }

   private:
    friend class Barrier;
    void leave() noexcept;

    Barrier& barrier_;
    int index_ = -1;  // what it gives; -1: the barrier broke
  };

  // Waits until `parties` have come; gives each another number, 0 to parties - 1, in the order of
  // coming. Throws BrokenBarrierError.
  Wait wait() noexcept { return Wait(*this); }
  // Breaks it: who waits, and who comes until it is reset, gets BrokenBarrierError. At once; it may
  // be awaited, as in asyncio, but need not be.
  detail::Done abort() noexcept;
  // As new; who waits gets BrokenBarrierError. At once, as abort().
  detail::Done reset() noexcept;

  int parties() const noexcept { return parties_; }
  int n_waiting() const noexcept { return waiting_count_; }
  bool broken() const noexcept { return broken_; }

 private:
  void let_go(bool passed) noexcept;

  int parties_;
  bool broken_ = false;
  int waiting_count_ = 0;  // the length of waiting_
  uvlet::List<Wait> waiting_;
};

}  // namespace aio
