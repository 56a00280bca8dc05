#include "websocket.hpp"

#include <aio/wait_for.hpp>

#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace aio::http {
namespace detail {
namespace {

constexpr int no_status = 1005;
constexpr int abnormal_closure = 1006;
constexpr std::size_t reason_bytes_max = control_bytes_max - 2;
constexpr std::size_t output_bytes_kept = 64 * 1024;
constexpr std::size_t skipped_bytes_max = 256 * 1024;  // of a peer that was hung up on
constexpr double linger_seconds = 2;
constexpr int closed_messages_max = 5;

uvlet::Time in(Duration time) { return uvlet::deadline_after(uvlet::Hub::get().now(), time); }

// The bytes from `sent` on; who gives up leaves the rest of them there.
class Flush final : public uvlet::Operation<Flush, uvlet::Send> {
 public:
  Flush(Connection& connection, std::string& output, std::size_t& sent) noexcept
      : Operation(&connection.descriptor, std::nullopt), output_(output), sent_(sent) {}
  Flush(Flush&&) = default;
  void result() { check("send"); }

 private:
  std::string_view left() const noexcept override {
    return std::string_view(output_).substr(sent_);
  }
  void sent(std::size_t bytes) noexcept override {
    sent_ += bytes;
    if (sent_ < output_.size()) return;
    output_.clear();
    sent_ = 0;
  }

  std::string& output_;
  std::size_t& sent_;
};

bool is_timeout(const std::system_error& error) noexcept {
  return error.code().value() == ETIMEDOUT || error.code().value() == EAGAIN;
}

}  // namespace

// The one who reads, while this lives.
class WebSocketState::Reading {
 public:
  Reading(WebSocketState& state, Reader who) noexcept : state_(state) { state_.reader_ = who; }
  Reading(const Reading&) = delete;
  ~Reading() {
    state_.reader_ = Reader::none;
    state_.changed_.notify_all();
  }

 private:
  WebSocketState& state_;
};

WebSocketState::WebSocketState(WebSocketRole role, WebSocketOptions options)
    : role_(role), options_(std::move(options)) {}

WebSocketState::~WebSocketState() = default;

void WebSocketState::open(std::shared_ptr<Connection> connection, WebSocketAgreement agreement) {
  agreement_ = std::move(agreement);
  parser_.emplace(role_, options_.max_msg_size, agreement_.deflate);
  writer_.emplace(role_, agreement_.deflate);
  connection_ = std::move(connection);
  heard();
}

void WebSocketState::abandon() noexcept {
  if (!connection_ || std::exchange(ended_, true)) return;
  if (!code_) code_ = abnormal_closure;
  connection_->descriptor.close();
  changed_.notify_all();
}

void WebSocketState::check_open() const {
  if (!connection_) throw std::logic_error("a WebSocket that was not prepared");
}

// --- sending -----------------------------------------------------------------------------------

void WebSocketState::check_can_send() const {
  check_open();
  if (lost_) throw WebSocketError(abnormal_closure, "the connection of the WebSocket is lost");
  if (!closed()) return;
  const std::string code = code_ ? ": " + std::to_string(*code_) : "";
  throw WebSocketError(code_.value_or(abnormal_closure), "the WebSocket is closed" + code);
}

task<void> WebSocketState::send(Self self, MsgType type, std::string data) {
  self->check_can_send();
  co_await self->turn_.acquire();
  const std::lock_guard<Lock> turn(self->turn_, std::adopt_lock);
  self->check_can_send();
  self->writer_->message(self->output_, type, data);
  std::string().swap(data);
  co_await flush(self);
}

task<void> WebSocketState::flush(Self self) {
  std::string problem;
  try {
    co_await Flush(*self->connection_, self->output_, self->sent_);
    if (self->output_.capacity() > output_bytes_kept) std::string().swap(self->output_);
    co_return;
  } catch (const std::system_error& error) {
    problem = error.what();
  }
  self->lost_ = true;
  std::string().swap(self->output_);
  self->sent_ = 0;
  throw WebSocketError(abnormal_closure, "the connection of the WebSocket is lost: " + problem);
}

task<void> WebSocketState::send_close(Self self, int code, std::string reason) {
  co_await self->turn_.acquire();
  const std::lock_guard<Lock> turn(self->turn_, std::adopt_lock);
  if (self->lost_ || self->ended_) co_return;
  if (!std::exchange(self->close_sent_, true)) self->writer_->close(self->output_, code, reason);
  try {
    co_await flush(self);
  } catch (const WebSocketError&) {  // who reads will notice
  }
}

// --- receiving ---------------------------------------------------------------------------------

Message WebSocketState::closed_message() {
  if (++closed_messages_ > closed_messages_max)
    throw std::logic_error("receive on a WebSocket that was closed long ago");
  return Message(MsgType::closed, {}, code_.value_or(abnormal_closure));
}

void WebSocketState::heard() noexcept {
  asked_ = false;
  if (options_.heartbeat) beat_ = in(*options_.heartbeat);
}

std::optional<Duration> WebSocketState::patience(uvlet::Time deadline) const {
  const uvlet::Time until = std::min(deadline, beat_);
  if (until == uvlet::never) return std::nullopt;
  return Duration(std::chrono::nanoseconds(until - uvlet::Hub::get().now()));
}

task<Message> WebSocketState::receive(Self self, std::optional<Duration> timeout) {
  self->check_open();
  if (self->reader_ == Reader::receive)
    throw std::logic_error("a WebSocket that somebody receives from already");
  while (self->reader_ == Reader::close) co_await self->changed_.wait();
  const bool unanswered = self->close_received_ && self->options_.autoclose;
  if (self->ended_ || (self->close_received_ && !unanswered)) co_return self->closed_message();
  const Reading turn(*self, Reader::receive);
  if (unanswered) {  // who received the close was cancelled
    co_await finish(self, self->code_.value_or(no_status), {});
    co_return self->closed_message();
  }
  if (!timeout) timeout = self->options_.receive_timeout;
  const uvlet::Time deadline = timeout ? in(*timeout) : uvlet::never;
  for (;;) {
    Message message = co_await read(self, deadline);
    const bool ping = message.type == MsgType::ping, pong = message.type == MsgType::pong;
    if (self->options_.autoping && pong) continue;
    if (self->options_.autoping && ping) {
      if (self->close_sent_ || self->lost_) continue;
      try {
        co_await send(self, MsgType::pong, std::move(message.data));
      } catch (const WebSocketError&) {  // reading will tell
      }
      continue;
    }
    if (message.type == MsgType::close && self->options_.autoclose)
      co_await finish(self, message.code, {});
    if (message.type == MsgType::closed) ++self->closed_messages_;
    co_return message;
  }
}

// The next message of any kind, `closed` at the end of the stream, or `error`.
task<Message> WebSocketState::read(Self self, uvlet::Time deadline) {
  for (;;) {
    int code = abnormal_closure;
    std::string problem;
    bool silent = false;
    try {
      std::string_view bytes = self->connection_->unused();
      std::optional<Message> message = self->parser_->next(bytes);
      self->connection_->keep(bytes.size());
      if (message && message->type == MsgType::close) {
        self->close_received_ = true;
        self->code_ = message->code;
      }
      if (message) co_return std::move(*message);
      const bool goes_on = co_await self->connection_->fill(self->patience(deadline));
      self->heard();
      if (goes_on) continue;
    } catch (const WebSocketError& error) {
      code = error.code;
      problem = error.what();
    } catch (const std::system_error& error) {
      silent = is_timeout(error);
      problem = error.what();
    }
    if (silent) {
      Message failure = co_await on_silence(self, deadline);
      if (failure.type == MsgType::error) co_return failure;
      continue;
    }
    if (!problem.empty() && !self->ended_) {
      Message failure = co_await fail(self, code, std::move(problem));
      co_return failure;
    }
    self->abandon();  // without a close
    co_return Message(MsgType::closed, {}, self->code_.value_or(abnormal_closure));
  }
}

// An `error` gives up.
task<Message> WebSocketState::on_silence(Self self, uvlet::Time deadline) {
  if (uvlet::Hub::get().now() >= deadline) throw TimeoutError("a WebSocket's receive");
  const Duration half = self->options_.heartbeat->seconds() / 2;
  bool answered = !self->asked_;
  if (answered && !self->turn_.locked() && !self->close_sent_) {
    try {
      co_await wait_for(send(self, MsgType::ping, {}), half);
    } catch (const TimeoutError&) {
      answered = false;
    } catch (const WebSocketError&) {
      answered = false;
    }
  }
  if (answered) {
    self->asked_ = true;
    self->beat_ = in(half);
    co_return Message(MsgType::ping);
  }
  Message failure = co_await fail(self, abnormal_closure, "no answer to a ping");
  co_return failure;
}

task<Message> WebSocketState::fail(Self self, int code, std::string what) {
  self->code_ = code;
  self->exception_ = std::make_exception_ptr(WebSocketError(code, what));
  if (code == abnormal_closure)
    self->abandon();
  else
    co_await finish(self, code, what.substr(0, reason_bytes_max));
  co_return Message(MsgType::error, std::move(what), code);
}

// --- the end -----------------------------------------------------------------------------------

// For who reads: the last word, if that was not said, and the end of the connection.
task<void> WebSocketState::finish(Self self, int code, std::string reason) {
  try {
    co_await wait_for(say_goodbye(self, code, std::move(reason)), self->options_.close_timeout);
  } catch (const TimeoutError&) {
  }
  self->abandon();
}

task<void> WebSocketState::say_goodbye(Self self, int code, std::string reason) {
  co_await send_close(self, code, std::move(reason));
  co_await hang_up(self);
}

// RFC 6455, 7.1.1: the server closes first. Closing with bytes unread would make the system discard
// what the peer has not read yet.
task<void> WebSocketState::hang_up(Self self) {
  if (self->role_ == WebSocketRole::server && self->close_received_) co_return;
  if (!self->close_received_) self->connection_->descriptor.shutdown(SHUT_WR);
  const uvlet::Time deadline = in(linger_seconds);
  try {
    for (std::size_t skipped = 0; skipped <= skipped_bytes_max;) {
      const Duration left(std::chrono::nanoseconds(deadline - uvlet::Hub::get().now()));
      const bool goes_on = co_await self->connection_->fill(left);
      if (!goes_on) break;
      skipped += self->connection_->unused().size();
      self->connection_->keep(0);
    }
  } catch (const std::system_error&) {
  }
}

task<void> WebSocketState::close_and_wait(Self self, int code, std::string reason) {
  co_await send_close(self, code, std::move(reason));
  while (!self->ended_) {
    if (self->reader_ != Reader::none) {
      co_await self->changed_.wait();
      continue;
    }
    const Reading turn(*self, Reader::close);
    if (!self->close_received_) co_await read(self, uvlet::never);
    if (!self->close_received_) continue;
    co_await hang_up(self);
    self->abandon();
  }
}

task<bool> WebSocketState::close(Self self, int code, std::string reason) {
  self->check_open();
  if (!is_close_code(code))
    throw std::invalid_argument("close: " + std::to_string(code) + " is no code to close with");
  if (reason.size() > reason_bytes_max)
    throw std::invalid_argument("close: a reason of " + std::to_string(reason.size()) +
                                " bytes, more than " + std::to_string(reason_bytes_max));
  if (!is_utf8(reason)) throw std::invalid_argument("close: a reason that is not UTF-8");
  const bool first = !std::exchange(self->close_called_, true) && !self->ended_;
  if (self->ended_) co_return false;
  try {
    co_await wait_for(close_and_wait(self, code, std::move(reason)), self->options_.close_timeout);
  } catch (const TimeoutError&) {
    if (!self->close_received_) self->code_ = abnormal_closure;
  }
  self->abandon();
  co_return first;
}

}  // namespace detail

// --- WebSocket ---------------------------------------------------------------------------------

namespace {

using detail::WebSocketState;

task<void> send_control(std::shared_ptr<WebSocketState> state, MsgType type, std::string data) {
  if (data.size() > detail::control_bytes_max)
    throw std::invalid_argument("a ping or pong of " + std::to_string(data.size()) +
                                " bytes, more than " + std::to_string(detail::control_bytes_max));
  co_await WebSocketState::send(std::move(state), type, std::move(data));
}

task<std::string> receive_data(std::shared_ptr<WebSocketState> state, MsgType type,
                               std::optional<Duration> timeout) {
  Message message = co_await WebSocketState::receive(std::move(state), timeout);
  if (message.last())
    throw WebSocketError(message.code, "the WebSocket ended: " + std::to_string(message.code) +
                                           (message.data.empty() ? "" : " " + message.data));
  if (message.type != type)
    throw WebSocketError(1003, type == MsgType::text ? "a message that is not text"
                                                     : "a message that is not binary");
  co_return std::move(message.data);
}

}  // namespace

WebSocket::WebSocket(std::shared_ptr<detail::WebSocketState> state) noexcept
    : state_(std::move(state)) {}

task<void> WebSocket::send_str(std::string text) {
  const auto checked = [](std::shared_ptr<WebSocketState> state, std::string data) -> task<void> {
    if (!detail::is_utf8(data)) throw std::invalid_argument("send_str: the text is not UTF-8");
    co_await WebSocketState::send(std::move(state), MsgType::text, std::move(data));
  };
  return checked(state_, std::move(text));
}

task<void> WebSocket::send_bytes(std::string data) {
  return WebSocketState::send(state_, MsgType::binary, std::move(data));
}

task<void> WebSocket::send_json(const json& value) { return send_str(value.dump()); }

task<void> WebSocket::ping(std::string data) {
  return send_control(state_, MsgType::ping, std::move(data));
}

task<void> WebSocket::pong(std::string data) {
  return send_control(state_, MsgType::pong, std::move(data));
}

task<Message> WebSocket::receive(std::optional<Duration> timeout) {
  return WebSocketState::receive(state_, timeout);
}

task<std::optional<Message>> WebSocket::next() {
  const auto next = [](std::shared_ptr<WebSocketState> state) -> task<std::optional<Message>> {
    Message message = co_await WebSocketState::receive(std::move(state), std::nullopt);
    if (message.last()) co_return std::nullopt;
    co_return std::move(message);
  };
  return next(state_);
}

task<std::string> WebSocket::receive_str(std::optional<Duration> timeout) {
  return receive_data(state_, MsgType::text, timeout);
}

task<std::string> WebSocket::receive_bytes(std::optional<Duration> timeout) {
  return receive_data(state_, MsgType::binary, timeout);
}

task<json> WebSocket::receive_json(std::optional<Duration> timeout) {
  const auto parsed = [](std::shared_ptr<WebSocketState> state,
                         std::optional<Duration> limit) -> task<json> {
    const std::string text = co_await receive_data(std::move(state), MsgType::text, limit);
    co_return json::parse(text);
  };
  return parsed(state_, timeout);
}

task<bool> WebSocket::close(int code, std::string reason) {
  return WebSocketState::close(state_, code, std::move(reason));
}

bool WebSocket::closed() const { return state_->closed(); }
std::optional<int> WebSocket::close_code() const { return state_->code(); }
const std::string& WebSocket::protocol() const { return state_->protocol(); }
bool WebSocket::compressed() const { return state_->compressed(); }
std::exception_ptr WebSocket::exception() const { return state_->exception(); }

}  // namespace aio::http
