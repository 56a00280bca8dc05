#pragma once

// The loop's side of a Descriptor.

#include "epoll_set.hpp"

#include <uvlet/descriptor.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace uvlet::inline UVLET_ABI {

// The descriptor cannot be watched. Throws system_error.
[[noreturn]] void refuse_wait(int fd, int error);

// Made by the first wait, of the hub whose thread that is. There are two kinds, which differ in how
// they hear of readiness. What every request touches stands in one cache line.
struct alignas(64) Descriptor::Watch : EpollSet::Watcher {
  struct ByLibuv;  // uv_poll: level-triggered, for any descriptor, everywhere
  struct ByEpoll;  // the world's EpollSet, for TCP sockets

  Watch(Hub& owner, Descriptor& watched) noexcept : hub(&owner), descriptor(&watched) {}
  // Throws system_error if the descriptor cannot be watched.
  static std::unique_ptr<Watch> make(Hub& hub, Descriptor& descriptor);

  // Asks for these kinds of readiness (UV_READABLE, UV_WRITABLE). Gives 0, or the errno.
  int set(int mask) noexcept { return mask == armed ? 0 : apply(mask); }
  // Asks for what is wanted now. `unwanted_read`: it was readable, and nobody cared.
  virtual void settle(bool unwanted_read) noexcept = 0;
  // The descriptor, which had this number, has gone or is somebody else's. Frees the watch.
  virtual void close(int fd) noexcept = 0;

  // It may be ready in these ways: who waits tries again.
  void on_ready(int events) noexcept;
  // The one who waits in this direction tries again; or its receive was made already.
  void serve(Direction direction, const ReceiveCall* made = nullptr) noexcept;
  int wanted() const noexcept;

  // It belongs to the process that this one was forked from: nobody is asked about it again.
  bool stale() const noexcept { return born_after != forks.load(std::memory_order_relaxed); }

  void on_events(unsigned, ReceiveBatch*) noexcept override {}
  void prefetch(int) const noexcept override {}
  void hub_ended() noexcept override { hub = nullptr; }
  std::string waits_for() const override;

  Hub* hub;                // null: it has ended, and closed what it watched by
  Descriptor* descriptor;  // null: gone
  std::uint64_t born_after = forks.load(std::memory_order_relaxed);
  int armed = 0;

 protected:
  virtual int apply(int mask) noexcept = 0;
};

}  // namespace uvlet::inline UVLET_ABI
