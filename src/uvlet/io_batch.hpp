#pragma once

// The receives, and the replies to them, of many sockets in one system call. A call into the kernel
// costs as much as a whole switch to and fro does many times over, and leaves the processor's
// predictors cold: where many sockets are ready at once, that is most of what serving them takes.

#include "uring.hpp"

#include <uvlet/descriptor.hpp>

#include <memory>

namespace uvlet::inline UVLET_ABI {

// Requests whose next calls are made together. Those of one run all receive, or all send: see
// EpollSet.
//
// Each turn of the loop receives for whoever waits for a socket that has become ready, at once, and
// lets the first send of each of them wait for those of the others until the next turn. So a reply
// is late by what the other repliers take at most, and by a turn (Hub::set_budget).
class IoBatch {
 public:
  static constexpr unsigned requests_max = Uring::calls_max;

  IoBatch() noexcept;
  ~IoBatch();
  IoBatch(const IoBatch&) = delete;

  // Takes the request that waits for this descriptor in this direction. False: that has none, or
  // one whose call cannot be told. If it is full, it runs first.
  bool add(Descriptor::Watch& watch, Direction direction) noexcept;
  // The one at this place waits no longer.
  void remove(int place) noexcept { watches_[place] = nullptr; }
  bool empty() const noexcept { return count_ == 0; }
  // Makes the calls, and completes in their order those requests that need not wait.
  void run() noexcept;

  // Whether requests may join: several sockets are ready in this turn, and there is a ring.
  bool open() const noexcept { return open_; }
  void open_up() noexcept { open_ = have_ring(); }
  void close() noexcept { open_ = false; }

 private:
  using Watch = Descriptor::Watch;
  bool have_ring() noexcept;
  char* place(unsigned number) noexcept;
  static void note(Watch& watch, const SocketCall& call, int place) noexcept;
  void give_up_ring() noexcept;
  void close_gaps() noexcept;

  unsigned count_ = 0;
  Watch* watches_[requests_max];  // null: removed
  SocketCall calls_[requests_max];
  bool open_ = false;
  bool asked_for_ring_ = false;
  std::unique_ptr<Uring> ring_;
  std::unique_ptr<char[]> places_;  // a place to receive into for each
};

}  // namespace uvlet::inline UVLET_ABI
