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
// x_async() is awaitable, and what x() waits for.
class UVLET_API WebSocket {
 public:
  explicit WebSocket(aio::http::WebSocket socket) noexcept : socket_(std::move(socket)) {}

  // Blocks the green thread. Cancel point.
  void send_str(std::string text);
  aio::task<void> send_str_async(std::string text) { return socket_.send_str(std::move(text)); }
  // Blocks the green thread. Cancel point.
  void send_bytes(std::string data);
  aio::task<void> send_bytes_async(std::string data) { return socket_.send_bytes(std::move(data)); }
  // Blocks the green thread. Cancel point.
  void send_json(const aio::http::json& value);
  aio::task<void> send_json_async(const aio::http::json& value) { return socket_.send_json(value); }
  // Blocks the green thread. Cancel point.
  void ping(std::string data = {});
  aio::task<void> ping_async(std::string data = {}) { return socket_.ping(std::move(data)); }
  // Blocks the green thread. Cancel point.
  void pong(std::string data = {});
  aio::task<void> pong_async(std::string data = {}) { return socket_.pong(std::move(data)); }
  // Blocks the green thread. Cancel point.
  Message receive(std::optional<Duration> timeout = {});
  aio::task<Message> receive_async(std::optional<Duration> timeout = {}) {
    return socket_.receive(timeout);
  }
  // nullopt once receive() gives the last.
  // Blocks the green thread. Cancel point.
  std::optional<Message> next();
  aio::task<std::optional<Message>> next_async() { return socket_.next(); }
  // Blocks the green thread. Cancel point.
  std::string receive_str(std::optional<Duration> timeout = {});
  aio::task<std::string> receive_str_async(std::optional<Duration> timeout = {}) {
    return socket_.receive_str(timeout);
  }
  // Blocks the green thread. Cancel point.
  std::string receive_bytes(std::optional<Duration> timeout = {});
  aio::task<std::string> receive_bytes_async(std::optional<Duration> timeout = {}) {
    return socket_.receive_bytes(timeout);
  }
  // Blocks the green thread. Cancel point.
  aio::http::json receive_json(std::optional<Duration> timeout = {});
  aio::task<aio::http::json> receive_json_async(std::optional<Duration> timeout = {}) {
    return socket_.receive_json(timeout);
  }
  // Blocks the green thread. Cancel point.
  bool close(int code = 1000, std::string reason = {});
  aio::task<bool> close_async(int code = 1000, std::string reason = {}) {
    return socket_.close(code, std::move(reason));
  }

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
  aio::task<void> prepare_async(aio::web::Request& request) { return response_.prepare(request); }

  operator aio::web::Response() const { return response_; }
  aio::web::WebSocketResponse& async() noexcept { return response_; }

 private:
  explicit WebSocketResponse(aio::web::WebSocketResponse response)
      : WebSocket(response), response_(std::move(response)) {}

  aio::web::WebSocketResponse response_;
};

}  // namespace green::http
