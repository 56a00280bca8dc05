#include <green/message.hpp>

#include <green/socket_call.hpp>
#include <uvlet/hub.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <system_error>

namespace green::detail {
namespace {

using uvlet::Address;
using uvlet::Descriptor;
using uvlet::Direction;
using uvlet::Duration;
using Shared = std::shared_ptr<SharedDescriptor>;

constexpr std::size_t fds_max = 253;  // the kernel's, for one message

[[noreturn]] void fail(int error, const char* call) {
  throw std::system_error(error, std::generic_category(), call);
}

bool writable(int fd) noexcept {
  pollfd interest{fd, POLLOUT, 0};
  return ::poll(&interest, 1, 0) > 0 && (interest.revents & POLLOUT);
}

// Room for as many descriptors as a message has, and for credentials that come before them.
constexpr std::size_t control_bytes(std::size_t fds) {
  return CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(fds * sizeof(int));
}
struct Control {
  alignas(cmsghdr) char bytes[control_bytes(fds_max)];
};

// What the kernel gave beyond `max` is closed.
void take_fds(msghdr& header, std::size_t max, Message& message) noexcept {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      OwnedFd owned(fd);
      if (message.fds.size() < max)
        message.fds.push_back(std::move(owned));  // there is room: it was reserved
      else
        message.flags |= MSG_CTRUNC;
    }
  }
}

}  // namespace

std::size_t worth_receiving(const Descriptor& descriptor, std::size_t max) noexcept {
  if (max <= uvlet::scratch_bytes) return max;
  int next = 0;
  if (descriptor.stream() || ioctl(descriptor.fd(), FIONREAD, &next) < 0)
    return uvlet::scratch_bytes;
  return std::min(max, std::max(uvlet::scratch_bytes, static_cast<std::size_t>(next)));
}

bool ReceiveMessage::attempt() noexcept {
  if (descriptor_->transport()) return failed(EOPNOTSUPP);  // messages would pass it by
  if (max_ == 0 && descriptor_->stream()) return true;
  const std::size_t wanted =
      descriptor_->allowance(into_ ? max_ : worth_receiving(*descriptor_, max_));
  if (wanted == 0 && max_ > 0) return false;
  char* const place = into_ ? into_ : uvlet::scratch(wanted);
  const std::size_t max_fds = std::min(max_fds_, fds_max);
  try {
    message_.fds.reserve(max_fds);
  } catch (...) {
    return failed(ENOMEM);
  }
  if (!place) return failed(ENOMEM);

  sockaddr_storage from{};
  iovec data{place, wanted};
  Control control;
  msghdr header{};
  header.msg_name = &from;
  header.msg_namelen = sizeof from;
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (max_fds > 0) {
    header.msg_control = control.bytes;
    header.msg_controllen = control_bytes(max_fds);
  }
  const ssize_t got = ::recvmsg(fd(), &header, MSG_CMSG_CLOEXEC);
  if (got < 0) return failed(errno);
  descriptor_->drained = false;  // descriptors end a read of a stream early
  message_.flags = header.msg_flags & ~MSG_CMSG_CLOEXEC;
  take_fds(header, max_fds, message_);
  received_ = static_cast<std::size_t>(got);
  try {
    if (!into_) message_.data.assign(place, received_);
    message_.from = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&from), header.msg_namelen);
  } catch (...) {
    error_number = ENOMEM;
  }
  return true;
}

std::pair<std::string, Address> RecvFrom::result() {
  check("recvfrom");
  return {std::move(message_.data), std::move(message_.from)};
}

std::pair<std::size_t, Address> RecvFromInto::result() {
  check("recvfrom");
  return {received_, std::move(message_.from)};
}

Message RecvMessage::result() {
  check("recvmsg");
  return std::move(message_);
}

// --- sending -------------------------------------------------------------------------------------

namespace {

// Gives the number of bytes, or nothing if the socket of a unix peer is full: the own one will not
// tell when that has room.
class SendMessage final : public uvlet::Operation<SendMessage, uvlet::IoWait> {
 public:
  SendMessage(Descriptor* descriptor, std::optional<Duration> limit, std::string_view data,
              const Address::Raw* to, std::span<const int> fds) noexcept
      : Operation(descriptor, Direction::write, limit), data_(data), to_(to), fds_(fds) {}
  SendMessage(SendMessage&&) = default;

  std::optional<std::size_t> result() const {
    if (peer_is_full_) return std::nullopt;
    check("send");
    return sent_;
  }

 private:
  bool attempt() noexcept override {
    const std::size_t wanted = descriptor_->allowance(data_.size());
    if (wanted == 0 && !data_.empty()) return false;
    iovec data{const_cast<char*>(data_.data()), wanted};
    Control control;
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    if (to_) {
      header.msg_name = const_cast<sockaddr*>(to_->get());
      header.msg_namelen = to_->length;
    }
    if (!fds_.empty()) enclose(header, control);
    const ssize_t put = ::sendmsg(fd(), &header, MSG_NOSIGNAL);
    if (put >= 0) {
      sent_ = static_cast<std::size_t>(put);
      return true;
    }
    peer_is_full_ = errno == EAGAIN && to_ && to_->storage.ss_family == AF_UNIX && writable(fd());
    return peer_is_full_ || failed(errno);
  }
  void enclose(msghdr& header, Control& control) const noexcept {
    std::memset(&control, 0, sizeof control);
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE(fds_.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds_.size_bytes());
    std::memcpy(CMSG_DATA(part), fds_.data(), fds_.size_bytes());
  }

  std::string_view data_;
  const Address::Raw* to_;
  std::span<const int> fds_;
  std::size_t sent_ = 0;
  bool peer_is_full_ = false;
};

class Writable final : public uvlet::Operation<Writable, uvlet::IoWait> {
 public:
  explicit Writable(Descriptor* descriptor) noexcept
      : Operation(descriptor, Direction::write, std::nullopt) {}
  Writable(Writable&&) = default;
  void result() const { check("send"); }

 private:
  bool attempt() noexcept override { return writable(fd()); }
};

// Others would leave out the descriptors, and say nothing.
bool is_unix(const Descriptor& socket) noexcept {
  int family = AF_UNSPEC;
  socklen_t length = sizeof family;
  ::getsockopt(socket.fd(), SOL_SOCKET, SO_DOMAIN, &family, &length);
  return family == AF_UNIX;
}

// Waits for room in a unix peer's socket. The kernel tells a socket that is connected to it.
aio::task<void> room_at(Address::Raw to) {
  OwnedFd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe || ::connect(probe.get(), to.get(), to.length) < 0) fail(errno, "send");
  Descriptor descriptor(probe.release(), false);
  Writable room(&descriptor);
  co_await std::move(room);
}

}  // namespace

aio::task<std::size_t> send_message(Shared socket, std::optional<Duration> limit,
                                    std::string_view data, std::optional<Address> to,
                                    std::span<const int> fds) {
  if (!socket || socket->fd() < 0) fail(EBADF, "send");
  if (socket->transport()) fail(EOPNOTSUPP, "send");
  if (fds.size() > fds_max)
    throw std::invalid_argument("sendmsg: " + std::to_string(fds.size()) +
                                " descriptors in one message");
  if (!fds.empty() && !is_unix(*socket))
    throw std::invalid_argument("sendmsg: only unix sockets take descriptors, descriptor " +
                                std::to_string(socket->fd()) + " is none");
  if (!fds.empty() && data.empty() && socket->stream())
    throw std::invalid_argument("sendmsg: descriptors need a byte of data to go with");
  const CallLimit whole(limit);
  Address::Raw raw{};
  if (to) {
    const Address found = co_await address_for(socket, limit, *to, "send");
    raw = found.raw();
  }
  for (;;) {
    SendMessage sending(socket.get(), whole.left("send"), data, to ? &raw : nullptr, fds);
    const std::optional<std::size_t> sent = co_await std::move(sending);
    if (sent) co_return *sent;
    co_await for_writer(socket, whole.left("send"), room_at(raw), "send");
  }
}

}  // namespace green::detail
