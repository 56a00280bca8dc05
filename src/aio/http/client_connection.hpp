#pragma once

// Connections of a client: to whom, and how they come about.

#include "connection.hpp"
#include "parser.hpp"
#include "url.hpp"

#include <aio/ssl_options.hpp>
#include <aio/task.hpp>
#include <uvlet/hub.hpp>

#include <memory>
#include <optional>
#include <string>

namespace aio::http::detail {

// What a connection is to: two requests to equal ones may share it.
struct Endpoint {
  // `proxy`: through which, if any. `ssl` counts if the URL is one of https or wss.
  Endpoint(const Url& url, std::optional<Url> proxy, SslOptions ssl);

  bool secure;
  std::string host;
  std::uint16_t port;
  std::optional<Url> proxy;
  SslOptions ssl;
  std::string key;   // equal where endpoints are
  std::string name;  // "example.com:80"

  // A proxy that is asked for whole URLs: it sees plain requests.
  bool forwarded() const noexcept { return proxy && !secure; }
};

// A connection, and how far its responses were read.
struct ClientConnection {
  explicit ClientConnection(int fd) : bytes(fd, nullptr), parser(Parser::Of::responses, limits()) {}

  // Whether an idle one can still be used: nothing has come, the end least of all.
  bool alive() noexcept;

  static Limits limits() noexcept { return {16 * 1024, 32 * 1024, 256}; }

  Connection bytes;
  Parser parser;
  bool reused = false;  // it has served a request
  uvlet::Time idle_until = 0;
};

// Connects, through the proxy if there is one, and shakes hands. Throws ClientConnectorError, with
// what it is for nested in it.
task<std::unique_ptr<ClientConnection>> open_connection(Endpoint to);

// "Basic ...": RFC 7617.
std::string basic_auth(const std::string& user, const std::string& password);

}  // namespace aio::http::detail
