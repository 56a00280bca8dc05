#pragma once

// WebSocket messages as bytes: wslay's frames behind a small interface, with the rules that it does
// not keep (RFC 6455; RFC 7692 for packed ones).

#include "utf8.hpp"
#include "websocket_deflate.hpp"

#include <aio/http/websocket.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct wslay_frame_context;
struct wslay_frame_iocb;

namespace aio::http::detail {

// Which end of the connection this is: what a client sends is masked, and only that.
enum class WebSocketRole { client, server };

struct FreeFrames {
  void operator()(wslay_frame_context* frames) const noexcept;
};
using Frames = std::unique_ptr<wslay_frame_context, FreeFrames>;

// Whether a close may carry the code: RFC 6455, 7.4, and the register of IANA.
UVLET_API bool is_close_code(int code) noexcept;
inline constexpr std::size_t control_bytes_max = 125;

// Puts the messages of one direction together. Pure: it sees bytes and does no I/O, and how they
// are cut changes nothing. What breaks the rules is noticed with the first byte that does.
class UVLET_API WebSocketParser {
 public:
  // bytes_max: of a message; 0: no limit.
  WebSocketParser(WebSocketRole role, std::size_t bytes_max,
                  const std::optional<Deflate>& deflate = std::nullopt);
  ~WebSocketParser();
  WebSocketParser(const WebSocketParser&) = delete;
  WebSocketParser& operator=(const WebSocketParser&) = delete;

  // The next message, where a control frame is one too; nullopt: all of `input` was used, and more
  // is needed. What is used is taken off its front, which may be more than that message. Throws
  // WebSocketError with the code to close with, and then is of no use any more.
  std::optional<Message> next(std::string_view& input);

 private:
  void begin_frame(const wslay_frame_iocb& frame);
  void begin_message(const wslay_frame_iocb& frame);
  void add(std::string_view data);
  void check_data(std::size_t before, bool fits);
  [[noreturn]] void fail_too_big() const;
  Message end_message();
  Message end_control();

  const WebSocketRole role_;
  const std::size_t bytes_max_;
  std::optional<Inflater> inflater_;
  Frames frames_;
  std::string_view* input_ = nullptr;

  bool in_frame_ = false;
  std::uint64_t left_ = 0;  // of the frame
  int opcode_ = 0;          // of the frame
  std::string control_;

  std::optional<MsgType> type_;  // of the message that has begun
  bool packed_ = false;
  std::uint64_t packed_bytes_ = 0;
  std::string data_;
  Utf8 utf8_;
};

// The bytes of messages: each is one frame.
class UVLET_API WebSocketWriter {
 public:
  explicit WebSocketWriter(WebSocketRole role,
                           const std::optional<Deflate>& deflate = std::nullopt);
  ~WebSocketWriter();
  WebSocketWriter(const WebSocketWriter&) = delete;
  WebSocketWriter& operator=(const WebSocketWriter&) = delete;

  // Appends a text, binary, ping or pong message, as it is, unchecked.
  void message(std::string& out, MsgType type, std::string_view data);
  // Appends a close; 1005: one without a code.
  void close(std::string& out, int code, std::string_view reason);

 private:
  void frame(std::string& out, int opcode, std::string_view data, bool packed);

  const WebSocketRole role_;
  std::optional<Deflater> deflater_;
  Frames frames_;
  std::string* out_ = nullptr;
};

}  // namespace aio::http::detail
