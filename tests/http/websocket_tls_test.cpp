// WebSockets over TLS: wss.

#include "../ssl_support.hpp"
#include "served.hpp"

#include <aio/http.hpp>
#include <aio/websocket.hpp>
#include <green/http.hpp>

using test::Served;

namespace web = aio::web;

namespace {

web::ServerOptions over_tls() {
  web::ServerOptions options;
  options.ssl = test::server_options();
  return options;
}

green::http::SessionOptions trusting() {
  green::http::SessionOptions options;
  options.ssl.ca_certs = test::certificates().certificate("ca");
  return options;
}

}  // namespace

TEST_CASE("a conversation is the same over TLS") {
  web::Application app;
  std::optional<int> code;
  app.router().add_get("/ws", [&](web::Request& request) -> aio::task<web::WebSocketResponse> {
    web::WebSocketResponse socket;
    co_await socket.prepare(request);
    for (;;) {
      const std::optional<web::Message> message = co_await socket.next();
      if (!message) break;
      co_await socket.send_bytes(message->data);
    }
    code = socket.close_code();
    co_return socket;
  });
  const Served served(app, over_tls());
  const std::string url = "wss://localhost:" + std::to_string(served.address().port()) + "/ws";
  green::http::ClientSession session(trusting());
  for (const bool compress : {true, false}) {
    green::http::WebSocketOptions options;
    options.compress = compress;
    green::http::WebSocket socket = session.ws_connect(url, options);
    const std::string data(3'000'000, 'x');
    green::GreenThread<void> sending = green::spawn([&] {
      for (int i = 0; i < 5; ++i) socket.send_bytes(data);
    });
    for (int i = 0; i < 5; ++i) CHECK(socket.receive_bytes() == data);
    sending.wait();
    CHECK(socket.close(3000));
    CHECK(socket.close_code() == 3000);
    for (int turn = 0; !code && turn < 1'000; ++turn) green::sleep(0.001);
    CHECK(std::exchange(code, std::nullopt) == 3000);
  }
  { const green::http::WebSocket dropped = session.ws_connect(url); }
  for (int turn = 0; !code && turn < 1'000; ++turn) green::sleep(0.001);
  CHECK(code == 1006);
  green::http::ClientSession distrusts;
  CHECK_THROWS_AS(distrusts.ws_connect(url), green::http::ClientConnectorError);
}

TEST_CASE("a server over TLS that stops says 1001") {
  web::Application app;
  app.router().add_get("/ws", [](web::Request& request) -> aio::task<web::WebSocketResponse> {
    web::WebSocketResponse socket;
    co_await socket.prepare(request);
    co_await socket.receive();
    co_return socket;
  });
  auto served = std::make_unique<Served>(app, over_tls());
  green::http::ClientSession session(trusting());
  green::http::WebSocket socket =
      session.ws_connect("wss://localhost:" + std::to_string(served->address().port()) + "/ws");
  green::GreenThread<void> stopping = green::spawn([&] { served.reset(); });
  CHECK(socket.receive().code == 1001);
  stopping.wait();
}
