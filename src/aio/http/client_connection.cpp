#include "client_connection.hpp"

#include "../listener.hpp"
#include "text.hpp"

#include <aio/connect.hpp>
#include <aio/exceptions.hpp>
#include <aio/http/errors.hpp>
#include <uvlet/handshake.hpp>

#include <cerrno>
#include <exception>
#include <stdexcept>

namespace aio::http::detail {
namespace {

using Opened = std::unique_ptr<ClientConnection>;

std::string ssl_key(const SslOptions& ssl) {
  std::string key = ssl.verify ? "verified" : "unverified";
  for (const std::string* part :
       {&ssl.certfile, &ssl.keyfile, &ssl.ca_certs, &ssl.server_hostname, &ssl.ciphers})
    key += '\n' + *part;
  for (const std::string& protocol : ssl.alpn) key += '\n' + protocol;
  return key;
}

std::unique_ptr<uvlet::Transport> transport(SslOptions ssl, const std::string& host) {
#if defined(UVLET_HTTP_TLS)
  ssl.server_side = false;
  if (ssl.server_hostname.empty()) ssl.server_hostname = host;
  return aio::detail::ssl_transport(ssl);
#else
  throw std::logic_error("https to " + host + ", but uvlet was built without OpenSSL");
#endif
}

task<Opened> connect_to(std::string host, std::uint16_t port) {
  std::unique_ptr<uvlet::Descriptor> descriptor =
      co_await aio::detail::connect(uvlet::Address(host, port));
  aio::detail::send_at_once(descriptor->fd());
  co_return std::make_unique<ClientConnection>(descriptor->detach());
}

task<void> shake_hands(ClientConnection& connection, SslOptions ssl, std::string host) {
  uvlet::Descriptor& descriptor = connection.bytes.descriptor;
  descriptor.set_transport(transport(std::move(ssl), host));
  uvlet::Handshake handshaking(&descriptor, std::nullopt);
  co_await std::move(handshaking);
}

std::string connect_request(const Endpoint& to) {
  std::string text = "CONNECT " + to.name + " HTTP/1.1\r\n";
  append_field(text, "Host", to.name);
  if (!to.proxy->user.empty() || !to.proxy->password.empty())
    append_field(text, "Proxy-Authorization", basic_auth(to.proxy->user, to.proxy->password));
  return text + "\r\n";
}

// Has the proxy lead all that follows to the host itself.
task<void> open_tunnel(ClientConnection& connection, const Endpoint& to) {
  const std::string request = connect_request(to);
  co_await connection.bytes.send(request, std::nullopt);
  Parser parser(Parser::Of::responses, ClientConnection::limits());
  for (;;) {
    parser.expect_no_body();
    std::string_view input = connection.bytes.unused();
    const Parser::Event event = parser.next(input);
    connection.bytes.keep(input.size());
    const int status = parser.head().status;
    if (event == Parser::Event::head && status >= 200) {
      if (status >= 300)
        throw std::runtime_error("the proxy answers " + std::to_string(status) + " " +
                                 parser.head().reason);
      break;
    }
    if (event != Parser::Event::more) continue;
    const bool open = co_await connection.bytes.fill(std::nullopt);
    if (!open) throw std::runtime_error("the proxy has closed the connection");
  }
  if (!connection.bytes.unused().empty())
    throw std::runtime_error("the proxy has sent something after its answer");
}

task<Opened> open(const Endpoint& to) {
  if (!to.proxy) {
    Opened direct = co_await connect_to(to.host, to.port);
    if (to.secure) co_await shake_hands(*direct, to.ssl, to.host);
    co_return direct;
  }
  if (to.secure && to.proxy->secure())
    throw std::runtime_error("https through a proxy of https is not supported");
  Opened through = co_await connect_to(to.proxy->host, to.proxy->port);
  if (to.proxy->secure()) co_await shake_hands(*through, to.ssl, to.proxy->host);
  if (to.secure) {
    co_await open_tunnel(*through, to);
    co_await shake_hands(*through, to.ssl, to.host);
  }
  co_return through;
}

}  // namespace

Endpoint::Endpoint(const Url& url, std::optional<Url> through, SslOptions how)
    : secure(url.secure()),
      host(url.host),
      port(url.port),
      proxy(std::move(through)),
      ssl(std::move(how)),
      name((host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
           std::to_string(port)) {
  key = (secure ? "https://" : "http://") + name;
  if (proxy) key += '\n' + proxy->str();
  if (secure || (proxy && proxy->secure())) key += '\n' + ssl_key(ssl);
}

bool ClientConnection::alive() noexcept {
  char byte;
  return bytes.unused().empty() && bytes.descriptor.fd() >= 0 &&
         bytes.descriptor.recv(&byte, 1) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

task<Opened> open_connection(Endpoint to) {
  try {
    co_return co_await open(to);
  } catch (const std::logic_error&) {  // options that do not go together
    throw;
  } catch (const TimeoutError&) {  // a scope of the caller's
    throw;
  } catch (const std::exception& error) {
    std::string what = "Cannot connect to host " + to.name;
    if (to.proxy) what += " through " + to.proxy->origin();
    std::throw_with_nested(ClientConnectorError(what + ": " + error.what()));
  }
}

std::string basic_auth(const std::string& user, const std::string& password) {
  if (user.find(':') != std::string::npos)
    throw std::invalid_argument("a user's name with a colon: '" + user + "'");
  return "Basic " + base64(user + ":" + password);
}

}  // namespace aio::http::detail
