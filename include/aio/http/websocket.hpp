#pragma once

// WebSockets as both ends see them. In the library uvlet-http, where wslay and OpenSSL were found.

#include <aio/http/errors.hpp>
#include <aio/http/json.hpp>
#include <aio/task.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace aio::http {

using uvlet::Duration;

namespace detail {
class WebSocketState;
}

enum class MsgType {
  text,    // data: UTF-8, which was checked
  binary,  // data
  ping,    // data; only with autoping off
  pong,    // data; only with autoping off
  close,   // the peer closes: code, and data is its reason
  closed,  // the connection has ended: code is close_code()
  error,   // it has failed: code, and data is what was wrong; exception() throws it
  // aiohttp's names
  TEXT = text,
  BINARY = binary,
  PING = ping,
  PONG = pong,
  CLOSE = close,
  CLOSED = closed,
  ERROR = error,
};
using WSMsgType = MsgType;

struct Message {
  Message() = default;
  explicit Message(MsgType kind, std::string bytes = {}, int status = 0)
      : type(kind), data(std::move(bytes)), code(status) {}

  MsgType type = MsgType::closed;
  std::string data;
  int code = 0;  // of close, closed and error: RFC 6455, 7.4

  // Throws json::parse_error.
  json parse_json() const { return json::parse(data); }
  // Whether nothing can come after it.
  bool last() const noexcept {
    return type == MsgType::close || type == MsgType::closed || type == MsgType::error;
  }
};

// The peer breaks the protocol, or the connection has ended: 1002, 1006, 1007, ...
struct UVLET_API WebSocketError : std::runtime_error {
  WebSocketError(int status, const std::string& what) : std::runtime_error(what), code(status) {}
  int code;
};

// The server does not agree to a WebSocket; 101: it does, but not as it has to.
struct UVLET_API WSServerHandshakeError : ClientResponseError {
  using ClientResponseError::ClientResponseError;
};

// aiohttp's, for both ends.
struct UVLET_API WebSocketOptions {
  WebSocketOptions();
  // Subprotocols: a client's offer; a server takes the client's first one that is among them.
  std::vector<std::string> protocols;
  // permessage-deflate (RFC 7692), if the other end wants it too.
  bool compress = true;
  // Of a message that is received, as it comes and unpacked: one with more bytes fails with 1009.
  // 0: no limit.
  std::size_t max_msg_size = 4 * 1024 * 1024;
  // Whether receive() answers a close, and a ping, itself.
  bool autoclose = true;
  bool autoping = true;
  // Who has been silent for so long is sent a ping, and if nothing comes for half as long again the
  // connection has failed with 1006. Looked after by who waits in receive().
  std::optional<Duration> heartbeat;
  // Of each receive() that is given no other.
  std::optional<Duration> receive_timeout;
  // How long close() waits for the other end.
  Duration close_timeout = 10;
};

// An end of a WebSocket connection. A shared handle: copies are the same connection, which the last
// one closes without a word (1006 for the peer); a server's lives as long as its request. Any
// number may send at once, each message whole and in the order of the calls; one may receive.
// Messages are sent as fast as the peer takes them. Who is cancelled while sending leaves the rest
// of the message to be sent before the next. Source: aiohttp.
class UVLET_API WebSocket {
 public:
  // Wait until the system has all of it. Throw WebSocketError with the close code once the
  // connection has ended or is closing, invalid_argument for a text that is not UTF-8.
  task<void> send_str(std::string text);
  task<void> send_bytes(std::string data);
  task<void> send_json(const json& value);
  // At most 125 bytes, else invalid_argument.
  task<void> ping(std::string data = {});
  task<void> pong(std::string data = {});

  // The next message. When the connection ends, for whatever reason, that is a message too; after
  // it come `closed` ones, and the sixth throws logic_error: a loop has missed the end. Throws
  // TimeoutError, with nothing lost, logic_error if somebody receives already.
  task<Message> receive(std::optional<Duration> timeout = {});
  // The next one; nullopt once receive() gives the last.
  task<std::optional<Message>> next();
  // The data of the next message; another kind of message is a WebSocketError.
  task<std::string> receive_str(std::optional<Duration> timeout = {});
  task<std::string> receive_bytes(std::optional<Duration> timeout = {});
  task<json> receive_json(std::optional<Duration> timeout = {});

  // Says that no more will be sent, waits for the peer to say so too, at most for close_timeout,
  // dropping what it still sends, and closes the connection. True the first time. Throws
  // invalid_argument for a code that may not be sent (RFC 6455, 7.4.2), or a reason of more than
  // 123 bytes or that is not UTF-8.
  task<bool> close(int code = 1000, std::string reason = {});

  // Nothing more can be sent.
  bool closed() const;
  // What the peer closed with, 1005 if it gave none, 1006 if the connection was cut; else what
  // failed. nullopt while it is open.
  std::optional<int> close_code() const;
  // The subprotocol that was agreed on; "": none.
  const std::string& protocol() const;
  // Whether messages are compressed.
  bool compressed() const;
  // What an `error` was about; null: none.
  std::exception_ptr exception() const;

  // For who makes the connection.
  explicit WebSocket(std::shared_ptr<detail::WebSocketState> state) noexcept;

 protected:
  std::shared_ptr<detail::WebSocketState> state_;
};

}  // namespace aio::http
