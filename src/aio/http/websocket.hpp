#pragma once

// What the handles of a WebSocket share: the connection, and how far it has come.

#include "connection.hpp"
#include "websocket_codec.hpp"
#include "websocket_handshake.hpp"

#include <aio/http/websocket.hpp>
#include <aio/lock.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/signal.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <string>

namespace aio::http::detail {

class UVLET_API WebSocketState {
 public:
  using Self = std::shared_ptr<WebSocketState>;

  WebSocketState(WebSocketRole role, WebSocketOptions options);
  ~WebSocketState();

  // Takes over a connection whose handshake is done.
  void open(std::shared_ptr<Connection> connection, WebSocketAgreement agreement);
  bool is_open() const noexcept { return connection_ != nullptr; }  // and may have ended
  const WebSocketOptions& options() const noexcept { return options_; }

  // See WebSocket.
  static task<void> send(Self self, MsgType type, std::string data);
  static task<Message> receive(Self self, std::optional<Duration> timeout);
  static task<bool> close(Self self, int code, std::string reason);
  bool closed() const noexcept { return ended_ || close_sent_; }
  std::optional<int> code() const noexcept { return code_; }
  std::exception_ptr exception() const noexcept { return exception_; }
  const std::string& protocol() const noexcept { return agreement_.protocol; }
  bool compressed() const noexcept { return agreement_.deflate.has_value(); }

  // Closes the connection as it is: whoever waits gets on.
  void abandon() noexcept;

 private:
  enum class Reader { none, receive, close };
  class Reading;

  static task<Message> read(Self self, uvlet::Time deadline);
  static task<Message> on_silence(Self self, uvlet::Time deadline);
  static task<Message> fail(Self self, int code, std::string what);
  static task<void> send_close(Self self, int code, std::string reason);
  static task<void> flush(Self self);
  static task<void> finish(Self self, int code, std::string reason);
  static task<void> say_goodbye(Self self, int code, std::string reason);
  static task<void> close_and_wait(Self self, int code, std::string reason);
  static task<void> hang_up(Self self);
  void check_can_send() const;
  void check_open() const;
  Message closed_message();
  void heard() noexcept;
  std::optional<Duration> patience(uvlet::Time deadline) const;

  const WebSocketRole role_;
  const WebSocketOptions options_;
  WebSocketAgreement agreement_;
  std::shared_ptr<Connection> connection_;  // null: not open yet
  std::optional<WebSocketParser> parser_;
  std::optional<WebSocketWriter> writer_;

  Lock turn_;             // to send: whole messages, in the order of asking
  std::string output_;    // of messages whose turn has come, also of who was cancelled then
  std::size_t sent_ = 0;  // of it
  bool lost_ = false;     // sending has failed
  Reader reader_ = Reader::none;
  uvlet::Signal changed_{"the end of a WebSocket"};  // reader_, ended_

  bool close_called_ = false;
  bool close_sent_ = false;
  bool close_received_ = false;
  bool ended_ = false;  // the connection is closed
  std::optional<int> code_;
  std::exception_ptr exception_;
  int closed_messages_ = 0;  // that receive() gave since

  uvlet::Time beat_ = uvlet::never;  // when a silent peer is asked, or given up
  bool asked_ = false;               // by a ping that was not answered yet
};

}  // namespace aio::http::detail
