// Requests that take too long, and those that are cut short.

#include "client_support.hpp"

using aio::task;
using test::Answering;
using test::FullListener;
using test::Gated;
using test::holds;
using test::message_of;
using test::receive_request;
using test::reply;
using test::Scripted;
using test::until;

namespace http = aio::http;

namespace {

// Reads requests and does not answer.
class Silent : public Scripted {
 public:
  Silent()
      : Scripted([](green::Socket& socket, int) {
          while (!receive_request(socket).empty()) continue;
        }) {}
};

// Sends a part of a body and goes silent.
class Stalling : public Scripted {
 public:
  Stalling()
      : Scripted([](green::Socket& socket, int) {
          while (!receive_request(socket).empty())
            socket.sendall("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        }) {}
};

http::SessionOptions total(double seconds) {
  http::SessionOptions options;
  options.timeout = seconds;
  return options;
}

}  // namespace

TEST_CASE("a response that does not come in time is a TimeoutError, and its connection goes") {
  const Silent server;
  green::http::ClientSession session(total(0.02));
  const std::string what = message_of<aio::TimeoutError>([&] { session.get(server.url("/slow")); });
  CHECK(holds(what, "GET " + server.url("/slow")));
  until([&] { return server.open == 0; });
  http::RequestOptions options;
  options.timeout = 0.02;
  green::http::ClientSession patient;
  CHECK_THROWS_AS(patient.get(server.url(), options), aio::TimeoutError);
  until([&] { return server.open == 0; });
}

TEST_CASE("the time of a request includes reading its body") {
  const Stalling server;
  green::http::ClientSession session(total(0.05));
  green::http::ClientResponse response = session.get(server.url());
  CHECK(response.read_chunk() == "abc");
  CHECK(holds(message_of<aio::TimeoutError>([&] { response.read_chunk(); }), "GET "));
  until([&] { return server.open == 0; });
  CHECK_THROWS_AS(response.read_chunk(), http::ClientError);
}

TEST_CASE("a pause of the server's is limited by read_timeout, its whole answer is not") {
  http::SessionOptions options;
  options.read_timeout = 0.1;
  green::http::ClientSession session(options);
  const Silent silent;
  CHECK_THROWS_AS(session.get(silent.url()), aio::TimeoutError);
  const Stalling stalling;
  CHECK_THROWS_AS(session.get(stalling.url()).read(), aio::TimeoutError);
  const Scripted slow([](green::Socket& socket, int) {
    receive_request(socket);
    const std::string whole = reply(std::string(30, 'x'));
    for (std::size_t i = 0; i < whole.size(); ++i) {
      socket.sendall(whole.substr(i, 1));
      green::sleep(0.003);
    }
  });
  CHECK(session.get(slow.url()).read().size() == 30);
}

TEST_CASE("sending a body is no pause as long as it gets on, but one when it does not") {
  http::SessionOptions options;
  options.read_timeout = 0.5;
  green::http::ClientSession session(options);
  constexpr std::size_t bytes = 40'000'000;
  const Scripted slow([](green::Socket& socket, int) {
    int reads = 0;
    for (std::size_t left = bytes; left > 0;) {
      const std::string data = socket.recv(300'000);
      if (data.empty()) return;
      left -= std::min(left, data.size());
      if (++reads < 100) green::sleep(0.01);  // longer in all than a pause may be
    }
    socket.sendall(reply("ok", "Connection: close\r\n"));
    while (!socket.recv(65536).empty()) continue;
  });
  http::RequestOptions large;
  large.data.assign(bytes, 'x');
  CHECK(session.post(slow.url(), large).read() == "ok");
  const Scripted stuck([](green::Socket& socket, int) {
    socket.recv(1000);
    green::sleep(test::watchdog);
  });
  CHECK_THROWS_AS(session.post(stuck.url(), large), aio::TimeoutError);
}

TEST_CASE("connecting has a time of its own") {
  const FullListener full;
  http::SessionOptions options;
  options.connect_timeout = 0.05;
  green::http::ClientSession session(options);
  const std::string name = full.listener.getsockname().str();
  CHECK(holds(message_of<aio::TimeoutError>([&] { session.get("http://" + name + "/"); }), name));
}

TEST_CASE("waiting for a place is part of connecting, and leaves no trace") {
  green::Event<> go;
  const Gated server(reply("ok"), go);
  http::SessionOptions options;
  options.limit = 1;
  options.connect_timeout = 0.05;
  green::http::ClientSession session(options);
  auto first = green::spawn([&] { return session.get(server.url()).read(); });
  until([&] { return server.connections == 1; });
  CHECK_THROWS_AS(session.get(server.url()), aio::TimeoutError);
  go.send();
  CHECK(first.wait() == "ok");
  CHECK(session.get(server.url()).read() == "ok");
  CHECK(server.connections == 1);
}

TEST_CASE("the time of a request includes its redirects") {
  const Scripted server([](green::Socket& socket, int) {
    while (!receive_request(socket).empty()) {
      green::sleep(0.01);
      socket.sendall(reply("", "Location: /\r\n", "302 Found"));
    }
  });
  green::http::ClientSession session(total(0.1));
  http::RequestOptions options;
  options.max_redirects = 1'000'000;
  CHECK_THROWS_AS(session.get(server.url(), options), aio::TimeoutError);
}

TEST_CASE("a request that is killed or cancelled closes its connection") {
  const Silent server;
  green::http::ClientSession session;
  auto killed = green::spawn([&] { session.get(server.url()); });
  until([&] { return server.open == 1; });
  killed.kill();
  until([&] { return server.open == 0; });
  auto cancelled = aio::create_task(session.async().get(server.url()));
  until([&] { return server.open == 1; });
  cancelled.cancel();
  until([&] { return server.open == 0; });
  CHECK(cancelled.cancelled());
  CHECK_THROWS_AS(green::with_timeout(0.02, [&] { session.get(server.url()); }),
                  green::TimeoutExpired);
  until([&] { return server.open == 0; });
  CHECK_THROWS_AS(green::awaitlet(aio::wait_for(session.async().get(server.url()), 0.02)),
                  aio::TimeoutError);
  until([&] { return server.open == 0; });
  CHECK(server.connections == 4);
}

TEST_CASE("a request that is killed while it sends stops sending") {
  const Scripted server([](green::Socket& socket, int) {
    socket.recv(1000);
    green::sleep(test::watchdog);
  });
  green::http::ClientSession session;
  int alive = 0;
  auto killed = green::spawn([&] {
    const std::string piece(100'000, 'x');
    http::RequestOptions options;
    options.body = [&]() -> task<std::string> {
      const test::Counted counted(alive);
      co_await aio::sleep(0);
      co_return piece;
    };
    session.post(server.url(), options);
  });
  until([&] { return server.open == 1; });
  green::sleep(0.02);
  killed.kill();
  CHECK(alive == 0);
  until([&] { return killed.dead() && aio::all_tasks().empty(); });
}

TEST_CASE("reading that is cut short loses nothing") {
  green::Event<> go;
  const Scripted server([&](green::Socket& socket, int) {
    receive_request(socket);
    socket.sendall("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
    go.wait();
    socket.sendall("def");
    receive_request(socket);
  });
  green::http::ClientSession session;
  green::http::ClientResponse response = session.get(server.url());
  CHECK_THROWS_AS(green::with_timeout(0.02, [&] { response.read(); }), green::TimeoutExpired);
  go.send();
  CHECK(response.read() == "abcdef");
}

TEST_CASE("a scope around a request throws its own") {
  const Silent server;
  green::http::ClientSession session;
  const auto get = [&]() -> task<std::string> {
    const aio::timeout scope(0.02);
    try {
      co_await session.async().get(server.url());
    } catch (const aio::TimeoutError& error) {
      co_return error.what();
    }
    co_return "";
  };
  CHECK(green::awaitlet(get()) == "timed out");
}
