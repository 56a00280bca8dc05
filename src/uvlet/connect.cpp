#include <uvlet/connect.hpp>

#include <poll.h>
#include <sys/socket.h>

namespace uvlet::inline UVLET_ABI {

namespace {

bool under_way(int fd) noexcept {
  pollfd interest{fd, POLLOUT, 0};
  return ::poll(&interest, 1, 0) == 0;
}

}  // namespace

bool Connect::attempt() noexcept {
  if (!started_) {
    started_ = true;
    const Address::Raw raw = to_.raw();
    if (::connect(fd(), raw.get(), raw.length) == 0) return true;
    if (errno == EINPROGRESS || errno == EINTR || (errno == EALREADY && again_)) return false;
    error_number = errno;
    return true;
  }
  if (under_way(fd())) return false;  // an event may be of an attempt before this one
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
  error_number = error;
  return true;
}

}  // namespace uvlet::inline UVLET_ABI
