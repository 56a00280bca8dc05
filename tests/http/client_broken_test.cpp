// Servers that answer early, oddly, or not at all.

#include "client_support.hpp"

using aio::task;
using test::Answering;
using test::count;
using test::holds;
using test::message_of;
using test::receive_request;
using test::reply;
using test::Scripted;
using test::until;

namespace http = aio::http;

namespace {

// What becomes of a GET that is answered with these bytes and the end of the connection.
struct Outcome {
  explicit Outcome(const std::string& bytes, const std::string& method = "GET") {
    const Scripted server([&](green::Socket& socket, int) {
      receive_request(socket);
      socket.sendall(bytes);
      socket.shutdown(SHUT_WR);
      receive_request(socket);
    });
    green::http::ClientSession session;
    try {
      green::http::ClientResponse response = session.request(method, server.url());
      status = response.status();
      body = response.read();
    } catch (const http::ServerDisconnectedError& error) {
      failed = "disconnected: " + std::string(error.what());
    } catch (const http::ClientPayloadError& error) {
      failed = "payload: " + std::string(error.what());
    } catch (const http::ClientResponseError& error) {
      failed = "response: " + std::string(error.what());
    }
  }
  int status = 0;
  std::string body;
  std::string failed;
};

const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("a connection that ends before the head does") {
  for (const char* bytes : {"", "H", "HTTP/1.1 200 OK\r\nContent-Le"}) {
    const Outcome outcome(bytes);
    CHECK(holds(outcome.failed, "disconnected: GET http://127.0.0.1:"));
  }
}

TEST_CASE("a body that is cut short is never taken for whole") {
  const Outcome cut("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  CHECK(holds(cut.failed, "payload: "));
  CHECK(holds(cut.failed, "3 bytes of 10"));
  CHECK(holds(Outcome(chunked + "5\r\nabc").failed, "payload: "));
  CHECK(holds(Outcome(chunked + "3\r\nabc\r\n").failed, "payload: "));
  CHECK(holds(Outcome(chunked + "3\r\nabc\r\n0\r\n").failed, "payload: "));
  CHECK(Outcome(chunked + "3\r\nabc\r\n0\r\n\r\n").body == "abc");
  const Outcome nonsense(chunked + "nonsense\r\n");
  CHECK(holds(nonsense.failed, "payload: "));
  CHECK(nonsense.status == 200);  // of reading, not of the request
  CHECK(Outcome("HTTP/1.1 200 OK\r\n\r\nuntil the end").body == "until the end");
}

TEST_CASE("what came before a body's fault can be read, and the fault again") {
  const Answering server(chunked + "3\r\nabc\r\nnonsense\r\n");
  green::http::ClientSession session;
  green::http::ClientResponse response = session.get(server.url());
  CHECK(response.read_chunk() == "abc");
  for (int i = 0; i < 2; ++i) CHECK_THROWS_AS(response.read_chunk(), http::ClientPayloadError);
  until([&] { return server.open == 0; });
}

TEST_CASE("what is no HTTP says so") {
  const std::vector<std::string> broken = {
      "SSH-2.0-OpenSSH_9.2\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 200 OK\nA: b\n\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"};
  for (const std::string& bytes : broken)
    CHECK(holds(Outcome(bytes).failed, "response: GET http://127.0.0.1:"));
  const Outcome bare("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok");
  CHECK(bare.body == "ok");
}

TEST_CASE("what has no body has none, whatever its head says") {
  const std::string length = "\r\nContent-Length: 10\r\n\r\n";
  CHECK(Outcome("HTTP/1.1 200 OK" + length, "HEAD").failed == "");
  CHECK(Outcome("HTTP/1.1 204 No Content" + length).failed == "");
  CHECK(Outcome("HTTP/1.1 304 Not Modified" + length).failed == "");
  CHECK(Outcome("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD").failed == "");
  const Answering server("HTTP/1.1 304 Not Modified" + length);
  green::http::ClientSession session;
  for (int i = 0; i < 3; ++i) CHECK(session.get(server.url()).status() == 304);
  CHECK(server.connections == 1);
}

TEST_CASE("responses that come before the one are skipped") {
  const std::string before =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  CHECK(Outcome(before + reply("ok")).body == "ok");
  CHECK(Outcome(before + "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD").failed == "");
  CHECK(holds(Outcome(before).failed, "disconnected: "));
  CHECK(holds(Outcome("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").failed, "unasked"));
}

TEST_CASE("how the bytes are cut changes nothing") {
  const std::string whole = "HTTP/1.1 100 Continue\r\n\r\n" + chunked +
                            "3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nTrailer: x\r\n\r\n";
  const Scripted server([&](green::Socket& socket, int) {
    while (!receive_request(socket).empty())
      for (const char byte : whole) {
        socket.sendall({&byte, 1});
        green::sleep(0);
      }
  });
  green::http::ClientSession session;
  for (int i = 0; i < 3; ++i) CHECK(session.get(server.url()).read() == "abcd");
  CHECK(server.connections == 1);
}

TEST_CASE("a response that comes while the body is being sent is had, and ends that") {
  const Scripted server([&](green::Socket& socket, int) {
    socket.recv(1000);
    socket.sendall(reply("too much", "", "413 Payload Too Large"));
    green::sleep(test::watchdog);  // and reads no more
  });
  green::http::ClientSession session;
  http::RequestOptions options;
  options.data.assign(50'000'000, 'x');
  green::http::ClientResponse response = session.post(server.url(), options);
  CHECK(response.status() == 413);
  CHECK(response.read() == "too much");
  until([&] { return aio::all_tasks().empty(); });  // nobody sends on
  CHECK(session.post(server.url(), options).status() == 413);
  CHECK(server.connections == 2);
}

TEST_CASE("a response is had though the server has closed before all of the body was sent") {
  const Scripted server([&](green::Socket& socket, int) {
    socket.recv(1000);
    socket.sendall(reply("no", "Connection: close\r\n", "403 Forbidden"));
    socket.shutdown(SHUT_WR);
    while (!socket.recv(65536).empty()) continue;
  });
  green::http::ClientSession session;
  http::RequestOptions options;
  options.data.assign(5'000'000, 'x');
  CHECK(session.post(server.url(), options).read() == "no");
}

TEST_CASE("what making a body throws, the request throws, and the connection closes") {
  struct Mine {};
  const Scripted server([&](green::Socket& socket, int) { receive_request(socket); });
  green::http::ClientSession session;
  http::RequestOptions options;
  options.body = [first = true]() mutable -> task<std::string> {
    co_await aio::sleep(0.001);
    if (!std::exchange(first, false)) throw Mine();
    co_return "first";
  };
  CHECK_THROWS_AS(session.post(server.url(), options), Mine);
  until([&] { return server.connections == 1 && server.open == 0; });
}

TEST_CASE("what makes a body is over when its request is") {
  const Scripted server([&](green::Socket& socket, int) {
    socket.recv(1000);
    socket.sendall("nonsense\r\n\r\n");
    green::sleep(test::watchdog);
  });
  green::http::ClientSession session;
  int alive = 0;
  {
    const std::string local = "a piece";
    http::RequestOptions options;
    options.body = [&]() -> task<std::string> {
      const test::Counted counted(alive);
      co_await aio::sleep(0.002);
      co_return local;
    };
    CHECK_THROWS_AS(session.post(server.url(), options), http::ClientResponseError);
  }
  CHECK(alive == 0);
}

TEST_CASE("a body waits for 100 Continue where the user expects it") {
  std::string early;
  const Scripted server([&](green::Socket& socket, int number) {
    std::string head;
    while (!holds(head, "\r\n\r\n")) head += socket.recv(1000);
    green::sleep(0.01);
    socket.settimeout(0);
    try {
      early += socket.recv(1000);
    } catch (const std::system_error&) {
    }
    socket.settimeout(test::watchdog);
    if (number == 2) {
      socket.sendall(reply("no", "", "417 Expectation Failed"));
      CHECK(socket.recv(1000) == "");
      return;
    }
    if (number == 1) socket.sendall("HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(socket.recv(1000) == "body");  // number 3 says nothing, and gets it nevertheless
    socket.sendall(reply("thanks"));
  });
  http::RequestOptions options;
  options.data = "body";
  options.headers.add("Expect", "100-continue");
  for (const char* answer : {"thanks", "no", "thanks"}) {
    green::http::ClientSession session;
    CHECK(session.post(server.url(), options).read() == answer);
  }
  CHECK(early == "");
}

TEST_CASE("bodies are decoded as their coding says") {
  // "hello hello hello" by Python's gzip, zlib, raw deflate, and brotli
  const auto bytes = [](const std::string& hex) {
    std::string text;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return text;
  };
  const std::string gzip = bytes("1f8b08000000000002ffcb48cdc9c957c84090008088f9e511000000");
  const Answering good(reply(gzip, "Content-Encoding: gzip\r\n"));
  const Answering cut(reply(gzip.substr(0, 20), "Content-Encoding: gzip\r\n"));
  const Answering bad(reply("no gzip", "Content-Encoding: GZIP\r\n"));
  const Answering unknown(reply("as it is", "Content-Encoding: rot13\r\n"));
  const Answering empty(reply("", "Content-Encoding: gzip\r\n"));
  green::http::ClientSession session;
  CHECK(session.get(good.url()).read() == "hello hello hello");
  CHECK(session.head(empty.url()).read() == "");
  CHECK(session.get(empty.url()).read() == "");
  CHECK(session.get(unknown.url()).read() == "as it is");
  CHECK(holds(message_of<http::ClientPayloadError>([&] { session.get(cut.url()).read(); }),
              "GET " + cut.url()));
  CHECK_THROWS_AS(session.get(bad.url()).read(), http::ClientPayloadError);
}

TEST_CASE("what unpacks to much is had in pieces") {
  // 10,000,000 bytes of 'x' in a gzip of 9,733, made by gzip -9
  const std::string packed =
      green::check_output({"sh", "-c", "head -c 10000000 /dev/zero | tr '\\0' x | gzip -9 -n"});
  const Answering server(reply(packed, "Content-Encoding: gzip\r\n"));
  green::http::ClientSession session;
  green::http::ClientResponse response = session.get(server.url());
  std::size_t bytes = 0;
  for (std::string piece; !(piece = response.read_chunk()).empty(); bytes += piece.size())
    CHECK(piece.size() <= 64 * 1024);
  CHECK(bytes == 10'000'000);
}

TEST_CASE("a host that cannot be connected to is named") {
  green::http::ClientSession session;
  std::uint16_t port = 0;
  {
    const green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
    port = listener.getsockname().port();
  }
  const std::string url = "http://127.0.0.1:" + std::to_string(port) + "/";
  CHECK(holds(message_of<http::ClientConnectorError>([&] { session.get(url); }),
              "127.0.0.1:" + std::to_string(port)));
  CHECK(
      holds(message_of<http::ClientConnectorError>([&] { session.get("http://no-such.invalid/"); }),
            "no-such.invalid:80"));
}
