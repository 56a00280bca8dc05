// https, and proxies on the way there.

#include "../ssl_support.hpp"
#include "client_support.hpp"

#include <cstdlib>

using test::client_options;
using test::holds;
using test::message_of;
using test::receive_request;
using test::reply;
using test::Scripted;
using test::Served;
using test::server_options;
using test::until;

namespace http = aio::http;
namespace web = aio::web;

namespace {

web::ServerOptions over_tls(const std::string& certificate = "server") {
  web::ServerOptions options;
  options.ssl = server_options(certificate);
  return options;
}

web::Application hello() {
  web::Application app;
  app.router().add_get("/", [](web::Request&) { return web::Response("hello"); });
  app.router().add_post("/", [](web::Request& request) -> aio::task<web::Response> {
    std::size_t bytes = 0;
    for (std::string piece; !(piece = co_await request.read_chunk()).empty();)
      bytes += piece.size();
    co_return web::Response(std::string(bytes, 'y'));
  });
  return app;
}

std::string https(std::uint16_t port, const std::string& host = "localhost") {
  return "https://" + host + ":" + std::to_string(port) + "/";
}

// That trusts the tests' own authority.
http::SessionOptions trusting() {
  http::SessionOptions options;
  options.ssl.ca_certs = test::certificates().certificate("ca");
  return options;
}

// A server that speaks TLS itself: its handler gets the encrypted connection.
class ScriptedTls : public Scripted {
 public:
  explicit ScriptedTls(Handle handle)
      : Scripted(std::move(handle),
                 green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), server_options())) {
  }
  std::string url() const { return https(port()); }
};

// A proxy for CONNECT, which leads there whatever host is asked for.
class Tunnel : public Scripted {
 public:
  explicit Tunnel(green::Address to)
      : Scripted([this, to](green::Socket& client, int) {
          requests.push_back(receive_request(client));
          green::Socket server = green::connect(to);
          client.sendall("HTTP/1.1 200 Connection established\r\nContent-Length: 99\r\n\r\n");
          auto back = green::spawn([&] { relay(server, client); });
          relay(client, server);
          back.wait();
        }) {}
  std::vector<std::string> requests;

 private:
  static void relay(green::Socket& from, green::Socket& to) {
    try {
      for (std::string data; !(data = from.recv(65536)).empty();) to.sendall(data);
      to.shutdown(SHUT_WR);
    } catch (const std::system_error&) {
    }
  }
};

class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~Environment() { unsetenv(name_); }

 private:
  const char* name_;
};

http::SessionOptions by_environment() {
  http::SessionOptions options = trusting();
  options.trust_env = true;
  return options;
}

}  // namespace

TEST_CASE("a server has to prove who it is, unless that is not asked") {
  const Served served(hello(), over_tls());
  const std::string url = https(served.address().port());
  green::http::ClientSession strict;
  const std::string why = message_of<http::ClientConnectorError>([&] { strict.get(url); });
  CHECK(holds(why, "localhost:" + std::to_string(served.address().port())));
  CHECK(holds(why, "certificate"));
  green::http::ClientSession session(trusting());
  CHECK(session.get(url).text() == "hello");
  CHECK(session.get(https(served.address().port(), "127.0.0.1")).text() == "hello");
  http::RequestOptions unverified;
  unverified.ssl.emplace();
  unverified.ssl->verify = false;
  CHECK(strict.get(url, unverified).text() == "hello");
  CHECK_THROWS_AS(strict.get(url), http::ClientConnectorError);  // not on the unverified connection
}

TEST_CASE("why TLS failed is nested in the error") {
  const Served served(hello(), over_tls());
  green::http::ClientSession session;
  try {
    session.get(https(served.address().port()));
    FAIL("connected");
  } catch (const http::ClientConnectorError& error) {
    CHECK_THROWS_AS(std::rethrow_if_nested(error), aio::SslCertVerificationError);
  }
}

TEST_CASE("a certificate for another host is refused") {
  test::CertificateSpec other;
  other.common_name = "other.example";
  other.alt_names = {"DNS:other.example"};
  test::certificates().make("other", other);
  const Served served(hello(), over_tls("other"));
  green::http::ClientSession session(trusting());
  CHECK_THROWS_AS(session.get(https(served.address().port())), http::ClientConnectorError);
  http::SessionOptions named = trusting();
  named.ssl.server_hostname = "other.example";
  CHECK(green::http::ClientSession(named).get(https(served.address().port())).text() == "hello");
}

TEST_CASE("encrypted connections are kept, for large bodies too") {
  const ScriptedTls server([](green::Socket& socket, int) {
    while (!receive_request(socket).empty()) socket.sendall(reply("ok"));
  });
  green::http::ClientSession session(trusting());
  for (int i = 0; i < 3; ++i) CHECK(session.get(server.url()).read() == "ok");
  CHECK(server.connections == 1);
  const Served served(hello(), over_tls());
  http::RequestOptions options;
  options.data.assign(5'000'000, 'x');
  for (int i = 0; i < 2; ++i)
    CHECK(session.post(https(served.address().port()), options).read().size() == 5'000'000);
}

TEST_CASE("an encrypted connection that the server has closed is replaced") {
  const ScriptedTls server([](green::Socket& socket, int) {
    receive_request(socket);
    socket.sendall(reply("ok"));
  });
  green::http::ClientSession session(trusting());
  for (int i = 0; i < 3; ++i) {
    CHECK(session.post(server.url()).read() == "ok");
    green::sleep(0.01);
  }
  CHECK(server.connections == 3);
}

TEST_CASE("an end that TLS does not vouch for cuts the body short") {
  const ScriptedTls server([](green::Socket& socket, int) {
    receive_request(socket);
    socket.sendall("HTTP/1.1 200 OK\r\n\r\nabc");
    ::shutdown(socket.fileno(), SHUT_RDWR);  // the system's end, without TLS's
  });
  green::http::ClientSession session(trusting());
  CHECK_THROWS_AS(session.get(server.url()).read(), http::ClientPayloadError);
}

TEST_CASE("https to what speaks no TLS is a ClientConnectorError") {
  const Scripted server([](green::Socket& socket, int) {
    socket.recv(1000);
    socket.sendall("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  green::http::ClientSession session(trusting());
  CHECK_THROWS_AS(session.get(https(server.port())), http::ClientConnectorError);
}

TEST_CASE("a redirect leads from http to https") {
  const Served served(hello(), over_tls());
  const test::Answering plain(
      reply("", "Location: " + https(served.address().port()) + "\r\n", "301 Moved"));
  green::http::ClientSession session(trusting());
  green::http::ClientResponse response = session.get(plain.url());
  CHECK(response.read() == "hello");
  CHECK(response.url() == https(served.address().port()));
}

TEST_CASE("https goes through a tunnel of the proxy that the environment names") {
  const Served served(hello(), over_tls());
  const Tunnel proxy(served.address());
  const Environment variable("https_proxy",
                             "http://user:pass@127.0.0.1:" + std::to_string(proxy.port()));
  green::http::ClientSession session(by_environment());
  const std::string url = https(served.address().port());
  for (int i = 0; i < 3; ++i) CHECK(session.get(url).read() == "hello");
  REQUIRE(proxy.requests.size() == 1);
  const std::string name = "localhost:" + std::to_string(served.address().port());
  CHECK(proxy.requests[0].starts_with("CONNECT " + name + " HTTP/1.1\r\n"));
  CHECK(test::header(proxy.requests[0], "Host") == name);
  CHECK(test::header(proxy.requests[0], "Proxy-Authorization") == "Basic dXNlcjpwYXNz");
  green::http::ClientSession direct(trusting());
  CHECK(direct.get(url).read() == "hello");
  CHECK(proxy.requests.size() == 1);
  const Environment none("no_proxy", "localhost");
  CHECK(green::http::ClientSession(by_environment()).get(url).read() == "hello");
  CHECK(proxy.requests.size() == 1);
}

TEST_CASE("the server behind a tunnel has to prove who it is") {
  const Served served(hello(), over_tls());
  const Tunnel proxy(served.address());
  const Environment variable("https_proxy", proxy.url());
  green::http::ClientSession session(by_environment());
  CHECK_THROWS_AS(session.get("https://other.example/"), http::ClientConnectorError);
}

TEST_CASE("a proxy that refuses, or breaks off, is named with its answer") {
  std::string answer = reply("no", "", "407 Proxy Authentication Required");
  const Scripted proxy([&](green::Socket& socket, int) {
    receive_request(socket);
    socket.sendall(answer);
  });
  const Environment variable("https_proxy", proxy.url());
  green::http::ClientSession session(by_environment());
  const auto why = [&] {
    return message_of<http::ClientConnectorError>([&] { session.get("https://a.example/"); });
  };
  CHECK(holds(why(), "a.example:443 through http://127.0.0.1:" + std::to_string(proxy.port())));
  CHECK(holds(why(), "407 Proxy Authentication Required"));
  answer = "HTTP/1.1 2";
  CHECK(holds(why(), "closed"));
  answer = "nonsense\r\n\r\n";
  CHECK(why() != "");
}

TEST_CASE("http goes to the proxy with the whole URL") {
  std::vector<std::string> requests;
  const test::Answering proxy(reply("by proxy"), &requests);
  const Environment variable("http_proxy",
                             "http://user:pass@127.0.0.1:" + std::to_string(proxy.port()));
  green::http::ClientSession session(by_environment());
  CHECK(session.get("http://a.example/path?q").read() == "by proxy");
  CHECK(session.get("http://b.example:81/").read() == "by proxy");
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].starts_with("GET http://a.example/path?q HTTP/1.1\r\n"));
  CHECK(test::header(requests[0], "Host") == "a.example");
  CHECK(test::header(requests[0], "Proxy-Authorization") == "Basic dXNlcjpwYXNz");
  CHECK(requests[1].starts_with("GET http://b.example:81/ HTTP/1.1\r\n"));
  CHECK(green::http::urlopen("http://c.example/").read() == "by proxy");
}
