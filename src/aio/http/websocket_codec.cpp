#include "websocket_codec.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <sys/random.h>
#include <wslay/wslay.h>

namespace aio::http::detail {
namespace {

constexpr int protocol_error = 1002;
constexpr int no_status = 1005;
constexpr int invalid_payload = 1007;
constexpr int message_too_big = 1009;
constexpr std::size_t head_bytes_max = 14;  // of a frame

[[noreturn]] void fail(const std::string& what) { throw WebSocketError(protocol_error, what); }

bool is_control(int opcode) noexcept { return opcode >= WSLAY_CONNECTION_CLOSE; }

int opcode_of(MsgType type) noexcept {
  switch (type) {
    case MsgType::text: return WSLAY_TEXT_FRAME;
    case MsgType::ping: return WSLAY_PING;
    case MsgType::pong: return WSLAY_PONG;
    default: return WSLAY_BINARY_FRAME;
  }
}

// RFC 6455, 10.3: a mask that nobody can foresee.
int make_mask(std::uint8_t* mask, std::size_t bytes, void*) noexcept {
  return ::getrandom(mask, bytes, 0) == static_cast<ssize_t>(bytes) ? 0 : -1;
}

Frames make_frames(const wslay_frame_callbacks& callbacks, void* user) {
  wslay_frame_context* frames = nullptr;
  if (wslay_frame_context_init(&frames, &callbacks, user) != 0) throw std::bad_alloc();
  return Frames(frames);
}

}  // namespace

void FreeFrames::operator()(wslay_frame_context* frames) const noexcept {
  wslay_frame_context_free(frames);
}

bool is_close_code(int code) noexcept {
  if (code >= 3000 && code <= 4999) return true;  // of libraries and applications
  return code >= 1000 && code <= 1014 && code != 1004 && code != no_status && code != 1006;
}

// --- WebSocketParser ---------------------------------------------------------------------------

WebSocketParser::WebSocketParser(WebSocketRole role, std::size_t bytes_max,
                                 const std::optional<Deflate>& deflate)
    : role_(role),
      bytes_max_(bytes_max == 0 ? std::numeric_limits<std::size_t>::max() : bytes_max) {
  if (deflate) inflater_.emplace(*deflate);
  wslay_frame_callbacks callbacks{};
  callbacks.recv_callback = [](std::uint8_t* buffer, std::size_t most, int, void* self) -> ssize_t {
    std::string_view& input = *static_cast<WebSocketParser*>(self)->input_;
    if (input.empty()) return -1;
    const std::size_t bytes = std::min(most, input.size());
    std::memcpy(buffer, input.data(), bytes);
    input.remove_prefix(bytes);
    return static_cast<ssize_t>(bytes);
  };
  frames_ = make_frames(callbacks, this);
}

WebSocketParser::~WebSocketParser() = default;

std::optional<Message> WebSocketParser::next(std::string_view& input) {
  input_ = &input;
  for (;;) {
    wslay_frame_iocb frame{};
    const ssize_t got = wslay_frame_recv(frames_.get(), &frame);
    if (got == WSLAY_ERR_WANT_READ) return std::nullopt;
    if (got < 0) fail("a control frame that is cut or too long, or a length that is not minimal");
    if (!in_frame_) begin_frame(frame);
    add({reinterpret_cast<const char*>(frame.data), frame.data_length});
    left_ -= frame.data_length;
    if (left_ > 0) continue;
    in_frame_ = false;
    if (is_control(opcode_)) return end_control();
    if (frame.fin) return end_message();
  }
}

void WebSocketParser::fail_too_big() const {
  throw WebSocketError(message_too_big,
                       "a message of more than " + std::to_string(bytes_max_) + " bytes");
}

void WebSocketParser::begin_frame(const wslay_frame_iocb& frame) {
  in_frame_ = true;
  left_ = frame.payload_length;
  opcode_ = frame.opcode;
  if (static_cast<bool>(frame.mask) != (role_ == WebSocketRole::server))
    fail(frame.mask ? "a frame from the server that is masked"
                    : "a frame from the client that is not masked");
  const bool begins = opcode_ == WSLAY_TEXT_FRAME || opcode_ == WSLAY_BINARY_FRAME;
  if (!begins && opcode_ != WSLAY_CONTINUATION_FRAME &&
      (opcode_ < WSLAY_CONNECTION_CLOSE || opcode_ > WSLAY_PONG))
    fail("a frame of unknown kind: " + std::to_string(opcode_));
  if (frame.rsv != (begins && inflater_ ? frame.rsv & WSLAY_RSV1_BIT : 0))
    fail("a reserved bit that nobody agreed on");
  if (is_control(opcode_)) {
    control_.clear();
    return;
  }
  if (begins)
    begin_message(frame);
  else if (!type_)
    fail("a frame that continues nothing");
  const std::uint64_t before = packed_ ? packed_bytes_ : data_.size();
  if (frame.payload_length > bytes_max_ - std::min<std::uint64_t>(before, bytes_max_))
    fail_too_big();
  if (packed_) packed_bytes_ += frame.payload_length;
}

void WebSocketParser::begin_message(const wslay_frame_iocb& frame) {
  if (type_) fail("a message within a message");
  type_ = opcode_ == WSLAY_TEXT_FRAME ? MsgType::text : MsgType::binary;
  packed_ = frame.rsv != 0;
  packed_bytes_ = 0;
  data_.clear();
  utf8_ = Utf8();
}

void WebSocketParser::add(std::string_view data) {
  if (is_control(opcode_)) {
    control_ += data;
    return;
  }
  const std::size_t before = data_.size();
  bool fits = true;
  if (packed_)
    fits = inflater_->add(data, data_, bytes_max_);
  else
    data_ += data;
  check_data(before, fits);
}

// What has come of the message from `before` on.
void WebSocketParser::check_data(std::size_t before, bool fits) {
  if (type_ == MsgType::text && !utf8_.add(std::string_view(data_).substr(before)))
    throw WebSocketError(invalid_payload, "a text that is not UTF-8");
  if (!fits) fail_too_big();
}

Message WebSocketParser::end_message() {
  if (packed_) {
    const std::size_t before = data_.size();
    const bool fits = inflater_->finish(data_, bytes_max_);
    check_data(before, fits);
  }
  if (type_ == MsgType::text && !utf8_.complete())
    throw WebSocketError(invalid_payload, "a text that ends within a character");
  Message message(*type_, std::move(data_));
  data_.clear();
  type_.reset();
  return message;
}

Message WebSocketParser::end_control() {
  if (opcode_ == WSLAY_PING) return Message(MsgType::ping, std::move(control_));
  if (opcode_ == WSLAY_PONG) return Message(MsgType::pong, std::move(control_));
  if (control_.empty()) return Message(MsgType::close, {}, no_status);
  if (control_.size() == 1) fail("a close with half a code");
  const int code =
      static_cast<unsigned char>(control_[0]) << 8 | static_cast<unsigned char>(control_[1]);
  if (!is_close_code(code)) fail("a close with a code that may not be: " + std::to_string(code));
  std::string reason = control_.substr(2);
  if (!is_utf8(reason))
    throw WebSocketError(invalid_payload, "a close with a reason that is not UTF-8");
  return Message(MsgType::close, std::move(reason), code);
}

// --- WebSocketWriter ---------------------------------------------------------------------------

WebSocketWriter::WebSocketWriter(WebSocketRole role, const std::optional<Deflate>& deflate)
    : role_(role) {
  if (deflate && deflate->window_bits >= window_bits_min) deflater_.emplace(*deflate);
  wslay_frame_callbacks callbacks{};
  callbacks.send_callback = [](const std::uint8_t* data, std::size_t bytes, int,
                               void* self) noexcept -> ssize_t {  // there is room: see frame()
    static_cast<WebSocketWriter*>(self)->out_->append(reinterpret_cast<const char*>(data), bytes);
    return static_cast<ssize_t>(bytes);
  };
  callbacks.genmask_callback = make_mask;
  frames_ = make_frames(callbacks, this);
}

WebSocketWriter::~WebSocketWriter() = default;

void WebSocketWriter::message(std::string& out, MsgType type, std::string_view data) {
  if (deflater_ && (type == MsgType::text || type == MsgType::binary))
    frame(out, opcode_of(type), (*deflater_)(data), true);
  else
    frame(out, opcode_of(type), data, false);
}

void WebSocketWriter::close(std::string& out, int code, std::string_view reason) {
  std::string payload;
  if (code != no_status) {
    payload += static_cast<char>(code >> 8);
    payload += static_cast<char>(code & 0xff);
    payload += reason;
  }
  frame(out, WSLAY_CONNECTION_CLOSE, payload, false);
}

void WebSocketWriter::frame(std::string& out, int opcode, std::string_view data, bool packed) {
  out.reserve(out.size() + head_bytes_max + data.size());  // no exception passes through wslay
  out_ = &out;
  wslay_frame_iocb frame{};
  frame.fin = 1;
  frame.rsv = packed ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE;
  frame.opcode = static_cast<std::uint8_t>(opcode);
  frame.mask = role_ == WebSocketRole::client;
  frame.payload_length = data.size();
  frame.data = reinterpret_cast<const std::uint8_t*>(data.data());
  frame.data_length = data.size();
  if (wslay_frame_send(frames_.get(), &frame) != static_cast<ssize_t>(data.size()))
    throw std::runtime_error("a WebSocket frame that could not be made");
}

}  // namespace aio::http::detail
