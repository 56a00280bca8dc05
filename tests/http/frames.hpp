#pragma once

// WebSocket frames written by hand, and what they mean.

#include "../../src/aio/http/websocket_codec.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace test {

using aio::http::Message;
using aio::http::MsgType;
using aio::http::WebSocketError;
using aio::http::detail::Deflate;
using aio::http::detail::WebSocketParser;
using aio::http::detail::WebSocketRole;
using aio::http::detail::WebSocketWriter;

inline constexpr int fin = 0x80, rsv1 = 0x40, rsv2 = 0x20, rsv3 = 0x10;
inline constexpr int continuation = 0, text_frame = 1, binary = 2, close_frame = 8, ping = 9,
                     pong = 10;

// A frame with that first byte, as a client sends it; with no mask, as a server does.
inline std::string frame(int first, std::string_view payload, bool masked = true) {
  std::string bytes(1, static_cast<char>(first));
  const int mask_bit = masked ? 0x80 : 0;
  const auto put = [&](std::uint64_t number, int size) {
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
      bytes += static_cast<char>(number >> shift & 0xff);
  };
  if (payload.size() < 126) {
    put(payload.size() | static_cast<unsigned>(mask_bit), 1);
  } else if (payload.size() < 65'536) {
    put(126u | static_cast<unsigned>(mask_bit), 1);
    put(payload.size(), 2);
  } else {
    put(127u | static_cast<unsigned>(mask_bit), 1);
    put(payload.size(), 8);
  }
  if (!masked) return bytes.append(payload);
  const std::string_view mask = "\x37\xfa\x21\x3d";
  bytes += mask;
  for (std::size_t at = 0; at < payload.size(); ++at)
    bytes += static_cast<char>(payload[at] ^ mask[at % 4]);
  return bytes;
}

// The payload of a close.
inline std::string closing(int code, const std::string& reason = {}) {
  return std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)} + reason;
}

inline std::string brief(const Message& message) {
  static const char* const names[] = {"text", "binary", "ping", "pong", "close", "closed", "error"};
  std::string brief = names[static_cast<int>(message.type)];
  if (message.code != 0) brief += std::to_string(message.code);
  return brief + "(" + message.data + ")";
}

// What a connection that brings `pieces` means: "text(hello) close1000(bye)"; "error 1002" at the
// end for what breaks the rules.
inline std::string understand(const std::vector<std::string_view>& pieces,
                              WebSocketRole role = WebSocketRole::server, std::size_t bytes_max = 0,
                              const std::optional<Deflate>& deflate = {}) {
  WebSocketParser parser(role, bytes_max, deflate);
  std::string meaning;
  const auto add = [&](const std::string& more) { meaning += (meaning.empty() ? "" : " ") + more; };
  try {
    for (std::string_view piece : pieces) {
      for (;;) {
        const std::optional<Message> message = parser.next(piece);
        if (!message) break;
        add(brief(*message));
      }
    }
  } catch (const WebSocketError& error) {
    add("error " + std::to_string(error.code));
  }
  return meaning;
}

inline std::string understand(std::string_view bytes, WebSocketRole role = WebSocketRole::server,
                              std::size_t bytes_max = 0,
                              const std::optional<Deflate>& deflate = {}) {
  return understand(std::vector<std::string_view>{bytes}, role, bytes_max, deflate);
}

// The same, each byte by itself.
inline std::vector<std::string_view> chopped(std::string_view bytes) {
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0; at < bytes.size(); ++at) pieces.push_back(bytes.substr(at, 1));
  return pieces;
}

}  // namespace test
