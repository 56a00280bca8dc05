#pragma once

// The server's end of a WebSocket in conversation with a client that sends what it likes.

#include "frames.hpp"
#include "served.hpp"

#include <aio/websocket.hpp>
#include <green/event.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace test {

// "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" is what it is accepted with.
inline std::string websocket_handshake(const std::string& more = {}) {
  return "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
         more + "\r\n";
}

// A client with a mind of its own.
class RawClient {
 public:
  explicit RawClient(const Served& served, const std::string& more = {},
                     const std::string& early = {})
      : socket(served.connect()), parser(WebSocketRole::client, 0) {
    socket.sendall(websocket_handshake(more) + early);
    while (head.find("\r\n\r\n") == std::string::npos) {
      const std::string got = socket.recv(1000);
      REQUIRE(!got.empty());
      head += got;
    }
    unused = head.substr(head.find("\r\n\r\n") + 4);
    head.resize(head.find("\r\n\r\n") + 4);
  }

  void send(const std::string& bytes) { socket.sendall(bytes); }
  // The next message; "end" at the end of the stream, "reset" if it is cut.
  std::string next() {
    for (;;) {
      std::string_view input = unused;
      const std::optional<Message> message = parser.next(input);
      unused.erase(0, unused.size() - input.size());
      if (message) return brief(*message);
      try {
        unused = socket.recv(100'000);
      } catch (const std::system_error&) {
        return "reset";
      }
      if (unused.empty()) return "end";
    }
  }
  std::string all() {
    std::string text;
    for (;;) {
      const std::string one = next();
      text += (text.empty() ? "" : " ") + one;
      if (one == "end" || one == "reset") return text;
    }
  }

  green::Socket socket;
  std::string head;
  std::string unused;
  WebSocketParser parser;
};

// What a handler gets to see, until it ends.
class Conversation {
 public:
  using Socket = aio::web::WebSocketResponse;
  using Options = aio::web::WebSocketOptions;
  using Body = std::function<aio::task<void>(Socket&)>;

  explicit Conversation(Body body, Options options = Options()) {
    auto converse = [this, body, options](aio::web::Request& request) -> aio::task<Socket> {
      Socket socket(options);
      co_await socket.prepare(request);
      const Ended ended{*this};
      co_await body(socket);
      code = socket.close_code();
      co_return socket;
    };
    app.router().add_get("/ws", std::move(converse));
  }
  // Echoes, and notes all that comes.
  explicit Conversation(Options options = Options())
      : Conversation([this](Socket& socket) { return echo(socket); }, options) {}

  void wait() { end.wait(watchdog); }

  aio::web::Application app;
  Log log;
  std::optional<int> code;
  green::Event<> end;

 private:
  struct Ended {
    Conversation& conversation;
    ~Ended() { conversation.end.send(); }
  };

  aio::task<void> echo(Socket& socket) {
    for (;;) {
      const Message message = co_await socket.receive();
      log(brief(message));
      if (message.last()) co_return;
      if (message.type == MsgType::text)
        co_await socket.send_str(message.data);
      else if (message.type == MsgType::binary)
        co_await socket.send_bytes(message.data);
    }
  }
};

}  // namespace test
