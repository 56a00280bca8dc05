// The server's end of a WebSocket, against a client that sends what it likes.

#include "frames.hpp"
#include "served.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>
#include <aio/websocket.hpp>
#include <green/event.hpp>
#include <green/http.hpp>

#include <functional>

using aio::task;
using test::brief;
using test::closing;
using test::count;
using test::fin;
using test::frame;
using test::header;
using test::Message;
using test::MsgType;
using test::ping;
using test::pong;
using test::Served;
using test::text_frame;
using test::WebSocketError;

namespace web = aio::web;

namespace {

const std::string key = "dGhlIHNhbXBsZSBub25jZQ==";

std::string handshake(const std::string& more = {}) {
  return "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
         "Sec-WebSocket-Key: " +
         key + "\r\nSec-WebSocket-Version: 13\r\n" + more + "\r\n";
}

// A client with a mind of its own.
class Raw {
 public:
  explicit Raw(const Served& served, const std::string& more = {}, const std::string& early = {})
      : socket(served.connect()), parser(test::WebSocketRole::client, 0) {
    socket.sendall(handshake(more) + early);
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
  test::WebSocketParser parser;
};

// What a handler gets to see, until it ends.
class Conversation {
 public:
  using Body = std::function<task<void>(web::WebSocketResponse&)>;

  explicit Conversation(Body body, web::WebSocketOptions options = web::WebSocketOptions()) {
    app.router().add_get(
        "/ws", [this, body, options](web::Request& request) -> task<web::WebSocketResponse> {
          web::WebSocketResponse socket(options);
          co_await socket.prepare(request);
          const Ended ended{*this};
          co_await body(socket);
          code = socket.close_code();
          co_return socket;
        });
  }
  // Echoes, and notes all that comes.
  explicit Conversation(web::WebSocketOptions options = web::WebSocketOptions())
      : Conversation([this](web::WebSocketResponse& socket) { return echo(socket); }, options) {}

  void wait() { end.wait(test::watchdog); }

  web::Application app;
  test::Log log;
  std::optional<int> code;
  green::Event<> end;

 private:
  struct Ended {
    Conversation& conversation;
    ~Ended() { conversation.end.send(); }
  };

  task<void> echo(web::WebSocketResponse& socket) {
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

}  // namespace

TEST_CASE("messages come back, and the connection is closed as the client says") {
  Conversation echo;
  const Served served(echo.app);
  Raw client(served);
  CHECK(client.head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
  CHECK(header(client.head, "Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(header(client.head, "Upgrade") == "websocket");
  CHECK(header(client.head, "Connection") == "Upgrade");
  CHECK(header(client.head, "Sec-WebSocket-Protocol") == "");
  CHECK(header(client.head, "Sec-WebSocket-Extensions") == "");
  client.send(frame(fin | text_frame, "hello"));
  CHECK(client.next() == "text(hello)");
  client.send(frame(test::binary, "in ") + frame(fin | ping, "?") +
              frame(fin | test::continuation, "parts"));
  CHECK(client.next() == "pong(?)");
  CHECK(client.next() == "binary(in parts)");
  client.send(frame(fin | test::close_frame, closing(4321, "enough")));
  CHECK(client.all() == "close4321() end");
  echo.wait();
  CHECK(echo.log.text() == "text(hello) binary(in parts) close4321(enough)");
  CHECK(echo.code == 4321);
}

TEST_CASE("what a client sends with its handshake is not lost") {
  Conversation echo;
  const Served served(echo.app);
  Raw client(served, "", frame(fin | text_frame, "early") + frame(fin | text_frame, "bird"));
  CHECK(client.next() == "text(early)");
  CHECK(client.next() == "text(bird)");
}

TEST_CASE("what breaks the rules is answered with why, and the connection ends (3 to 7, 9)") {
  struct Case {
    std::string bytes;
    int code;
  };
  const Case cases[] = {
      {frame(fin | 3, "x"), 1002},
      {frame(fin | text_frame | test::rsv1, "x"), 1002},
      {frame(fin | text_frame, "x", false), 1002},
      {frame(fin | test::continuation, "x"), 1002},
      {frame(fin | test::close_frame, closing(1005)), 1002},
      {frame(fin | text_frame, "\xff"), 1007},
      {frame(fin | test::close_frame, closing(1000, "\xff")), 1007},
      {frame(fin | text_frame, std::string(1'001, 'x')), 1009},
      {frame(fin | text_frame, std::string(500'000, 'x')), 1009},
  };
  for (const Case& one : cases) {
    CAPTURE(one.code);
    web::WebSocketOptions options;
    options.max_msg_size = 1'000;
    Conversation echo(options);
    const Served served(echo.app);
    Raw client(served);
    client.send(frame(fin | text_frame, "ok") + one.bytes);
    CHECK(client.next() == "text(ok)");
    CHECK(client.next().starts_with("close" + std::to_string(one.code) + "(a "));
    client.socket.close();
    echo.wait();
    CHECK(echo.log.entries().back().starts_with("error" + std::to_string(one.code) + "("));
    CHECK(echo.code == one.code);
  }
}

TEST_CASE("a client that vanishes is a message too, with code 1006") {
  Conversation echo;
  const Served served(echo.app);
  {
    Raw client(served);
    client.send(frame(fin | text_frame, "a") + frame(fin | text_frame, "cut").substr(0, 5));
    CHECK(client.next() == "text(a)");
  }
  echo.wait();
  CHECK(echo.log.text() == "text(a) closed1006()");
  CHECK(echo.code == 1006);
}

TEST_CASE("a reset is an error, with code 1006") {
  Conversation echo;
  const Served served(echo.app);
  {
    Raw client(served);
    client.send(frame(fin | text_frame, "a"));
    client.next();
    const linger now{1, 0};
    REQUIRE(setsockopt(client.socket.fileno(), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
  }
  echo.wait();
  CHECK(echo.log.entries().back().starts_with("error1006(recv: "));
  CHECK(echo.code == 1006);
}

TEST_CASE("a handler that returns closes with 1000, one that throws with 1011") {
  Conversation returns([](web::WebSocketResponse& socket) { return socket.send_str("bye"); });
  {
    const Served served(returns.app);
    Raw client(served);
    CHECK(client.next() == "text(bye)");
    CHECK(client.next() == "close1000()");
    client.send(frame(fin | text_frame, "late") + frame(fin | test::close_frame, closing(1000)));
    CHECK(client.next() == "end");
  }
  const test::Quiet quiet;
  Conversation throws([](web::WebSocketResponse&) -> task<void> {
    co_await aio::sleep(0);
    throw std::runtime_error("on purpose");
  });
  const Served served(throws.app);
  Raw client(served);
  CHECK(client.next() == "close1011()");
  client.send(frame(fin | test::close_frame, closing(1011)));
  CHECK(client.next() == "end");
}

TEST_CASE("close waits for the client, drops what it still sends, and gives up in time") {
  test::Log log;
  web::WebSocketOptions options;
  options.close_timeout = 0.05;
  Conversation patient(
      [&](web::WebSocketResponse& socket) -> task<void> {
        log("ready");
        const bool first = co_await socket.close(1001, "going");
        const bool again = co_await socket.close();
        log(first && !again && socket.closed() ? "closed" : "wrong");
        const Message message = co_await socket.receive();
        log(brief(message));
        try {
          co_await socket.send_str("x");
        } catch (const WebSocketError& error) {
          log(std::to_string(error.code) + " " + error.what());
        }
      },
      options);
  const Served served(patient.app);
  {
    Raw client(served);
    CHECK(client.next() == "close1001(going)");
    client.send(frame(fin | text_frame, "dropped") + frame(fin | test::close_frame, closing(1001)));
    CHECK(client.next() == "end");
  }
  patient.wait();
  CHECK(log.text() == "ready closed closed1001() 1001 the WebSocket is closed: 1001");
  CHECK(patient.code == 1001);
}

TEST_CASE("close gives up on a client that never answers") {
  web::WebSocketOptions options;
  options.close_timeout = 0.01;
  Conversation hasty([](web::WebSocketResponse& socket) -> task<void> { co_await socket.close(); },
                     options);
  const Served served(hasty.app);
  Raw client(served);
  hasty.wait();
  CHECK(hasty.code == 1006);
  CHECK(client.next() == "close1000()");
  CHECK(client.next() == "end");
}

TEST_CASE("a server that stops closes with 1001, and its handlers see it") {
  Conversation echo;
  Served served(echo.app);
  Raw client(served);
  client.send(frame(fin | text_frame, "a"));
  CHECK(client.next() == "text(a)");
  green::GreenThread<void> stopping =
      green::spawn([&] { green::awaitlet(served.runner().stop()); });
  CHECK(client.next() == "close1001(the server stops)");
  client.send(frame(fin | test::close_frame, closing(1001)));
  CHECK(client.next() == "end");
  stopping.wait();
  CHECK(echo.log.text() == "text(a) close1001()");
}

TEST_CASE("pings and closes are the handler's when it says so") {
  web::WebSocketOptions options;
  options.autoping = options.autoclose = false;
  Conversation echo(options);
  const Served served(echo.app);
  Raw client(served);
  client.send(frame(fin | ping, "p") + frame(fin | pong, "q") + frame(fin | test::close_frame, ""));
  CHECK(client.next() == "close1000()");  // its return
  CHECK(client.next() == "end");
  CHECK(echo.log.text() == "ping(p) pong(q) close1005()");
}

TEST_CASE("receive has limits of time, and loses nothing by them") {
  web::WebSocketOptions options;
  options.receive_timeout = 0.001;
  green::Event<> go;
  Conversation waits(
      [&](web::WebSocketResponse& socket) -> task<void> {
        for (const std::optional<aio::Duration> limit : {std::optional<aio::Duration>(), {0.002}}) {
          try {
            co_await socket.receive(limit);
            FAIL("nothing was sent");
          } catch (const aio::TimeoutError&) {
          }
        }
        go.send();
        const Message message = co_await socket.receive(test::watchdog);
        co_await socket.send_str(message.data);
      },
      options);
  const Served served(waits.app);
  const std::string bytes = frame(fin | text_frame, "in halves");
  Raw client(served, "", bytes.substr(0, 5));
  go.wait();
  client.send(bytes.substr(5));
  CHECK(client.next() == "text(in halves)");
}

TEST_CASE("a second receive at once is an error, many sends at once are messages in order") {
  Conversation many([](web::WebSocketResponse& socket) -> task<void> {
    std::vector<aio::Future<void>> senders;
    for (int i = 0; i < 50; ++i) {
      auto send = [](web::WebSocketResponse to, int number) -> task<void> {
        co_await to.send_bytes(std::string(100'000, static_cast<char>(number)));
      };
      senders.push_back(aio::create_task(send(socket, i)));
    }
    aio::Future<Message> receiving = aio::create_task(socket.receive());
    co_await aio::sleep(0);
    try {
      co_await socket.receive();
      FAIL("received twice");
    } catch (const std::logic_error&) {
    }
    for (aio::Future<void>& one : senders) co_await one;
    co_await receiving;
  });
  const Served served(many.app);
  Raw client(served);
  for (int i = 0; i < 50; ++i)
    CHECK(client.next() == "binary(" + std::string(100'000, static_cast<char>(i)) + ")");
  client.send(frame(fin | text_frame, "thanks"));
  CHECK(client.next() == "close1000()");
}

TEST_CASE("a sender that is cancelled leaves whole messages behind") {
  Conversation cancels([](web::WebSocketResponse& socket) -> task<void> {
    for (int i = 0; i < 5; ++i) {
      try {
        co_await aio::wait_for(
            socket.send_bytes(std::string(8'000'000, static_cast<char>('a' + i))), 0.01);
      } catch (const aio::TimeoutError&) {
      }
    }
    co_await socket.send_str("last");
  });
  const Served served(cancels.app);
  Raw client(served);
  green::sleep(0.1);
  std::string last;
  for (std::string one; last != "text(last)"; last = one) {
    one = client.next();
    if (one == "text(last)") break;
    REQUIRE(one.size() == 8'000'008);
    CHECK(one == "binary(" + std::string(8'000'000, one[7]) + ")");
  }
}

TEST_CASE("a silent client is asked, and given up if it does not answer") {
  web::WebSocketOptions options;
  options.heartbeat = 0.02;
  Conversation echo(options);
  const Served served(echo.app);
  Raw client(served);
  CHECK(client.next() == "ping()");
  client.send(frame(fin | pong, ""));
  CHECK(client.next() == "ping()");
  client.send(frame(fin | text_frame, "alive"));
  CHECK(client.next() == "text(alive)");
  CHECK(client.next() == "ping()");
  CHECK(client.next() == "end");
  echo.wait();
  CHECK(echo.log.text() == "text(alive) error1006(no answer to a ping)");
}

TEST_CASE("a client that does not read is waited for, and sees all when it does") {
  int sent = 0;
  Conversation pushes([&](web::WebSocketResponse& socket) -> task<void> {
    for (; sent < 1'000; ++sent) co_await socket.send_bytes(std::string(100'000, 'x'));
  });
  const Served served(pushes.app);
  Raw client(served);
  green::sleep(0.05);
  const int before = sent;
  green::sleep(0.05);
  CHECK(before < 900);
  CHECK(sent == before);
  for (int i = 0; i < 1'000; ++i) REQUIRE(client.next().size() == 100'008);
  CHECK(client.next() == "close1000()");
}

TEST_CASE("a loop that misses the end is stopped") {
  std::string what;
  Conversation loops([&](web::WebSocketResponse& socket) -> task<void> {
    try {
      for (;;) co_await socket.receive();
    } catch (const std::logic_error& error) {
      what = error.what();
    }
  });
  const Served served(loops.app);
  { Raw client(served); }
  loops.wait();
  CHECK(what == "receive on a WebSocket that was closed long ago");
}

TEST_CASE("wrong calls are clear errors") {
  Conversation wrong([](web::WebSocketResponse& socket) -> task<void> {
    CHECK_THROWS_AS(green::awaitlet(socket.send_str("\xff")), std::invalid_argument);
    CHECK_THROWS_AS(green::awaitlet(socket.ping(std::string(126, 'x'))), std::invalid_argument);
    CHECK_THROWS_AS(green::awaitlet(socket.close(1005)), std::invalid_argument);
    CHECK_THROWS_AS(green::awaitlet(socket.close(999)), std::invalid_argument);
    CHECK_THROWS_AS(green::awaitlet(socket.close(1000, std::string(124, 'x'))),
                    std::invalid_argument);
    CHECK_THROWS_AS(green::awaitlet(socket.close(1000, "\xff")), std::invalid_argument);
    web::WebSocketResponse fresh;
    CHECK_THROWS_AS(green::awaitlet(fresh.send_str("x")), std::logic_error);
    CHECK_THROWS_AS(green::awaitlet(fresh.receive()), std::logic_error);
    CHECK_THROWS_AS(green::awaitlet(fresh.close()), std::logic_error);
    co_await socket.send_str("fine");
  });
  const Served served(wrong.app);
  Raw client(served);
  CHECK(client.next() == "text(fine)");
}

TEST_CASE("a handle outlives its connection, and says that it has ended") {
  std::optional<web::WebSocketResponse> kept;
  Conversation keeps([&](web::WebSocketResponse& socket) -> task<void> {
    kept = socket;
    co_return;
  });
  {
    const Served served(keeps.app);
    Raw client(served);
    client.send(frame(fin | test::close_frame, closing(1000)));
    CHECK(client.all() == "close1000() end");
  }
  CHECK(kept->closed());
  CHECK(kept->close_code() == 1000);
  CHECK_THROWS_AS(green::awaitlet(kept->send_str("x")), WebSocketError);
  CHECK(brief(green::awaitlet(kept->receive())) == "closed1000()");
}

TEST_CASE("a plain function may converse too, and return what it likes") {
  web::Application app;
  app.router().add_get("/ws", [](web::Request& request) {
    web::WebSocketResponse socket;
    green::awaitlet(socket.prepare(request));
    const Message message = green::awaitlet(socket.receive());
    green::awaitlet(socket.send_str("plain " + message.data));
    return socket;
  });
  const Served served(app);
  Raw client(served);
  client.send(frame(fin | text_frame, "hello"));
  CHECK(client.next() == "text(plain hello)");
  CHECK(client.next() == "close1000()");
}

TEST_CASE("destroying the server cuts its WebSockets") {
  Conversation echo;
  auto served = std::make_unique<Served>(echo.app);
  Raw client(*served);
  green::GreenThread<void> stopping =
      green::spawn([&] { green::awaitlet(served->runner().stop()); });
  green::sleep(0);
  stopping.kill();
  served.reset();
  const std::string seen = client.all();
  CHECK(seen.ends_with("end"));
}
