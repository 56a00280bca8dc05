// How two ends agree on a WebSocket: RFC 6455, 4, and RFC 7692, 7.1.

#include "../../src/aio/http/websocket_handshake.hpp"
#include "../support.hpp"

#include <algorithm>
#include <string>
#include <vector>

using aio::http::Headers;
using aio::http::WebSocketOptions;
using aio::http::detail::accept_websocket;
using aio::http::detail::ask_for_websocket;
using aio::http::detail::check_websocket_answer;
using aio::http::detail::Head;
using aio::http::detail::make_websocket_key;
using aio::http::detail::ProtocolError;
using aio::http::detail::websocket_accept_of;
using aio::http::detail::WebSocketAgreement;

namespace {

const std::string key = "dGhlIHNhbXBsZSBub25jZQ==";

Head request() {
  Head head;
  head.method = "GET";
  head.headers = {{"Host", "a"},
                  {"Upgrade", "websocket"},
                  {"Connection", "Upgrade"},
                  {"Sec-WebSocket-Key", key},
                  {"Sec-WebSocket-Version", "13"}};
  return head;
}

// The request with one field changed, "" for none.
Head with(const std::string& name, const std::string& value) {
  Head head = request();
  head.headers.remove(name);
  if (!value.empty()) head.headers.add(name, value);
  return head;
}

// The status of the refusal; 101 for none.
int status_of(const Head& head, Headers* answer = nullptr) {
  Headers headers;
  try {
    accept_websocket(head, WebSocketOptions(), answer ? *answer : headers);
    return 101;
  } catch (const ProtocolError& error) {
    CHECK(*error.what() != '\0');
    return error.status;
  }
}

// What a server answers to that offer of extensions, and how it packs.
std::string extensions(const std::string& offer, bool compress = true) {
  WebSocketOptions options;
  options.compress = compress;
  Headers answer;
  const WebSocketAgreement agreement =
      accept_websocket(with("Sec-WebSocket-Extensions", offer), options, answer);
  std::string text = answer.get("Sec-WebSocket-Extensions").value_or("none");
  CHECK(agreement.deflate.has_value() == (text != "none"));
  if (agreement.deflate)
    text += " / " + std::to_string(agreement.deflate->window_bits) +
            (agreement.deflate->takeover ? " keeps" : "") +
            (agreement.deflate->peer_takeover ? " peer keeps" : "");
  return text;
}

// What a client makes of an answer; "refused".
std::string understood(const std::string& name, const std::string& value,
                       const WebSocketOptions& options = WebSocketOptions()) {
  Headers answer{{"Upgrade", "WebSocket"},
                 {"Connection", "upgrade"},
                 {"Sec-WebSocket-Accept", websocket_accept_of(key)}};
  answer.remove(name);
  if (!value.empty()) answer.add(name, value);
  try {
    const WebSocketAgreement agreement = check_websocket_answer(answer, key, options);
    std::string text = "protocol=" + agreement.protocol;
    if (agreement.deflate)
      text += " " + std::to_string(agreement.deflate->window_bits) +
              (agreement.deflate->takeover ? " keeps" : "") +
              (agreement.deflate->peer_takeover ? " peer keeps" : "");
    return text;
  } catch (const ProtocolError&) {
    return "refused";
  }
}

}  // namespace

TEST_CASE("the example of RFC 6455, 1.3") {
  CHECK(websocket_accept_of(key) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  Headers answer;
  accept_websocket(request(), WebSocketOptions(), answer);
  CHECK(answer.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(answer.get("Upgrade") == "websocket");
  CHECK(answer.get("Connection") == "Upgrade");
}

TEST_CASE("a server refuses what is no handshake") {
  CHECK(status_of(request()) == 101);
  CHECK(status_of(with("Connection", "keep-alive, UPGRADE")) == 101);
  CHECK(status_of(with("Upgrade", "h2c, WebSocket")) == 101);
  CHECK(status_of(with("Upgrade", "")) == 426);
  CHECK(status_of(with("Upgrade", "h2c")) == 426);
  CHECK(status_of(with("Upgrade", "websockets")) == 426);
  CHECK(status_of(with("Connection", "")) == 426);
  CHECK(status_of(with("Connection", "keep-alive")) == 426);
  CHECK(status_of(with("Sec-WebSocket-Version", "")) == 426);
  CHECK(status_of(with("Sec-WebSocket-Version", "8")) == 426);
  CHECK(status_of(with("Sec-WebSocket-Version", "13, 8")) == 426);
  CHECK(status_of(with("Sec-WebSocket-Key", "")) == 400);
  CHECK(status_of(with("Sec-WebSocket-Key", "short")) == 400);
  CHECK(status_of(with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=!")) == 400);
  CHECK(status_of(with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZXM=")) == 400);
  CHECK(status_of(with("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!==")) == 400);
  CHECK(status_of(with("Sec-WebSocket-Protocol", "a b")) == 400);
  CHECK(status_of(with("Sec-WebSocket-Extensions", "\"quoted\"")) == 400);
  Head head = request();
  head.headers.add("Sec-WebSocket-Key", key);
  CHECK(status_of(head) == 400);
  head = request();
  head.method = "POST";
  CHECK(status_of(head) == 400);
  head = request();
  head.minor = 0;
  CHECK(status_of(head) == 400);
}

TEST_CASE("a refusal says what would be accepted") {
  Headers answer;
  CHECK(status_of(with("Sec-WebSocket-Version", "8"), &answer) == 426);
  CHECK(answer.get("Sec-WebSocket-Version") == "13");
  CHECK(!answer.contains("Sec-WebSocket-Accept"));
  Headers other;
  CHECK(status_of(with("Upgrade", ""), &other) == 426);
  CHECK(other.get("Upgrade") == "websocket");
}

TEST_CASE("the client's first subprotocol that the server speaks is taken") {
  WebSocketOptions options;
  options.protocols = {"chat", "superchat"};
  const auto chosen = [&](const std::string& offer) {
    Headers answer;
    const WebSocketAgreement agreement =
        accept_websocket(with("Sec-WebSocket-Protocol", offer), options, answer);
    CHECK(answer.get("Sec-WebSocket-Protocol").value_or("") == agreement.protocol);
    return agreement.protocol;
  };
  CHECK(chosen("soap, superchat, chat") == "superchat");
  CHECK(chosen("chat") == "chat");
  CHECK(chosen("Chat") == "");
  CHECK(chosen("") == "");
}

TEST_CASE("the first offer of permessage-deflate that can be kept is taken (13)") {
  CHECK(extensions("") == "none");
  CHECK(extensions("permessage-deflate", false) == "none");
  CHECK(extensions("permessage-deflate") == "permessage-deflate / 15 keeps peer keeps");
  CHECK(extensions("x-webkit-deflate-frame, PerMessage-Deflate; client_max_window_bits") ==
        "permessage-deflate / 15 keeps peer keeps");
  CHECK(extensions("permessage-deflate; server_no_context_takeover; client_no_context_takeover") ==
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover / 15");
  CHECK(extensions("permessage-deflate; server_max_window_bits=9") ==
        "permessage-deflate; server_max_window_bits=9 / 9 keeps peer keeps");
  CHECK(extensions("permessage-deflate; server_max_window_bits=\"10\"") ==
        "permessage-deflate; server_max_window_bits=10 / 10 keeps peer keeps");
  CHECK(extensions("permessage-deflate; client_max_window_bits=8 ; server_max_window_bits = 8") ==
        "permessage-deflate; server_max_window_bits=8 / 8 keeps peer keeps");
  for (const char* bad :
       {"server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16",
        "server_max_window_bits=08", "client_max_window_bits=16", "client_max_window_bits=7",
        "unknown", "server_no_context_takeover=1", "client_no_context_takeover=x",
        "client_max_window_bits; client_max_window_bits", ""}) {
    CAPTURE(bad);
    CHECK(extensions(std::string("permessage-deflate; ") + bad) == "none");
    CHECK(extensions(std::string("permessage-deflate; ") + bad + ", permessage-deflate") ==
          "permessage-deflate / 15 keeps peer keeps");
  }
}

TEST_CASE("a client asks with a key of its own, and names what it can") {
  const std::string one = make_websocket_key();
  CHECK(one.size() == 24);
  CHECK(one.ends_with("=="));
  CHECK(make_websocket_key() != one);
  Headers headers;
  WebSocketOptions options;
  options.protocols = {"chat", "mqtt"};
  ask_for_websocket(headers, one, options);
  CHECK(headers.get("Sec-WebSocket-Key") == one);
  CHECK(headers.get("Sec-WebSocket-Protocol") == "chat, mqtt");
  CHECK(headers.get("Sec-WebSocket-Extensions") == "permessage-deflate; client_max_window_bits");
  Head head = request();
  for (const auto& [name, value] : headers) head.headers.set(name, value);
  CHECK(status_of(head) == 101);
  options.compress = false;
  Headers plain;
  ask_for_websocket(plain, one, options);
  CHECK(!plain.contains("Sec-WebSocket-Extensions"));
  options.protocols = {"no token"};
  CHECK_THROWS_AS(ask_for_websocket(plain, one, options), std::invalid_argument);
}

TEST_CASE("a client refuses an answer to what it did not ask") {
  CHECK(understood("X", "y") == "protocol=");
  CHECK(understood("Upgrade", "") == "refused");
  CHECK(understood("Upgrade", "h2c") == "refused");
  CHECK(understood("Connection", "close") == "refused");
  CHECK(understood("Sec-WebSocket-Accept", "") == "refused");
  CHECK(understood("Sec-WebSocket-Accept", websocket_accept_of("x")) == "refused");
  CHECK(understood("Sec-WebSocket-Protocol", "chat") == "refused");
  WebSocketOptions options;
  options.protocols = {"chat"};
  CHECK(understood("Sec-WebSocket-Protocol", "chat", options) == "protocol=chat");
  CHECK(understood("Sec-WebSocket-Protocol", "mqtt", options) == "refused");
  CHECK(understood("Sec-WebSocket-Extensions", "foo") == "refused");
  CHECK(understood("Sec-WebSocket-Extensions", "permessage-deflate") ==
        "protocol= 15 keeps peer keeps");
  CHECK(understood("Sec-WebSocket-Extensions",
                   "permessage-deflate; client_max_window_bits=9; server_no_context_takeover") ==
        "protocol= 9 keeps");
  CHECK(understood("Sec-WebSocket-Extensions",
                   "permessage-deflate; client_no_context_takeover; server_max_window_bits=8") ==
        "protocol= 15 peer keeps");
  CHECK(understood("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits") ==
        "refused");
  CHECK(understood("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=7") ==
        "refused");
  CHECK(understood("Sec-WebSocket-Extensions", "permessage-deflate, permessage-deflate") ==
        "refused");
  options.compress = false;
  CHECK(understood("Sec-WebSocket-Extensions", "permessage-deflate", options) == "refused");
}
