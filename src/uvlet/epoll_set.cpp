#include "epoll_set.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <unistd.h>

namespace uvlet::inline UVLET_ABI {

EpollSet::EpollSet() : fd_(epoll_create1(EPOLL_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

EpollSet::~EpollSet() {
  ::close(fd_);
  while (!removed_.empty()) delete static_cast<Watcher*>(removed_.pop_front());
}

int EpollSet::watch(int operation, int fd, unsigned events, Watcher& watcher) noexcept {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.ptr = &watcher;
  if (epoll_ctl(fd_, operation, fd, &event) != 0) return errno;
  if (operation == EPOLL_CTL_ADD) ++watched_;
  return 0;
}

void EpollSet::remove(int fd, Watcher* watcher) noexcept {
  if (epoll_ctl(fd_, EPOLL_CTL_DEL, fd, nullptr) == 0) --watched_;
  removed_.push_back(watcher);
}

bool EpollSet::collect() noexcept {
  if (collected()) return true;
  while (!removed_.empty()) delete static_cast<Watcher*>(removed_.pop_front());
  next_ = 0;
  count_ = watched_ == 0 ? 0 : std::max(epoll_wait(fd_, events_, batch, 0), 0);
  return count_ > 0;
}

// Of a thousand connections each finds its own memory cold: what the next ones need comes while
// this one is served.
void EpollSet::prefetch() const noexcept {
  if (next_ + prefetch_steps < count_) __builtin_prefetch(events_[next_ + prefetch_steps].data.ptr);
  for (int step = prefetch_steps - 1; step > 0; --step)
    if (next_ + step < count_)
      static_cast<const Watcher*>(events_[next_ + step].data.ptr)->prefetch(prefetch_steps - step);
}

bool EpollSet::serve(int most) noexcept {
  const bool any = collected();
  ReceiveBatch* const together =
      receives_.pays(std::min(most, count_ - next_)) ? &receives_ : nullptr;
  for (; most > 0 && collected(); --most) {
    prefetch();
    const epoll_event& event = events_[next_++];
    static_cast<Watcher*>(event.data.ptr)->on_events(event.events, together);
  }
  receives_.run();
  return any;
}

}  // namespace uvlet::inline UVLET_ABI
