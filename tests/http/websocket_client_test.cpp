// The client's end of a WebSocket, and both ends together.

#include "../../src/aio/http/websocket_handshake.hpp"
#include "frames.hpp"
#include "served.hpp"

#include <aio/http.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>
#include <aio/websocket.hpp>
#include <green/event.hpp>
#include <green/http.hpp>

#include <functional>
#include <random>

using aio::task;
using aio::http::ClientSession;
using aio::http::RequestOptions;
using aio::http::WebSocket;
using aio::http::WebSocketOptions;
using aio::http::WSServerHandshakeError;
using green::awaitlet;
using test::brief;
using test::closing;
using test::fin;
using test::frame;
using test::Message;
using test::MsgType;
using test::Served;
using test::text_frame;
using test::WebSocketError;

namespace web = aio::web;

namespace {

task<void> echo_all(web::WebSocketResponse socket) {
  for (;;) {
    const std::optional<Message> message = co_await socket.next();
    if (!message) co_return;
    if (message->type == MsgType::text)
      co_await socket.send_str(message->data);
    else
      co_await socket.send_bytes(message->data);
  }
}

web::Application echo(WebSocketOptions options = WebSocketOptions()) {
  web::Application app;
  app.router().add_get("/ws", [options](web::Request& request) -> task<web::WebSocketResponse> {
    web::WebSocketResponse socket(options);
    co_await socket.prepare(request);
    co_await echo_all(socket);
    co_return socket;
  });
  return app;
}

std::string url_of(const Served& served, const std::string& path = "/ws") {
  return "ws://" + served.address().str() + path;
}

// A server with a mind of its own: it answers one handshake, then does what it is told.
class Raw {
 public:
  using Body = std::function<void(green::Socket&)>;

  explicit Raw(Body body, std::string more = {}, std::string status = "101 Switching Protocols",
               std::string early = {})
      : listener_(green::listen(green::Address("127.0.0.1", 0))),
        serving_(green::spawn([this, body, more, status, early] {
          green::Socket socket = listener_.accept().first;
          socket.settimeout(test::watchdog);
          while (request.find("\r\n\r\n") == std::string::npos) request += socket.recv(10'000);
          const std::string key = test::header(request, "Sec-WebSocket-Key");
          socket.sendall("HTTP/1.1 " + status +
                         "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
                         "Sec-WebSocket-Accept: " + aio::http::detail::websocket_accept_of(key) +
                         "\r\n" + more + "\r\n" + early);
          body(socket);
        })) {}
  ~Raw() { serving_.kill(); }

  std::string url() const { return "ws://" + listener_.getsockname().str() + "/"; }

  std::string request;

 private:
  green::Socket listener_;
  green::GreenThread<void> serving_;
};

int handshake_status(ClientSession& session, const std::string& url,
                     WebSocketOptions options = WebSocketOptions()) {
  try {
    awaitlet(session.ws_connect(url, options));
    return 0;
  } catch (const WSServerHandshakeError& error) {
    CHECK(std::string(error.what()).starts_with("ws://"));
    return error.status;
  }
}

}  // namespace

TEST_CASE("a client and a server talk, packed or not, and agree on the end") {
  for (const bool compress : {true, false}) {
    CAPTURE(compress);
    WebSocketOptions options;
    options.compress = compress;
    options.protocols = {"chat", "echo"};
    WebSocketOptions ours;
    ours.protocols = {"soap", "echo"};
    const Served served(echo(options));
    ClientSession session;
    WebSocket socket = awaitlet(session.ws_connect(url_of(served), ours));
    CHECK(socket.compressed() == compress);
    CHECK(socket.protocol() == "echo");
    CHECK(!socket.closed());
    CHECK(!socket.close_code());
    for (const std::size_t size : {0, 1, 125, 126, 65'535, 65'536, 3'000'000}) {
      CAPTURE(size);
      awaitlet(socket.send_str(std::string(size, 'x')));
      CHECK(awaitlet(socket.receive_str()) == std::string(size, 'x'));
      awaitlet(socket.send_bytes(std::string(size, '\xff')));
      CHECK(awaitlet(socket.receive_bytes()) == std::string(size, '\xff'));
    }
    awaitlet(socket.send_json({{"a", 1}}));
    CHECK(awaitlet(socket.receive_json()).at("a") == 1);
    CHECK(awaitlet(socket.close(1000, "done")));
    CHECK(socket.closed());
    CHECK(socket.close_code() == 1000);
    CHECK(brief(awaitlet(socket.receive())) == "closed1000()");
    CHECK_THROWS_AS(awaitlet(socket.send_str("late")), WebSocketError);
  }
}

TEST_CASE("a green thread's calls block, on both ends") {
  web::Application app;
  app.router().add_get("/ws", [](web::Request& request) {
    green::http::WebSocketResponse socket;
    socket.prepare(request);
    while (const std::optional<Message> message = socket.next())
      socket.send_str("green " + message->data);
    return socket;
  });
  const Served served(app);
  green::http::ClientSession session;
  green::http::WebSocket socket = awaitlet(session.ws_connect_async(url_of(served)));
  socket.send_str("hello");
  CHECK(socket.receive_str() == "green hello");
  socket.ping("are you there");
  awaitlet(socket.async().send_str("async"));
  CHECK(socket.receive().data == "green async");
  awaitlet(socket.send_str_async("twin"));
  CHECK(awaitlet(socket.receive_async()).data == "green twin");
  CHECK_THROWS_AS(socket.receive(0.01), aio::TimeoutError);
  CHECK(socket.close(4000));
  CHECK(socket.close_code() == 4000);
}

TEST_CASE("green::http::server has WebSockets too") {
  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  green::GreenThread<void> serving = green::spawn([&] {
    green::http::server(listener, [](web::Request& request) {
      green::http::WebSocketResponse socket;
      socket.prepare(request);
      socket.send_str(request.path());
      return socket;
    });
  });
  green::http::ClientSession session;
  green::http::WebSocket socket =
      session.ws_connect("ws://" + listener.getsockname().str() + "/any/where");
  CHECK(socket.receive_str() == "/any/where");
  CHECK(brief(socket.receive()) == "close1000()");
  listener.close();
  serving.wait();
}

TEST_CASE("a server that has no WebSocket there is a handshake that failed") {
  web::Application app = echo();
  app.router().add_get("/plain", [](web::Request&) { return web::Response("hello"); });
  app.router().add_get("/never", [](web::Request&) { return web::WebSocketResponse(); });
  const Served served(app);
  ClientSession session;
  CHECK(handshake_status(session, url_of(served, "/missing")) == 404);
  CHECK(handshake_status(session, url_of(served, "/plain")) == 200);
  {
    const test::Quiet quiet;
    CHECK(handshake_status(session, url_of(served, "/never")) == 500);
  }
  CHECK(served.get("/ws").starts_with("426 "));
  CHECK_THROWS_AS(awaitlet(session.ws_connect("ftp://a/")), aio::http::InvalidURL);
  WebSocketOptions options;
  options.protocols = {"no token"};
  CHECK_THROWS_AS(awaitlet(session.ws_connect(url_of(served), options)), std::invalid_argument);
}

TEST_CASE("a server that answers wrongly is refused") {
  const auto nothing = [](green::Socket& socket) { socket.recv(1); };
  ClientSession session;
  for (const char* more : {"Sec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Extensions: x\r\n",
                           "Sec-WebSocket-Accept: another\r\n",
                           "Sec-WebSocket-Extensions: permessage-deflate; what\r\n"}) {
    CAPTURE(more);
    const Raw server(nothing, more);
    CHECK(handshake_status(session, server.url()) == 101);
  }
  const Raw server(nothing, "Content-Length: 0\r\n", "200 OK");
  CHECK(handshake_status(session, server.url()) == 200);
}

TEST_CASE("the request for a WebSocket says what it has to, and what it is told to") {
  const Raw server([](green::Socket& socket) { socket.recv(1'000); }, "", "101 Switching Protocols",
                   frame(fin | text_frame, "hello", false));
  ClientSession session;
  RequestOptions request;
  request.headers.set("Origin", "http://example.com");
  request.auth = {"user", "secret"};
  WebSocket socket = awaitlet(session.ws_connect(server.url(), WebSocketOptions(), request));
  CHECK(awaitlet(socket.receive_str()) == "hello");  // it came with the answer
  CHECK(server.request.starts_with("GET / HTTP/1.1\r\n"));
  CHECK(test::header(server.request, "Upgrade") == "websocket");
  CHECK(test::header(server.request, "Connection") == "Upgrade");
  CHECK(test::header(server.request, "Sec-WebSocket-Version") == "13");
  CHECK(test::header(server.request, "Sec-WebSocket-Key").size() == 24);
  CHECK(test::header(server.request, "Origin") == "http://example.com");
  CHECK(test::header(server.request, "Authorization").starts_with("Basic "));
}

TEST_CASE("a server that breaks the rules is told so, and one that vanishes is noticed") {
  struct Case {
    std::string bytes;
    std::string seen;
    int told;  // 0: nothing
  };
  const Case cases[] = {
      {frame(fin | text_frame, "masked", true), "error1002", 1002},
      {frame(fin | text_frame, "\xc0", false), "error1007", 1007},
      {frame(fin | test::binary, std::string(1'001, 'x'), false), "error1009", 1009},
      {frame(fin | test::close_frame, "", false), "close1005", 1005},
      {frame(fin | test::close_frame, closing(1003), false), "close1003", 1003},
      {frame(fin | test::close_frame, closing(1006), false), "error1002", 1002},
      {"", "closed1006", 0},
      {"\x81", "closed1006", 0},
  };
  for (const Case& one : cases) {
    CAPTURE(one.seen);
    std::string told;
    const Raw server([&](green::Socket& socket) {
      socket.sendall(one.bytes);
      if (one.told == 0) return;
      told = test::understand(test::receive_all(socket));
    });
    ClientSession session;
    WebSocketOptions options;
    options.max_msg_size = 1'000;
    WebSocket socket = awaitlet(session.ws_connect(server.url(), options));
    const Message last = awaitlet(socket.receive());
    CHECK(brief(last).starts_with(one.seen + "("));
    CHECK(socket.close_code() == last.code);
    CHECK((socket.exception() != nullptr) == (last.type == MsgType::error));
    CHECK(socket.closed());
    if (one.told != 0)
      for (int turn = 0; told.empty() && turn < 1'000; ++turn) green::sleep(0.001);
    if (one.told != 0) CHECK(told.starts_with("close" + std::to_string(one.told) + "("));
  }
}

TEST_CASE("a close while somebody receives ends both") {
  const Served served(echo());
  ClientSession session;
  WebSocket socket = awaitlet(session.ws_connect(url_of(served)));
  green::GreenThread<std::string> receiving =
      green::spawn([&] { return brief(awaitlet(socket.receive())); });
  green::sleep(0);
  CHECK(awaitlet(socket.close(3000)));
  CHECK(receiving.wait() == "close3000()");
  CHECK(!awaitlet(socket.close()));
}

TEST_CASE("closing from both ends at once is one end") {
  for (int round = 0; round < 20; ++round) {
    web::Application app;
    green::Event<> go;
    std::optional<int> code;
    app.router().add_get("/ws", [&](web::Request& request) -> task<web::WebSocketResponse> {
      web::WebSocketResponse socket;
      co_await socket.prepare(request);
      go.send();
      co_await socket.close(4001);
      code = socket.close_code();
      co_return socket;
    });
    const Served served(app);
    ClientSession session;
    WebSocket socket = awaitlet(session.ws_connect(url_of(served)));
    go.wait();
    awaitlet(socket.close(4002));
    CHECK((socket.close_code() == 4001 || socket.close_code() == 4002));
  }
}

TEST_CASE("a client's handle that is dropped ends its connection, and nothing else") {
  web::Application app;
  green::Event<int> end;
  app.router().add_get("/ws", [&](web::Request& request) -> task<web::WebSocketResponse> {
    web::WebSocketResponse socket;
    co_await socket.prepare(request);
    co_await echo_all(socket);
    end.send(socket.close_code().value_or(0));
    co_return socket;
  });
  const Served served(app);
  ClientSession session;
  {
    WebSocket socket = awaitlet(session.ws_connect(url_of(served)));
    awaitlet(session.close());  // what is in use goes on
    awaitlet(socket.send_str("x"));
    CHECK(awaitlet(socket.receive_str()) == "x");
  }
  CHECK(end.wait(test::watchdog) == 1006);
}

TEST_CASE("senders of both ends get on while nobody receives at first") {
  const Served served(echo());
  ClientSession session;
  WebSocket socket = awaitlet(session.ws_connect(url_of(served)));
  const std::string data(1'000'000, 'x');
  green::GreenThread<void> sending = green::spawn([&] {
    for (int i = 0; i < 20; ++i) awaitlet(socket.send_bytes(data));
  });
  for (int i = 0; i < 20; ++i) CHECK(awaitlet(socket.receive_bytes()) == data);
  sending.wait();
  CHECK(awaitlet(socket.close()));
}

TEST_CASE("a chat: whoever sends, all get it in one order") {
  web::Application app;
  std::vector<web::WebSocketResponse> members;
  app.router().add_get("/ws", [&](web::Request& request) -> task<web::WebSocketResponse> {
    web::WebSocketResponse socket;
    co_await socket.prepare(request);
    members.push_back(socket);
    for (;;) {
      const std::optional<Message> message = co_await socket.next();
      if (!message) break;
      for (web::WebSocketResponse& member : members) co_await member.send_str(message->data);
    }
    co_return socket;
  });
  const Served served(app);
  ClientSession session;
  std::vector<WebSocket> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(awaitlet(session.ws_connect(url_of(served))));
  while (members.size() < 5) green::sleep(0.001);
  std::vector<green::GreenThread<std::string>> heard;
  for (WebSocket& client : clients)
    heard.push_back(green::spawn([&client] {
      std::string all;
      for (int i = 0; i < 100; ++i) all += awaitlet(client.receive_str()) + " ";
      return all;
    }));
  for (int i = 0; i < 100; ++i)
    awaitlet(clients[static_cast<std::size_t>(i % 5)].send_str(std::to_string(i)));
  for (const auto& one : heard) CHECK(one.wait().size() == 290);
}

TEST_CASE("cancelled at any moment, a conversation neither mixes messages nor leaks") {
  const Served served(echo());
  std::minstd_rand random(5);
  ClientSession session;
  int mixed = 0;
  for (int round = 0; round < 60; ++round) {
    WebSocket socket = awaitlet(session.ws_connect(url_of(served)));
    std::vector<green::GreenThread<void>> talkers;
    for (int i = 0; i < 3; ++i)
      talkers.push_back(green::spawn([&socket, size = random() % 300'000] {
        for (int turn = 0; turn < 20; ++turn)
          awaitlet(socket.send_bytes(std::string(size, static_cast<char>('a' + turn))));
      }));
    green::GreenThread<void> listener = green::spawn([&socket, &mixed] {
      for (;;) {
        const Message message = awaitlet(socket.receive());
        if (message.last()) return;
        mixed += message.data.find_first_not_of(message.data.substr(0, 1)) != std::string::npos;
      }
    });
    for (const auto& talker : talkers) {
      green::sleep(static_cast<double>(random() % 100) / 1e5);
      talker.kill();
    }
    switch (random() % 4) {
      case 0: listener.kill(); break;
      case 1: {
        green::GreenThread<void> closing = green::spawn([&socket] { awaitlet(socket.close()); });
        green::sleep(0);
        closing.kill();
        break;
      }
      case 2: awaitlet(socket.close()); break;
      default: break;
    }
    listener.kill();
    for (const auto& talker : talkers) {
      try {
        talker.wait();
      } catch (const green::GreenletExit&) {
      } catch (const WebSocketError&) {
      }
    }
  }
  CHECK(mixed == 0);
}
