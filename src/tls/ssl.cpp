#include <aio/ssl.hpp>

#include "peer.hpp"
#include "transport.hpp"

#include <uvlet/c_string.hpp>
#include <uvlet/handshake.hpp>

#include <stdexcept>

namespace aio {
namespace {

constexpr std::size_t name_bytes_max = 253;

// The name as it is sent and compared: without the dot that ends an absolute one, and without the
// interface of an IPv6 address, which means something to this host alone.
std::string host_of(const SslOptions& options) {
  if (options.server_side) return {};
  std::string host = options.server_hostname;
  if (!host.empty() && host.back() == '.') host.pop_back();
  const std::string ip = host.substr(0, host.find('%'));
  if (tls::is_ip(ip)) host = ip;
  if (host.empty() && options.verify)
    throw std::invalid_argument(
        "SslOptions: verify needs a server_hostname that the certificate is to be for");
  if (host.size() > name_bytes_max || host.find('\0') != std::string::npos)
    throw std::invalid_argument("SslOptions: server_hostname is no host name: '" +
                                uvlet::show_nul(host) + "'");
  return host;
}

const tls::TlsTransport& tls_of(const uvlet::Transport* transport) {
  const auto* found = dynamic_cast<const tls::TlsTransport*>(transport);
  if (!found || found->over()) throw std::logic_error("not encrypted: there is no TLS");
  return *found;
}

}  // namespace

namespace tls {

SslInfo TlsTransport::info() const {
  SslInfo info;
  if (state_ != State::open || !ssl_) return info;
  const SSL* ssl = ssl_.get();
  info.version = SSL_get_version(ssl);
  info.cipher = SSL_get_cipher_name(ssl);
  const unsigned char* protocol = nullptr;
  unsigned bytes = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &bytes);
  if (bytes > 0) info.alpn.assign(reinterpret_cast<const char*>(protocol), bytes);
  info.session_reused = SSL_session_reused(ssl) == 1;
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
    info.server_hostname = name;
  if (const X509* certificate = SSL_get0_peer_certificate(ssl))
    info.peer_certificate = describe(*certificate);
  return info;
}

}  // namespace tls

std::unique_ptr<uvlet::Transport> detail::ssl_transport(const SslOptions& options) {
  std::string host = host_of(options);
  return std::make_unique<tls::TlsTransport>(tls::Context::of(options), std::move(host));
}

SslInfo detail::ssl_info(const uvlet::Transport* transport) { return tls_of(transport).info(); }

SslInfo ssl_info(const Stream& stream) { return detail::ssl_info(stream.descriptor().transport()); }

task<void> start_tls(Stream stream, SslOptions options) {
  co_await stream.flush();
  uvlet::Descriptor& descriptor = stream.descriptor();
  if (descriptor.transport()) throw std::logic_error("start_tls: it is encrypted already");
  if (descriptor.taken(uvlet::Direction::read))
    throw std::logic_error("start_tls while somebody reads from the stream");
  std::string host = host_of(options);
  auto transport = std::make_unique<tls::TlsTransport>(tls::Context::of(options), std::move(host));
  transport->feed(stream.read_buffered());
  descriptor.set_transport(std::move(transport));
  uvlet::Handshake handshaking(&descriptor, std::nullopt);
  co_await std::move(handshaking);
}

task<Stream> open_connection(Address address, SslOptions options) {
  if (options.server_hostname.empty() && address.family() != AF_UNIX)
    options.server_hostname = address.host();
  Stream stream = co_await open_connection(std::move(address));
  co_await start_tls(stream, std::move(options));
  co_return stream;
}

}  // namespace aio
