#include "listener.hpp"

#include <aio/sleep.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace aio::detail {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Gives minus the errno if there is no connection.
class Accept final : public uvlet::Operation<Accept, uvlet::IoWait> {
 public:
  Accept(uvlet::Descriptor& listener, Address::Raw& peer) noexcept
      : Operation(&listener, uvlet::Direction::read, std::nullopt), peer_(peer) {}
  Accept(Accept&&) = default;
  ~Accept() {
    if (accepted_ >= 0) ::close(accepted_);
  }
  int result() noexcept { return error_number != 0 ? -error_number : std::exchange(accepted_, -1); }

 private:
  bool attempt() noexcept override {
    accepted_ = uvlet::accept_connection(fd(), peer_.storage, peer_.length);
    return accepted_ >= 0 || accept_failed(errno);
  }

  Address::Raw& peer_;
  int accepted_ = -1;
};

// The file of a socket that nobody listens on any more, or that the caller means to replace.
void remove_stale(const Address& address) noexcept {
  if (address.family() != AF_UNIX || address.host().empty() || address.host()[0] == '\0') return;
  struct stat status;
  if (::stat(address.host().c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
    ::unlink(address.host().c_str());
}

}  // namespace

void send_at_once(int fd) noexcept {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int listen_on(const Address& address, int backlog, bool reuse_port) {
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  uvlet::Descriptor closing(fd, false);
  const int on = 1;
  if (address.family() != AF_UNIX) {
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  remove_stale(address);
  const Address::Raw raw = address.raw();
  if (::bind(fd, raw.get(), raw.length) != 0) fail("bind to " + address.str());
  if (::listen(fd, backlog) != 0) fail("listen on " + address.str());
  return closing.detach();
}

Address name_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(fd, address, &length) != 0) fail("getsockname");
  return Address::from_sockaddr(address, length);
}

task<Accepted> accept_patiently(uvlet::Descriptor& listener) {
  Accepted accepted;
  if (const uvlet::Transport* transport = listener.transport())
    accepted.transport = transport->accepted();
  while (listener.fd() >= 0) {
    Accept accept(listener, accepted.peer);
    const int fd = co_await std::move(accept);
    if (fd >= 0) {
      send_at_once(fd);
      accepted.fd = fd;
      break;
    }
    if (uvlet::out_of_resources(-fd))
      co_await sleep(uvlet::accept_pause_seconds);
    else if (listener.fd() >= 0)
      throw std::system_error(-fd, std::generic_category(), "accept");
  }
  co_return std::move(accepted);
}

}  // namespace aio::detail
