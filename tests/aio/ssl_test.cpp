#include "../ssl_support.hpp"
#include "../support.hpp"

#include <aio/aio.hpp>

#include <sys/socket.h>

using aio::Address;
using aio::Server;
using aio::SslOptions;
using aio::Stream;
using aio::task;
using test::client_options;
using test::server_options;

namespace {

task<void> echo(Stream stream) {
  for (;;) {
    const std::string data = co_await stream.read(1000);
    if (data.empty()) break;
    stream.write(data);
    co_await stream.drain();
  }
  stream.write_eof();
}

task<Server> echo_server(SslOptions options = server_options()) {
  const Address anywhere("127.0.0.1", 0);
  Server server = co_await aio::start_server(echo, anywhere, std::move(options));
  co_return server;
}

std::pair<Stream, Stream> stream_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  return {Stream::from_fd(fds[0]), Stream::from_fd(fds[1])};
}

template <class F>
void run(F body) {
  test::in_green_thread([&] { green::awaitlet(body()); });
}

}  // namespace

TEST_CASE("a stream to a TLS server talks as any other") {
  run([]() -> task<void> {
    Server server = co_await echo_server();
    Stream stream = co_await aio::open_connection(server.getsockname(), client_options());
    CHECK(aio::ssl_info(stream).version == "TLSv1.3");
    stream.write("one\ntwo\n");
    const std::string one = co_await stream.readline();
    CHECK(one == "one\n");
    const std::string two = co_await stream.readexactly(4);
    CHECK(two == "two\n");
    stream.write_eof();
    const std::string rest = co_await stream.read(10);
    CHECK(rest == "");
    CHECK(stream.at_eof());
    stream.close();
    server.close();
    co_await server.wait_closed();
  });
}

TEST_CASE("a client checks the host of the address, unless it names another") {
  run([]() -> task<void> {
    Server server = co_await echo_server();
    SslOptions options = client_options("");
    const Address local("localhost", server.getsockname().port());
    Stream named = co_await aio::open_connection(local, options);
    Stream numbered = co_await aio::open_connection(server.getsockname(), options);
    CHECK(aio::ssl_info(named).peer_certificate);
    options.server_hostname = "example.test";
    bool refused = false;
    try {
      co_await aio::open_connection(server.getsockname(), options);
    } catch (const aio::SslCertVerificationError& error) {
      refused = error.code().value() != 0;
    }
    CHECK(refused);
  });
}

TEST_CASE("protocols and certificates are there for a handler") {
  run([]() -> task<void> {
    SslOptions for_server = server_options();
    for_server.alpn = {"h2"};
    for_server.ca_certs = test::certificates().certificate("ca");
    auto handler = [](Stream stream) -> task<void> {
      const aio::SslInfo info = aio::ssl_info(stream);
      stream.write(info.alpn + " " + info.peer_certificate->subject);
      co_return;
    };
    const Address anywhere("127.0.0.1", 0);
    Server server = co_await aio::start_server(handler, anywhere, for_server);
    SslOptions options = client_options();
    options.alpn = {"http/1.1", "h2"};
    options.certfile = test::certificates().certificate("client");
    options.keyfile = test::certificates().key("client");
    Stream stream = co_await aio::open_connection(server.getsockname(), options);
    const std::string answer = co_await stream.read(100);
    CHECK(answer == "h2 CN=client");
    const std::string end = co_await stream.read(100);
    CHECK(end == "");
  });
}

TEST_CASE("peers that do not shake hands never reach the handler, and disturb nobody") {
  run([]() -> task<void> {
    Server server = co_await echo_server();
    Stream silent = co_await aio::open_connection(server.getsockname());
    Stream plain = co_await aio::open_connection(server.getsockname());
    plain.write("GET / HTTP/1.1\r\n\r\n");
    const std::string alert = co_await plain.read(100);
    CHECK(alert == "");  // OpenSSL has no answer to what is no record
    Stream stream = co_await aio::open_connection(server.getsockname(), client_options());
    stream.write("x");
    const std::string echoed = co_await stream.read(1);
    CHECK(echoed == "x");
    silent.close();
  });
}

TEST_CASE("a connection turns to TLS in the middle, with what came too early") {
  run([]() -> task<void> {
    auto [client, server] = stream_pair();
    client.write("STARTTLS\n");
    auto accepting = [](Stream stream) -> task<std::string> {
      const std::string line = co_await stream.readline();
      stream.write("go\n");
      aio::Future<void> turning = aio::create_task(aio::start_tls(stream, server_options()));
      co_await turning;
      const std::string secret = co_await stream.readline();
      stream.write("got it\n");
      co_return line + secret;
    };
    aio::Future<std::string> serving = aio::create_task(accepting(server));
    const std::string go = co_await client.readline();
    CHECK(go == "go\n");
    co_await aio::start_tls(client, client_options());
    client.write("secret\n");
    const std::string answer = co_await client.readline();
    CHECK(answer == "got it\n");
    const std::string heard = co_await serving;
    CHECK(heard == "STARTTLS\nsecret\n");
  });
}

TEST_CASE("a client's hello that was read with its command is part of the handshake") {
  run([]() -> task<void> {
    auto [client, server] = stream_pair();
    client.write("STARTTLS\n");
    co_await client.flush();
    aio::Future<void> turning = aio::create_task(aio::start_tls(client, client_options()));
    co_await aio::sleep(0.01);  // the hello is there
    const std::string line = co_await server.readline();
    CHECK(line == "STARTTLS\n");
    co_await aio::start_tls(server, server_options());
    co_await turning;
    client.write("x");
    const std::string heard = co_await server.read(1);
    CHECK(heard == "x");
  });
}

TEST_CASE("start_tls tells misuse") {
  run([]() -> task<void> {
    auto [client, server] = stream_pair();
    bool told = false;
    aio::Future<std::string> reading = aio::create_task(client.read(1));
    co_await aio::sleep(0.001);
    try {
      co_await aio::start_tls(client, client_options());
    } catch (const std::logic_error&) {
      told = true;
    }
    CHECK(told);
    reading.cancel();
    CHECK_THROWS_AS(aio::ssl_info(server), std::logic_error);
  });
}

TEST_CASE("what was written before close arrives, and then the end") {
  run([]() -> task<void> {
    const std::string data(3'000'000, 'x');
    auto handler = [&data](Stream stream) -> task<void> {
      stream.write(data);
      stream.close();
      co_return;
    };
    const Address anywhere("127.0.0.1", 0);
    Server server = co_await aio::start_server(handler, anywhere, server_options());
    Stream stream = co_await aio::open_connection(server.getsockname(), client_options());
    std::size_t received = 0;
    for (;;) {
      const std::string part = co_await stream.read(100'000);
      if (part.empty()) break;
      received += part.size();
    }
    CHECK(received == data.size());
  });
}

TEST_CASE("a server that stops ends connections in order, busy ones after their answer") {
  run([]() -> task<void> {
    aio::Event has_request, may_reply;
    int ended = 0;
    auto handler = [&](Stream stream) -> task<void> {
      for (;;) {
        const std::string data = co_await stream.read(100);
        if (data.empty()) break;
        has_request.set();
        co_await may_reply.wait();
        stream.write("answer");
      }
      ++ended;
    };
    Server server = co_await aio::start_server(handler, Address("127.0.0.1", 0), server_options());
    Stream idle = co_await aio::open_connection(server.getsockname(), client_options());
    Stream busy = co_await aio::open_connection(server.getsockname(), client_options());
    busy.write("request");
    co_await has_request.wait();
    auto stopping = aio::create_task(server.stop(test::watchdog));
    const std::string nothing = co_await idle.read(100);
    CHECK(nothing == "");
    may_reply.set();
    const std::string answer = co_await busy.readexactly(6);
    CHECK(answer == "answer");
    const std::string end = co_await busy.read(100);
    CHECK(end == "");
    co_await stopping;
    CHECK(ended == 2);
  });
}

TEST_CASE("a stream that is cut short throws, and so does writing to who is gone") {
  run([]() -> task<void> {
    auto [client, server] = stream_pair();
    aio::Future<void> accepting = aio::create_task(aio::start_tls(server, server_options()));
    co_await aio::start_tls(client, client_options());
    co_await accepting;
    ::shutdown(server.fileno(), SHUT_RDWR);
    bool cut = false;
    try {
      co_await client.read(1);
    } catch (const aio::SslEofError&) {
      cut = true;
    }
    CHECK(cut);
    client.write("x");
    bool refused = false;
    try {
      co_await client.flush();
    } catch (const std::system_error&) {
      refused = true;
    }
    CHECK(refused);
  });
}

TEST_CASE("drain holds back a writer whose peer does not read") {
  run([]() -> task<void> {
    auto [client, server] = stream_pair();
    aio::Future<void> accepting = aio::create_task(aio::start_tls(server, server_options()));
    co_await aio::start_tls(client, client_options());
    co_await accepting;
    std::size_t written = 0;
    const std::string data(50'000, 'x');
    auto writing = [&, to = client]() mutable -> task<void> {
      for (int i = 0; i < 200; ++i) {
        to.write(data);
        written += data.size();
        co_await to.drain();
      }
      to.close();
    };
    aio::Future<void> writer = aio::create_task(writing());
    co_await aio::sleep(0.05);
    CHECK(written < 200 * data.size());
    std::size_t received = 0;
    for (;;) {
      const std::string part = co_await server.read(100'000);
      if (part.empty()) break;
      received += part.size();
    }
    CHECK(received == 200 * data.size());
    co_await writer;
  });
}

TEST_CASE("a handshake that is cancelled leaves nothing behind") {
  run([]() -> task<void> {
    auto [client, server] = stream_pair();
    aio::Future<void> turning = aio::create_task(aio::start_tls(client, client_options()));
    co_await aio::sleep(0.001);
    turning.cancel();
    bool cancelled = false;
    try {
      co_await turning;
    } catch (const aio::CancelledError&) {
      cancelled = true;
    }
    CHECK(cancelled);
    client.close();
    const std::string hello = co_await server.read(10'000);
    CHECK(!hello.empty());
    const std::string end = co_await server.read(10);
    CHECK(end == "");
  });
}

TEST_CASE("a stream refuses a certificate that is not to be trusted, and says why") {
  test::CertificateSpec expired;
  expired.first_day = -10;
  expired.last_day = -2;
  test::certificates().make("expired", expired);
  test::CertificateSpec alone;
  alone.issuer = "";
  test::certificates().make("alone", alone);
  test::CertificateSpec stranger = alone;
  stranger.authority = true;
  stranger.common_name = "Stranger";
  test::certificates().make("stranger", stranger);
  struct Case {
    std::string certificate, host, authority, reason;
  };
  const std::vector<Case> cases = {
      {"expired", "localhost", "ca", "certificate has expired"},
      {"server", "example.test", "ca", "hostname mismatch"},
      {"server", "127.0.0.2", "ca", "IP address mismatch"},
      {"alone", "localhost", "ca", "self-signed certificate"},
      {"server", "localhost", "stranger", "unable to get local issuer certificate"},
      {"server", "localhost", "ca", ""},
      {"server", "::1%lo", "ca", ""},
      {"server", "::2%lo", "ca", "IP address mismatch"},
  };
  run([&]() -> task<void> {
    for (const Case& each : cases) {
      CAPTURE(each.certificate);
      CAPTURE(each.reason);
      auto [client, server] = stream_pair();
      aio::Future<void> accepting =
          aio::create_task(aio::start_tls(server, server_options(each.certificate)));
      std::string told;
      try {
        co_await aio::start_tls(client, client_options(each.host, each.authority));
      } catch (const aio::SslCertVerificationError& error) {
        told = error.what();
      }
      CHECK(told.empty() == each.reason.empty());
      CHECK(told.find(each.reason) != std::string::npos);
      bool alert = false;
      try {
        co_await accepting;
      } catch (const aio::SslError&) {
        alert = true;
      }
      CHECK(alert == !each.reason.empty());
    }
  });
}

TEST_CASE("a handshake that stalls ends with its deadline, at either end") {
  run([]() -> task<void> {
    for (const bool serves : {false, true}) {
      auto [ours, silent] = stream_pair();
      const SslOptions options = serves ? server_options() : client_options();
      auto turning = aio::start_tls(ours, options);
      bool late = false;
      try {
        co_await aio::wait_for(std::move(turning), 0.01);
      } catch (const aio::TimeoutError&) {
        late = true;
      }
      CHECK(late);
    }
  });
}

TEST_CASE("options that cannot work are told when the server starts") {
  run([]() -> task<void> {
    SslOptions options = server_options();
    options.certfile = "/nowhere/server.pem";
    bool told = false;
    try {
      co_await echo_server(options);
    } catch (const std::system_error& error) {
      told = error.code().value() == ENOENT;
    }
    CHECK(told);
  });
}
