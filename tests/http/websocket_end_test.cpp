// How a server's WebSocket ends: who closes, who vanishes, and what is seen of it.

#include "conversation.hpp"

#include <aio/sleep.hpp>

#include <memory>
#include <sys/socket.h>

using aio::task;
using test::brief;
using test::closing;
using test::Conversation;
using test::fin;
using test::frame;
using test::Message;
using test::pong;
using test::RawClient;
using test::Served;
using test::text_frame;
using test::WebSocketError;

namespace web = aio::web;

TEST_CASE("a client that vanishes is a message too, with code 1006") {
  Conversation echo;
  const Served served(echo.app);
  {
    RawClient client(served);
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
    RawClient client(served);
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
    RawClient client(served);
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
  RawClient client(served);
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
    RawClient client(served);
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
  RawClient client(served);
  hasty.wait();
  CHECK(hasty.code == 1006);
  CHECK(client.next() == "close1000()");
  CHECK(client.next() == "end");
}

TEST_CASE("a server that stops closes with 1001, and its handlers see it") {
  Conversation echo;
  Served served(echo.app);
  RawClient client(served);
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

TEST_CASE("a silent client is asked, and given up if it does not answer") {
  web::WebSocketOptions options;
  options.heartbeat = 0.02;
  Conversation echo(options);
  const Served served(echo.app);
  RawClient client(served);
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
  { RawClient client(served); }
  loops.wait();
  CHECK(what == "receive on a WebSocket that was closed long ago");
}

TEST_CASE("a handle outlives its connection, and says that it has ended") {
  std::optional<web::WebSocketResponse> kept;
  Conversation keeps([&](web::WebSocketResponse& socket) -> task<void> {
    kept = socket;
    co_return;
  });
  {
    const Served served(keeps.app);
    RawClient client(served);
    client.send(frame(fin | test::close_frame, closing(1000)));
    CHECK(client.all() == "close1000() end");
  }
  CHECK(kept->closed());
  CHECK(kept->close_code() == 1000);
  CHECK_THROWS_AS(green::awaitlet(kept->send_str("x")), WebSocketError);
  CHECK(brief(green::awaitlet(kept->receive())) == "closed1000()");
}

TEST_CASE("destroying the server cuts its WebSockets") {
  Conversation echo;
  auto served = std::make_unique<Served>(echo.app);
  RawClient client(*served);
  green::GreenThread<void> stopping =
      green::spawn([&] { green::awaitlet(served->runner().stop()); });
  green::sleep(0);
  stopping.kill();
  served.reset();
  const std::string seen = client.all();
  CHECK(seen.ends_with("end"));
}
