#pragma once

// Readiness without libuv between: an edge-triggered epoll set.

#include "receive_batch.hpp"

#include <uvlet/hub.hpp>
#include <uvlet/list.hpp>

#include <sys/epoll.h>

namespace uvlet::inline UVLET_ABI {

// What is watched is added once; after that the set tells when it becomes ready, at no further
// call. It is told of once: who waits must have tried before, until there was no more.
//
// Events are collected many at a time, and served as many at a time as the hub likes.
class EpollSet {
 public:
  // Who is told. The address stands in the kernel, so the set frees what it watched.
  struct Watcher : HubObserver {
    virtual ~Watcher() = default;
    // `together`: what may receive with others that are told now; null: nothing may.
    virtual void on_events(unsigned events, ReceiveBatch* together) noexcept = 0;
    // Will be told soon: fetches into the cache what that takes. Each step finds what the one
    // before it fetched.
    virtual void prefetch(int step) const noexcept = 0;
  };

  EpollSet();  // throws system_error
  ~EpollSet();
  EpollSet(const EpollSet&) = delete;

  int fd() const noexcept { return fd_; }  // readable while there is something to collect

  // Watches for these events, of which those that hold already are told too. `operation` is
  // epoll's: EPOLL_CTL_ADD or EPOLL_CTL_MOD. Gives 0, or the errno.
  int watch(int operation, int fd, unsigned events, Watcher& watcher) noexcept;
  // The end of that, before the descriptor is closed: a copy of it would go on. Takes the watcher,
  // which is told of what was collected, and is freed after that.
  void remove(int fd, Watcher* watcher) noexcept;

  bool collected() const noexcept { return next_ < count_; }  // something that is not told of yet
  // Asks the kernel what has happened, if all that it told before is served. False: nothing has.
  bool collect() noexcept;
  // Tells of what was collected, of so many events at most. False: there was nothing to tell.
  bool serve(int most) noexcept;

 private:
  static constexpr int prefetch_steps = 3;
  static constexpr int batch = 256;  // events: what is behind them waits for so many at most

  void prefetch() const noexcept;

  int fd_;
  int next_ = 0;
  int count_ = 0;
  std::size_t watched_ = 0;
  List<HubObserver> removed_;
  ReceiveBatch receives_;
  epoll_event events_[batch];
};

}  // namespace uvlet::inline UVLET_ABI
