#pragma once

// WebSockets for a program that is all green, both ends. In the library uvlet-http, where wslay and
// OpenSSL were found.

#include <aio/websocket.hpp>

#include <optional>
#include <string>
#include <utility>

namespace green::http {

using aio::http::Message;
using aio::http::MsgType;
using aio::http::WebSocketError;
using aio::http::WebSocketOptions;
using aio::http::WSMsgType;
using aio::http::WSServerHandshakeError;
using uvlet::Duration;

// aio::http::WebSocket, blocking: its members say what they do and throw.
class UVLET_API WebSocket {
 public:
  explicit WebSocket(aio::http::WebSocket socket) noexcept : socket_(std::move(socket)) {}

  // Blocks the green thread. Cancel point.
  void send_str(std::string text);
  // Blocks the green thread. Cancel point.
  void send_bytes(std::string data);
  // Blocks the green thread. Cancel point.
  void send_json(const aio::http::json& value);
  // Blocks the green thread. Cancel point.
  void ping(std::string data = {});
  // Blocks the green thread. Cancel point.
  void pong(std::string data = {});
  // Blocks the green thread. Cancel point.
  Message receive(std::optional<Duration> timeout = {});
  // nullopt once receive() gives the last.
  // Blocks the green thread. Cancel point.
  std::optional<Message> next();
  // Blocks the green thread. Cancel point.
  std::string receive_str(std::optional<Duration> timeout = {});
  // Blocks the green thread. Cancel point.
  std::string receive_bytes(std::optional<Duration> timeout = {});
  // Blocks the green thread. Cancel point.
  aio::http::json receive_json(std::optional<Duration> timeout = {});
  // Blocks the green thread. Cancel point.
  bool close(int code = 1000, std::string reason = {});

  bool closed() const { return socket_.closed(); }
  std::optional<int> close_code() const { return socket_.close_code(); }
  const std::string& protocol() const { return socket_.protocol(); }
  bool compressed() const { return socket_.compressed(); }
  std::exception_ptr exception() const { return socket_.exception(); }

  // The same connection for coroutines.
  aio::http::WebSocket& async() noexcept { return socket_; }

 private:
  aio::http::WebSocket socket_;
};

// aio::web::WebSocketResponse, blocking: what a handler prepares, converses over, and returns.
class UVLET_API WebSocketResponse : public WebSocket {
 public:
  explicit WebSocketResponse(WebSocketOptions options = WebSocketOptions())
      : WebSocketResponse(aio::web::WebSocketResponse(std::move(options))) {}

  aio::http::Headers& headers() noexcept { return response_.headers(); }
  bool can_prepare(const aio::web::Request& request) const {
    return response_.can_prepare(request);
  }
  // Blocks the green thread. Cancel point.
  void prepare(aio::web::Request& request);

  operator aio::web::Response() const { return response_; }
  aio::web::WebSocketResponse& async() noexcept { return response_; }

 private:
  explicit WebSocketResponse(aio::web::WebSocketResponse response)
      : WebSocket(response), response_(std::move(response)) {}

  aio::web::WebSocketResponse response_;
};

}  // namespace green::http
