// What a server says and hears on a WebSocket.

#include "conversation.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <vector>

using aio::task;
using test::closing;
using test::Conversation;
using test::fin;
using test::frame;
using test::header;
using test::Message;
using test::ping;
using test::pong;
using test::RawClient;
using test::Served;
using test::text_frame;

namespace web = aio::web;

// aiohttp's names are the same enumerators.
static_assert(aio::http::WSMsgType::TEXT == aio::http::MsgType::text);
static_assert(aio::http::WSMsgType::BINARY == aio::http::MsgType::binary);
static_assert(web::WSMsgType::PING == web::MsgType::ping);
static_assert(web::WSMsgType::PONG == web::MsgType::pong);
static_assert(web::WSMsgType::CLOSE == web::MsgType::close);
static_assert(web::WSMsgType::CLOSED == web::MsgType::closed);
static_assert(web::WSMsgType::ERROR == web::MsgType::error);

TEST_CASE("messages come back, and the connection is closed as the client says") {
  Conversation echo;
  const Served served(echo.app);
  RawClient client(served);
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
  RawClient client(served, "", frame(fin | text_frame, "early") + frame(fin | text_frame, "bird"));
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
    RawClient client(served);
    client.send(frame(fin | text_frame, "ok") + one.bytes);
    CHECK(client.next() == "text(ok)");
    CHECK(client.next().starts_with("close" + std::to_string(one.code) + "(a "));
    client.socket.close();
    echo.wait();
    CHECK(echo.log.entries().back().starts_with("error" + std::to_string(one.code) + "("));
    CHECK(echo.code == one.code);
  }
}

TEST_CASE("pings and closes are the handler's when it says so") {
  web::WebSocketOptions options;
  options.autoping = options.autoclose = false;
  Conversation echo(options);
  const Served served(echo.app);
  RawClient client(served);
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
  RawClient client(served, "", bytes.substr(0, 5));
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
  RawClient client(served);
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
  RawClient client(served);
  green::sleep(0.1);
  std::string last;
  for (std::string one; last != "text(last)"; last = one) {
    one = client.next();
    if (one == "text(last)") break;
    REQUIRE(one.size() == 8'000'008);
    CHECK(one == "binary(" + std::string(8'000'000, one[7]) + ")");
  }
}

TEST_CASE("a client that does not read is waited for, and sees all when it does") {
  int sent = 0;
  Conversation pushes([&](web::WebSocketResponse& socket) -> task<void> {
    for (; sent < 1'000; ++sent) co_await socket.send_bytes(std::string(100'000, 'x'));
  });
  const Served served(pushes.app);
  RawClient client(served);
  green::sleep(0.05);
  const int before = sent;
  green::sleep(0.05);
  CHECK(before < 900);
  CHECK(sent == before);
  for (int i = 0; i < 1'000; ++i) REQUIRE(client.next().size() == 100'008);
  CHECK(client.next() == "close1000()");
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
  RawClient client(served);
  CHECK(client.next() == "text(fine)");
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
  RawClient client(served);
  client.send(frame(fin | text_frame, "hello"));
  CHECK(client.next() == "text(plain hello)");
  CHECK(client.next() == "close1000()");
}
