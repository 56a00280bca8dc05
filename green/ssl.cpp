#include <green/socket.hpp>

#include "../src/tls/transport.hpp"

#include <uvlet/handshake.hpp>

#include <stdexcept>

namespace green {
namespace {

using aio::tls::TlsTransport;

// Waits until both ends have said that TLS is over.
class Unwrap final : public uvlet::Operation<Unwrap, uvlet::IoWait> {
 public:
  Unwrap(uvlet::Descriptor* descriptor, std::optional<Duration> limit) noexcept
      : Operation(descriptor, uvlet::Direction::read, limit) {}
  Unwrap(Unwrap&&) = default;
  void result() const { check("unwrap"); }

 private:
  bool attempt() noexcept override {
    auto* transport = static_cast<TlsTransport*>(descriptor_->transport());
    return transport->unwrap(*descriptor_) == 0 || failed(errno);
  }
};

TlsTransport* tls_of(const uvlet::Descriptor& descriptor) noexcept {
  return dynamic_cast<TlsTransport*>(descriptor.transport());
}

// The bytes go as they are again. What came behind the end is read first: of a transport that has
// some, that is the use.
void leave_tls(uvlet::Descriptor& descriptor) {
  if (!tls_of(descriptor)->rest().empty()) return;
  descriptor.set_transport(nullptr);
  descriptor.drained = false;
  descriptor.update_watch();
}

// The bytes go through TLS, also those that came behind the end of an earlier one.
void enter_tls(uvlet::Descriptor& descriptor, const SslOptions& options) {
  const TlsTransport* earlier = tls_of(descriptor);
  if (descriptor.transport() && !(earlier && earlier->over()))
    throw std::logic_error("wrap_ssl: it is encrypted already");
  std::unique_ptr<uvlet::Transport> transport = aio::detail::ssl_transport(options);
  if (earlier) static_cast<TlsTransport&>(*transport).feed(std::string(earlier->rest()));
  descriptor.set_transport(std::move(transport));
}

bool connected(const Socket& socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  return ::getpeername(socket.fileno(), reinterpret_cast<sockaddr*>(&storage), &length) == 0;
}

uvlet::Descriptor& open_descriptor(const Socket& socket, const char* call) {
  if (socket.closed()) throw std::system_error(EBADF, std::generic_category(), call);
  return *socket.descriptor();
}

}  // namespace

aio::task<Socket> wrap_ssl_async(Socket socket, SslOptions options) {
  uvlet::Descriptor& descriptor = open_descriptor(socket, "wrap_ssl");
  if (!descriptor.stream()) throw std::invalid_argument("wrap_ssl of a socket that is no stream");
  const bool listening = socket.getsockopt(SOL_SOCKET, SO_ACCEPTCONN) != 0;
  if (listening) options.server_side = true;
  enter_tls(descriptor, options);
  const bool may_wait = !socket.gettimeout() || socket.gettimeout()->seconds() > 0;
  if (!listening && may_wait && connected(socket)) {
    uvlet::Handshake handshaking(&descriptor, socket.gettimeout());
    co_await std::move(handshaking);
  }
  co_return std::move(socket);
}

Socket wrap_ssl(Socket socket, SslOptions options) {
  return detail::drive(wrap_ssl_async(std::move(socket), std::move(options)));
}

aio::task<Socket> unwrap_ssl_async(Socket socket) {
  uvlet::Descriptor& descriptor = open_descriptor(socket, "unwrap_ssl");
  if (const TlsTransport* tls = tls_of(descriptor); !tls || tls->over())
    throw std::logic_error("unwrap_ssl of a socket that is not encrypted");
  Unwrap unwrapping(&descriptor, socket.gettimeout());
  co_await std::move(unwrapping);
  leave_tls(descriptor);
  co_return std::move(socket);
}

Socket unwrap_ssl(Socket socket) { return detail::drive(unwrap_ssl_async(std::move(socket))); }

SslInfo ssl_info(const Socket& socket) {
  return aio::detail::ssl_info(open_descriptor(socket, "ssl_info").transport());
}

}  // namespace green
