#pragma once

// The receives of many sockets in one system call. Entering the kernel costs as much as a hundred
// switches, and leaves the processor's predictors cold: where many sockets are ready at once, that
// is a good part of what serving them takes.

#include "uring.hpp"

#include <uvlet/descriptor.hpp>

#include <memory>

namespace uvlet::inline UVLET_ABI {

// Requests of readers whose descriptors have become ready. It is filled and run while events are
// served: nobody runs in between, and what completes meanwhile closes at most its own descriptor,
// which is not in it.
class ReceiveBatch {
 public:
  ReceiveBatch() noexcept;
  ~ReceiveBatch();
  ReceiveBatch(const ReceiveBatch&) = delete;

  // Whether it pays for so many events.
  bool pays(int events) noexcept { return events >= requests_min && have_ring(); }
  // Takes the request that waits to read. False: there is none, or its call cannot be told. If it
  // is full, it runs first.
  bool add(Descriptor::Watch& watch) noexcept;
  // Makes the calls, and completes in their order those requests that need not wait.
  void run() noexcept;

 private:
  using Watch = Descriptor::Watch;
  static constexpr int requests_min = 4;  // of fewer each makes its own call
  static constexpr unsigned requests_max = Uring::calls_max;

  bool have_ring() noexcept;
  char* place(unsigned number) noexcept;

  unsigned count_ = 0;
  Watch* watches_[requests_max];
  ReceiveCall calls_[requests_max];
  bool asked_for_ring_ = false;
  std::unique_ptr<Uring> ring_;
  std::unique_ptr<char[]> places_;  // to receive into, for those that bring none
};

}  // namespace uvlet::inline UVLET_ABI
