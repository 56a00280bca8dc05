#include "watch.hpp"

#include "receive_batch.hpp"
#include "world.hpp"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <system_error>
#include <uv.h>

namespace uvlet::inline UVLET_ABI {
namespace {

constexpr int either = UV_READABLE | UV_WRITABLE;

// What epoll says of a stream that ends, fails, or has urgent data. Behind a short read there is
// more then.
constexpr unsigned special = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;

bool is_tcp(int fd) noexcept {
  int protocol = 0;
  socklen_t length = sizeof protocol;
  return ::getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 &&
         protocol == IPPROTO_TCP;
}

}  // namespace

void refuse_wait(int fd, int error) {
  throw std::system_error(error, std::generic_category(),
                          "descriptor " + std::to_string(fd) + " cannot be waited for");
}

// READABLE stays armed across waits: uv_poll_start costs two system calls even for the same mask.
// It is disarmed when an event comes that nobody waits for.
struct Descriptor::Watch::ByLibuv final : Watch {
  ByLibuv(Hub& owner, Descriptor& watched) : Watch(owner, watched) {
    const int rc = uv_poll_init(owner.loop(), &handle, watched.fd_);
    if (rc < 0) refuse_wait(watched.fd_, -rc);
    handle.data = this;
    uv_unref(reinterpret_cast<uv_handle_t*>(&handle));
  }

  static void on_event(uv_poll_t* handle, int status, int events) {
    auto* watch = static_cast<ByLibuv*>(handle->data);
    if (!watch->descriptor) return;
    if (status < 0) {  // libuv has stopped the handle: the system calls tell why
      watch->armed = 0;
      events = either;
    }
    watch->on_ready(events);
  }

  void settle(bool unwanted_read) noexcept override {
    set((unwanted_read ? 0 : armed & UV_READABLE) | wanted());
  }

  int apply(int mask) noexcept override {
    armed = mask;
    if (mask == 0) return -uv_poll_stop(&handle);
    const int rc = uv_poll_start(&handle, mask, on_event);
    uv_unref(reinterpret_cast<uv_handle_t*>(&handle));
    return -rc;
  }

  void close(int) noexcept override {
    if (!hub) {
      delete this;
      return;
    }
    uv_close(reinterpret_cast<uv_handle_t*>(&handle),
             [](uv_handle_t* closed) { delete static_cast<ByLibuv*>(closed->data); });
  }

  uv_poll_t handle;
};

// Added to the set by its first wait, and told to be written to by the first that writes. An event
// that nobody waits for is not lost: the next call tries first.
struct Descriptor::Watch::ByEpoll final : Watch {
  ByEpoll(Hub& owner, Descriptor& watched, EpollSet& world_set)
      : Watch(owner, watched), set_of_world(world_set) {}

  void on_events(unsigned events, ReceiveBatch* together) noexcept override {
    if (!descriptor) return;
    if (events & special) [[unlikely]] {
      descriptor->short_read_drains_ = descriptor->drained = false;
      events |= events & EPOLLPRI ? EPOLLIN : EPOLLIN | EPOLLOUT;
    }
    const int ready = (events & EPOLLIN ? UV_READABLE : 0) | (events & EPOLLOUT ? UV_WRITABLE : 0);
    if (descriptor->transport_) [[unlikely]]
      return on_ready(ready);
    // Urgent data end a receive early, and what it then says of the rest cannot be relied upon. A
    // writer who came first would take the error that is the reader's.
    const bool alone = !together || (events & EPOLLPRI) ||
                       ((ready & UV_WRITABLE) && descriptor->taken(Direction::write));
    if ((ready & UV_READABLE) && (alone || !together->add(*this))) serve(Direction::read);
    if (descriptor && (ready & UV_WRITABLE)) serve(Direction::write);
  }

  void prefetch(int step) const noexcept override {
    if (!descriptor) return;
    if (step == 1) {
      __builtin_prefetch(descriptor);
      return;
    }
    const auto* request = reinterpret_cast<const char*>(descriptor->requests_[0]);
    if (!request) return;
    for (int line = -4; line <= 3; ++line) __builtin_prefetch(request + line * 64);
  }

  void settle(bool) noexcept override { set(armed | wanted()); }

  int apply(int mask) noexcept override {
    const unsigned events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | (mask & UV_WRITABLE ? EPOLLOUT : 0u);
    const int operation = armed == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    const int error = set_of_world.watch(operation, descriptor->fd_, events, *this);
    if (error == 0) armed = mask | UV_READABLE;
    return error;
  }

  void close(int fd) noexcept override {
    if (!hub)
      delete this;
    else
      set_of_world.remove(fd, this);
  }

  EpollSet& set_of_world;
};

std::unique_ptr<Descriptor::Watch> Descriptor::Watch::make(Hub& hub, Descriptor& descriptor) {
  std::unique_ptr<Watch> watch;
  EpollSet* set = hub.world().epoll_set();
  if (set && is_tcp(descriptor.fd_))
    watch = std::make_unique<ByEpoll>(hub, descriptor, *set);
  else
    watch = std::make_unique<ByLibuv>(hub, descriptor);
  hub.observe(*watch);
  return watch;
}

void Descriptor::Watch::on_ready(int events) noexcept {
  const bool unwanted = (events & UV_READABLE) && !descriptor->wants(Direction::read);
  if (descriptor->transport_) {  // where a reader may have to write, and a writer to read
    descriptor->transport_->flush(*descriptor);
    events = either;
  }
  if (events & UV_READABLE) serve(Direction::read);
  // What completes may close the descriptor.
  if (descriptor && (events & UV_WRITABLE)) serve(Direction::write);
  if (descriptor) settle(unwanted);
}

void Descriptor::Watch::serve(Direction direction, const ReceiveCall* made) noexcept {
  IoRequest* request = descriptor->requests_[static_cast<int>(direction)];
  if (direction == Direction::read) {
    descriptor->drained = false;
    if (made) descriptor->received(made->result, made->bytes);
  }
  if (!request || !(made ? request->receive_made(*made) : request->attempt())) return;
  descriptor->take(direction);
  request->complete();
}

int Descriptor::Watch::wanted() const noexcept {
  return (descriptor->wants(Direction::read) ? UV_READABLE : 0) |
         (descriptor->wants(Direction::write) ? UV_WRITABLE : 0);
}

std::string Descriptor::Watch::waits_for() const {
  std::string text;
  for (const Direction direction : {Direction::read, Direction::write}) {
    const IoRequest* request = descriptor->requests_[static_cast<int>(direction)];
    if (!request) continue;
    if (const std::string subject = request->subject(); !subject.empty()) {
      text += subject + " ";
    } else {
      text += text.empty() ? "descriptor " + std::to_string(descriptor->fd_) + ": " : "; ";
      text += direction == Direction::read ? "reader " : "writer ";
    }
    text += request->who() ? hub->describe(*request->who()) : "in the background";
  }
  return text;
}

}  // namespace uvlet::inline UVLET_ABI
