#pragma once

// How two ends agree on a WebSocket connection (RFC 6455, 4). Pure.

#include "parser.hpp"
#include "websocket_deflate.hpp"

#include <aio/http/headers.hpp>
#include <aio/http/websocket.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace aio::http::detail {

// What they agree on.
struct WebSocketAgreement {
  std::string protocol;  // "": none
  std::optional<Deflate> deflate;
};

// What a server says to a client that asks for a WebSocket, and `headers` to go with it. Throws
// ProtocolError 400, or 426 for who asks for no WebSocket or for another version; then `headers`
// are those of the refusal.
UVLET_API WebSocketAgreement accept_websocket(const Head& request, const WebSocketOptions& options,
                                              Headers& headers);

// A client's: 16 random bytes, in base64.
UVLET_API std::string make_websocket_key();
// What it asks with.
UVLET_API void ask_for_websocket(Headers& headers, std::string_view key,
                                 const WebSocketOptions& options);
// What the server's answer, of status 101, says. Throws ProtocolError for one that a client has to
// refuse.
UVLET_API WebSocketAgreement check_websocket_answer(const Headers& answer, std::string_view key,
                                                    const WebSocketOptions& options);

// "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" for "dGhlIHNhbXBsZSBub25jZQ==".
UVLET_API std::string websocket_accept_of(std::string_view key);

}  // namespace aio::http::detail
