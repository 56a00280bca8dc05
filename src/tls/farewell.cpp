#include "farewell.hpp"

#include <uvlet/descriptor.hpp>
#include <uvlet/hub.hpp>

#include <cerrno>
#include <fcntl.h>
#include <memory>

namespace aio::tls {
namespace {

constexpr double patience_seconds = 30;
constexpr std::size_t heard_max = 1024 * 1024;

// It ends by itself, at the latest with its hub. It reads while it waits to write: a peer that is
// stuck in a write of its own would never make room.
class Farewell final : uvlet::IoRequest, uvlet::Timer, uvlet::HubObserver {
 public:
  Farewell(int fd, std::string bytes, bool listen)
      : descriptor_(fd, true), bytes_(std::move(bytes)), listen_(listen), ear_(*this) {}

  void start(uvlet::Hub& hub) {
    descriptor_.wait(*this, uvlet::Direction::write);
    descriptor_.wait(ear_, uvlet::Direction::read);
    hub.observe(*this);
    hub.timers.start(*this, uvlet::deadline_after(hub.now(), patience_seconds));
  }
  void give_up() noexcept {
    descriptor_.withdraw(uvlet::Direction::write);
    descriptor_.withdraw(uvlet::Direction::read);
    unlink();
    delete this;
  }

 private:
  // Ends with the peer's end, or when it has said too much.
  struct Ear final : uvlet::IoRequest {
    explicit Ear(Farewell& whole) noexcept : of(whole) {}
    bool attempt() noexcept override { return of.hear(); }
    void complete() noexcept override { of.give_up(); }
    Farewell& of;
  };

  bool attempt() noexcept override {
    while (sent_ < bytes_.size()) {
      const ssize_t put = descriptor_.send(bytes_.data() + sent_, bytes_.size() - sent_);
      if (put < 0) return errno != EAGAIN && errno != EINTR;
      sent_ += static_cast<std::size_t>(put);
    }
    descriptor_.shutdown(SHUT_WR);
    return true;
  }
  bool hear() noexcept {
    char waste[4096];
    ssize_t got = 0;
    while (heard_ < heard_max && (got = descriptor_.recv(waste, sizeof waste)) > 0)
      heard_ += static_cast<std::size_t>(got);
    return got >= 0 || (errno != EAGAIN && errno != EINTR);
  }
  void complete() noexcept override {
    if (!listen_) give_up();
  }
  void expire() noexcept override { give_up(); }
  void hub_ended() noexcept override { give_up(); }
  Purpose purpose() const noexcept override { return {"the last bytes of a connection", nullptr}; }

  uvlet::Descriptor descriptor_;
  const std::string bytes_;
  std::size_t sent_ = 0;
  std::size_t heard_ = 0;
  const bool listen_;  // on after the last byte is sent
  Ear ear_;
};

}  // namespace

void say_farewell(int fd, std::string bytes, bool listen) noexcept {
  try {
    uvlet::Hub& hub = uvlet::Hub::get();
    if (hub.ending()) return;
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return;
    auto* farewell = new Farewell(copy, std::move(bytes), listen);
    try {
      farewell->start(hub);
    } catch (...) {
      farewell->give_up();
    }
  } catch (...) {  // then the peer is told that it was cut short
  }
}

}  // namespace aio::tls
