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

// It ends by itself, at the latest with its hub.
class Farewell final : uvlet::IoRequest, uvlet::Timer, uvlet::HubObserver {
 public:
  Farewell(int fd, std::string bytes, bool listen)
      : descriptor_(fd, true), bytes_(std::move(bytes)), listen_(listen) {}

  void start(uvlet::Hub& hub) {
    descriptor_.wait(*this, direction_);
    hub.observe(*this);
    hub.timers.start(*this, uvlet::deadline_after(hub.now(), patience_seconds));
  }
  void give_up() noexcept {
    descriptor_.withdraw(direction_);
    unlink();
    delete this;
  }

 private:
  bool attempt() noexcept override {
    return direction_ == uvlet::Direction::write ? talk() : hear();
  }
  bool talk() noexcept {
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
    if (std::exchange(listen_, false)) {
      direction_ = uvlet::Direction::read;
      try {
        descriptor_.wait(*this, direction_);
        return;
      } catch (...) {  // then it is closed now
      }
    }
    unlink();
    delete this;
  }
  void expire() noexcept override { give_up(); }
  void hub_ended() noexcept override { give_up(); }
  Purpose purpose() const noexcept override { return {"the last bytes of a connection", nullptr}; }

  uvlet::Descriptor descriptor_;
  std::string bytes_;
  std::size_t sent_ = 0;
  std::size_t heard_ = 0;
  bool listen_;
  uvlet::Direction direction_ = uvlet::Direction::write;
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
