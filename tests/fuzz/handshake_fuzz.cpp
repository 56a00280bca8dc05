// Fields of a handshake, each after a byte that says which, in the place of the right ones: what a
// server agrees to, the client that asked for it understands likewise; what a client agrees to, it
// had offered.

#include "../../src/aio/http/websocket_handshake.hpp"

#include "fuzz.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

using aio::http::Headers;
using aio::http::WebSocketOptions;
using aio::http::detail::accept_websocket;
using aio::http::detail::check_websocket_answer;
using aio::http::detail::Head;
using aio::http::detail::ProtocolError;
using aio::http::detail::WebSocketAgreement;

namespace {

const std::string key = "dGhlIHNhbXBsZSBub25jZQ==";

WebSocketOptions choose_options(unsigned choice) {
  WebSocketOptions options;
  options.compress = (choice & 1) != 0;
  if ((choice & 2) != 0) options.protocols = {"chat", "a"};
  return options;
}

// The names of the request's fields, or of the answer's.
using Names = std::array<const char*, 6>;

void change(Headers& headers, const Names& names, fuzz::Input input) {
  while (!input.rest().empty()) {
    const unsigned which = input.byte();
    const char* name = names[which % names.size()];
    const std::string value(input.until('\n'));
    if (which < 128)
      headers.add(name, value);
    else
      headers.set(name, value);
  }
}

void check_agreement(const WebSocketAgreement& agreement, const WebSocketOptions& options) {
  fuzz::require(
      agreement.protocol.empty() || std::find(options.protocols.begin(), options.protocols.end(),
                                              agreement.protocol) != options.protocols.end(),
      "a subprotocol is one that this side knows");
  fuzz::require(options.compress || !agreement.deflate, "nothing is packed against our will");
  if (agreement.deflate)
    fuzz::require(agreement.deflate->window_bits >= 8 && agreement.deflate->window_bits <= 15,
                  "a window has 8 to 15 bits");
}

void check_server(fuzz::Input input, const WebSocketOptions& options) {
  Head request;
  request.method = "GET";
  request.headers = {{"Upgrade", "websocket"},
                     {"Connection", "Upgrade"},
                     {"Sec-WebSocket-Key", key},
                     {"Sec-WebSocket-Version", "13"}};
  change(request.headers,
         {"Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Connection", "Upgrade",
          "Sec-WebSocket-Version", "Sec-WebSocket-Key"},
         input);
  Headers answer;
  WebSocketAgreement ours;
  try {
    ours = accept_websocket(request, options, answer);
  } catch (const ProtocolError&) {
    return;
  }
  check_agreement(ours, options);
  const WebSocketAgreement theirs =
      check_websocket_answer(answer, *request.headers.find("Sec-WebSocket-Key"), options);
  fuzz::require(ours.protocol == theirs.protocol, "both have the same subprotocol");
  fuzz::require(ours.deflate.has_value() == theirs.deflate.has_value(), "both pack, or neither");
  if (!ours.deflate) return;
  fuzz::require(ours.deflate->takeover == theirs.deflate->peer_takeover &&
                    ours.deflate->peer_takeover == theirs.deflate->takeover,
                "both keep the same windows");
}

void check_client(fuzz::Input input, const WebSocketOptions& options) {
  Headers answer = {{"Upgrade", "websocket"},
                    {"Connection", "Upgrade"},
                    {"Sec-WebSocket-Accept", aio::http::detail::websocket_accept_of(key)}};
  change(answer,
         {"Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Connection", "Upgrade",
          "Sec-WebSocket-Accept", "Server"},
         input);
  try {
    check_agreement(check_websocket_answer(answer, key, options), options);
  } catch (const ProtocolError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::Input input(bytes, size);
  const unsigned choice = input.byte();
  const WebSocketOptions options = choose_options(choice);
  try {
    if ((choice & 4) != 0)
      check_server(input, options);
    else
      check_client(input, options);
  } catch (const std::invalid_argument&) {  // a value that no parser lets through
  }
  return 0;
}
