// Connections of a session: kept, shared, limited, and given up.

#include "client_support.hpp"

using aio::task;
using test::Answering;
using test::Gated;
using test::holds;
using test::message_of;
using test::receive_request;
using test::reply;
using test::Scripted;
using test::until;

namespace http = aio::http;

TEST_CASE("a connection serves one request after the other") {
  const Answering server(reply("ok"));
  green::http::ClientSession session;
  for (int i = 0; i < 5; ++i) CHECK(session.get(server.url()).read() == "ok");
  CHECK(server.connections == 1);
}

TEST_CASE("a response that is there whole gives its connection back before it is read") {
  const Answering server(reply("ok"));
  green::http::ClientSession session;
  std::vector<green::http::ClientResponse> unread;
  for (int i = 0; i < 3; ++i) unread.push_back(session.get(server.url()));
  CHECK(server.connections == 1);
  for (auto& response : unread) CHECK(response.read() == "ok");
}

TEST_CASE("a response read to its end gives its connection back at once") {
  green::Event<> go;
  const Scripted server([&](green::Socket& socket, int) {
    while (!receive_request(socket).empty()) {
      socket.sendall("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
      go.wait();
      socket.sendall("cd");
    }
  });
  http::SessionOptions options;
  options.limit = 1;
  green::http::ClientSession session(options);
  green::http::ClientResponse response = session.get(server.url());
  auto waiting = green::spawn([&] { return session.get(server.url()).read(); });
  CHECK(response.read_chunk() == "ab");
  green::sleep(0.01);
  CHECK_FALSE(waiting.dead());
  go.send();
  CHECK(response.read_chunk() == "cd");  // its end has come, though "" was not asked for
  CHECK(waiting.wait() == "abcd");
  CHECK(server.connections == 1);
}

TEST_CASE("a response that is dropped or released before its end closes its connection") {
  const Scripted server([&](green::Socket& socket, int) {
    while (!receive_request(socket).empty())
      socket.sendall("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
  });
  http::SessionOptions options;
  options.limit = 1;
  green::http::ClientSession session(options);
  { const green::http::ClientResponse dropped = session.get(server.url()); }
  until([&] { return server.open == 0; });
  green::http::ClientResponse released = session.get(server.url());
  const green::http::ClientResponse handle = released;
  released.release();
  until([&] { return server.open == 0; });
  CHECK_THROWS_AS(released.read(), http::ClientError);
  CHECK(session.get(server.url()).read_chunk() == "ab");
  CHECK(server.connections == 3);
}

TEST_CASE("a task of a response keeps it alive") {
  const Answering server(reply("ok"));
  green::http::ClientSession session;
  aio::task<std::string> text = session.get(server.url()).async().text();
  CHECK(green::awaitlet(std::move(text)) == "ok");
}

TEST_CASE("what asks to be closed, or says too much, is not kept") {
  for (const std::string& bytes : {reply("ok", "Connection: close\r\n"), reply("ok") + "more",
                                   reply("ok") + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                                   std::string("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")}) {
    const Answering server(bytes);
    green::http::ClientSession session;
    CHECK(session.get(server.url()).read() == "ok");
    CHECK(session.get(server.url()).read() == "ok");
    CHECK(server.connections == 2);
  }
  const Answering kept("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok");
  green::http::ClientSession session;
  session.get(kept.url()).read();
  http::RequestOptions options;
  options.headers.add("Connection", "close");
  session.get(kept.url(), options).read();
  CHECK(kept.connections == 1);
  session.get(kept.url()).read();
  CHECK(kept.connections == 2);
}

TEST_CASE("no more connections than the limit, and whoever waits gets one in turn") {
  int busy = 0;
  int most = 0;
  const Scripted server([&](green::Socket& socket, int) {
    while (!receive_request(socket).empty()) {
      most = std::max(most, ++busy);
      green::sleep(0.002);
      --busy;
      socket.sendall(reply("ok"));
    }
  });
  for (const bool per_host : {false, true}) {
    http::SessionOptions options;
    (per_host ? options.limit_per_host : options.limit) = 3;
    green::http::ClientSession session(options);
    most = 0;
    std::vector<int> order;
    green::GreenPool pool;
    for (int i = 0; i < 30; ++i)
      pool.spawn_n([&, i] {
        session.get(server.url()).read();
        order.push_back(i);
      });
    pool.waitall();
    CHECK(most == 3);
    REQUIRE(order.size() == 30);
    for (int i = 0; i < 30; ++i) CHECK(std::abs(order[static_cast<std::size_t>(i)] - i) < 3);
  }
  CHECK(server.connections == 6);
}

TEST_CASE("a host at its limit does not hold up another") {
  green::Event<> go;
  const Gated slow(reply("slow"), go);
  const Answering quick(reply("quick"));
  http::SessionOptions options;
  options.limit = 2;
  options.limit_per_host = 1;
  green::http::ClientSession session(options);
  auto first = green::spawn([&] { return session.get(slow.url()).read(); });
  auto second = green::spawn([&] { return session.get(slow.url()).read(); });
  until([&] { return slow.connections == 1; });
  CHECK(session.get(quick.url()).read() == "quick");
  go.send();
  CHECK(first.wait() == "slow");
  CHECK(second.wait() == "slow");
  CHECK(slow.connections == 1);
}

TEST_CASE("idle connections to other hosts make room") {
  const Answering one(reply("1")), two(reply("2")), three(reply("3"));
  http::SessionOptions options;
  options.limit = 2;
  green::http::ClientSession session(options);
  session.get(one.url()).read();
  session.get(two.url()).read();
  session.get(one.url()).read();
  CHECK(one.open + two.open == 2);
  session.get(three.url()).read();
  until([&] { return two.open == 0; });  // idle for longest
  CHECK(one.open == 1);
  CHECK(one.connections == 1);
}

TEST_CASE("a killed waiter leaves its place to the next") {
  green::Event<> go;
  const Gated server(reply("ok"), go);
  http::SessionOptions options;
  options.limit = options.limit_per_host = 1;
  green::http::ClientSession session(options);
  auto first = green::spawn([&] { return session.get(server.url()).read(); });
  auto killed = green::spawn([&] { return session.get(server.url()).read(); });
  auto last = green::spawn([&] { return session.get(server.url()).read(); });
  until([&] { return server.connections == 1; });
  killed.kill();
  go.send();
  CHECK(first.wait() == "ok");
  CHECK(last.wait() == "ok");
  CHECK(session.get(server.url()).read() == "ok");
  CHECK(server.connections == 1);
}

TEST_CASE("an idle connection goes after keepalive_timeout, and when the session does") {
  const Answering server(reply("ok"));
  http::SessionOptions options;
  options.keepalive_timeout = 0.02;
  green::http::ClientSession brief(options);
  brief.get(server.url()).read();
  CHECK(server.open == 1);
  until([&] { return server.open == 0; });
  options.keepalive_timeout = 0;
  green::http::ClientSession none(options);
  none.get(server.url()).read();
  until([&] { return server.open == 0; });
  {
    green::http::ClientSession session;
    session.get(server.url()).read();
    CHECK(server.open == 1);
  }
  until([&] { return server.open == 0; });
  green::http::ClientSession closed;
  closed.get(server.url()).read();
  closed.close();
  until([&] { return server.open == 0; });
}

TEST_CASE("a connection that the server has closed while it was idle is replaced") {
  const Scripted server([&](green::Socket& socket, int) {
    receive_request(socket);
    socket.sendall(reply("ok"));  // and closes without having said so
  });
  green::http::ClientSession session;
  for (int i = 0; i < 3; ++i) {
    CHECK(session.post(server.url()).read() == "ok");
    until([&] { return server.open == 0; });
  }
  CHECK(server.connections == 3);
}

TEST_CASE("a request on an idle connection that dies of it is sent again, if that may be") {
  std::vector<std::string> requests;
  const Scripted server([&](green::Socket& socket, int) {
    requests.push_back(receive_request(socket));
    socket.sendall(reply("ok"));
    receive_request(socket);  // and does not answer
  });
  green::http::ClientSession session;
  session.get(server.url()).read();
  CHECK(session.get(server.url("/again")).read() == "ok");
  CHECK(requests.size() == 2);
  http::RequestOptions body;
  body.data = "body";
  CHECK(session.put(server.url("/put"), body).read() == "ok");
  CHECK(requests.back().ends_with("\r\n\r\nbody"));
  CHECK_THROWS_AS(session.post(server.url("/post"), body).read(), http::ServerDisconnectedError);
  CHECK(server.connections == 3);
}

TEST_CASE("a new connection that dies is not tried again, nor one that has begun to answer") {
  const Scripted silent([](green::Socket& socket, int) { receive_request(socket); });
  green::http::ClientSession session;
  CHECK_THROWS_AS(session.get(silent.url()), http::ServerDisconnectedError);
  CHECK(silent.connections == 1);
  const Scripted breaks_off([](green::Socket& socket, int) {
    receive_request(socket);
    socket.sendall(reply("ok"));
    receive_request(socket);
    socket.sendall("HTTP/1.1 2");
  });
  session.get(breaks_off.url()).read();
  CHECK_THROWS_AS(session.get(breaks_off.url()), http::ServerDisconnectedError);
  CHECK(breaks_off.connections == 1);
}

TEST_CASE("a session may go, or be closed, while its requests are in flight") {
  green::Event<> go;
  const Gated server(reply("ok"), go);
  http::SessionOptions options;
  options.limit = 1;
  auto session = std::make_unique<http::ClientSession>(options);
  auto first = aio::create_task(session->get(server.url()));
  auto second = aio::create_task(session->get(server.url()));
  until([&] { return server.connections == 1; });
  session.reset();
  go.send();
  http::ClientResponse response = green::awaitlet(first);
  CHECK(green::awaitlet(response.text()) == "ok");
  CHECK(green::awaitlet(second).status() == 200);
  until([&] { return server.open == 0; });  // nothing is kept for a session that is gone
  CHECK(server.connections == 2);
}

TEST_CASE("hundreds of requests at a time share a hundred connections") {
  const Answering server(reply(std::string(10'000, 'x')));
  green::http::ClientSession session;
  green::GreenPool pool;
  std::size_t bytes = 0;
  for (int i = 0; i < 500; ++i)
    pool.spawn_n([&] { bytes += session.get(server.url()).read().size(); });
  pool.waitall();
  CHECK(bytes == 5'000'000);
  CHECK(server.connections <= 100);
}
