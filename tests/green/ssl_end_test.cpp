#include "../ssl_support.hpp"
#include "../support.hpp"

#include <green/event.hpp>
#include <green/stream_server.hpp>

#include <openssl/ssl.h>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

// How connections end, in order and otherwise.

using green::Socket;
using test::client_options;
using test::server_options;
using test::ssl_pair;
using test::SslPair;

namespace {

// A client made of nothing but OpenSSL, over a socket that does not block.
struct RawClient {
  explicit RawClient(Socket& socket)
      : context(SSL_CTX_new(TLS_client_method())), ssl(SSL_new(context)) {
    SSL_set_fd(ssl, socket.fileno());
    while (SSL_connect(ssl) != 1) green::sleep(0.001);
  }
  ~RawClient() {
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
  SSL_CTX* context;
  SSL* ssl;
};

// A green thread that uses what goes with this scope.
struct KillAtEnd {
  explicit KillAtEnd(green::Greenlet user) : thread(std::move(user)) {}
  ~KillAtEnd() {
    const green::Shield shield;
    thread.kill();
  }
  green::Greenlet thread;
};

}  // namespace

TEST_CASE("a handshake that stalls obeys settimeout, Timeout and kill") {
  test::in_green_thread([] {
    auto [first, first_peer] = test::connected_pair();
    first.settimeout(0.01);
    CHECK_THROWS_WITH_AS(green::wrap_ssl(std::move(first), client_options()),
                         doctest::Contains("timed out"), std::system_error);
    auto [second, second_peer] = test::connected_pair();
    CHECK(!green::move_on_after(
        0.01, [&, end = &second] { green::wrap_ssl(std::move(*end), server_options()); }));
    auto [third, third_peer] = test::connected_pair();
    auto victim =
        green::spawn([&, end = &third] { green::wrap_ssl(std::move(*end), client_options()); });
    green::sleep(0);
    CHECK(!third_peer.recv(1000).empty());  // its hello
    victim.kill();
    CHECK(victim.dead());
    CHECK(third_peer.recv(1000) == "");  // and nothing else
  });
}

TEST_CASE("closing wakes the reader and the writer") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    const std::string data = std::string(8'000'000, 'x');
    const auto error_of = [](auto call) {
      try {
        call();
      } catch (const std::system_error& error) {
        return error.code().value();
      }
      return 0;
    };
    auto reader = green::spawn([&] { return error_of([&] { pair.client.recv(100); }); });
    auto writer = green::spawn([&] { return error_of([&] { pair.client.sendall(data); }); });
    green::sleep(0.01);
    pair.client.close();
    CHECK(reader.wait() == EBADF);
    CHECK(writer.wait() == EBADF);
    const std::string received = test::read_all(pair.server);
    CHECK(received.size() < data.size());
    CHECK(received == data.substr(0, received.size()));
  });
}

TEST_CASE("a reset is a reset, and stays one") {
  test::in_green_thread([] {
    Socket listener = green::listen(green::Address("127.0.0.1", 0));
    Socket client_end = green::connect(listener.getsockname());
    SslPair pair = ssl_pair(std::move(client_end), listener.accept().first);
    const ::linger at_once{1, 0};
    ::setsockopt(pair.client.fileno(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(pair.client.detach());  // nothing is announced
    for (int i = 0; i < 2; ++i) {
      try {
        pair.server.recv(100);
        FAIL("no reset");
      } catch (const std::system_error& error) {
        CHECK(error.code().value() == ECONNRESET);
      }
    }
  });
}

TEST_CASE("a client that sends, closes and never reads is read to its end") {
  // The server's tickets, unread, would make the system reset the connection.
  test::in_green_thread([] {
    Socket listener =
        green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), server_options());
    for (int i = 0; i < 20; ++i) {
      auto client = green::spawn([&] {
        Socket socket = green::wrap_ssl(green::connect(listener.getsockname()), client_options());
        green::sleep(0.001);
        socket.sendall("all there is");
      });
      Socket server = listener.accept().first;
      CHECK(test::read_all(server) == "all there is");
      client.wait();
    }
  });
}

TEST_CASE("who shuts down reading reads what has come, then the end, and can still answer") {
  test::in_green_thread([] {
    for (const bool reads_first : {false, true}) {
      SslPair pair = ssl_pair();
      pair.client.sendall("request");
      if (reads_first) CHECK(pair.server.recv(100) == "request");
      pair.server.shutdown(SHUT_RD);
      CHECK(test::read_all(pair.server) == (reads_first ? "" : "request"));
      CHECK(pair.server.recv(100) == "");
      pair.server.sendall("answer");
      pair.server.close();
      CHECK(test::read_all(pair.client) == "answer");
    }
  });
}

TEST_CASE("shutting down reading wakes the reader with the end") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    auto reader = green::spawn([&] { return pair.server.recv(100); });
    green::sleep(0.001);
    pair.server.shutdown(SHUT_RD);
    CHECK(reader.wait() == "");
  });
}

TEST_CASE("unwrapping after reading is shut down needs the peer's word to be there already") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    pair.server.shutdown(SHUT_RD);
    CHECK_THROWS_WITH_AS(green::unwrap_ssl(std::move(pair.server)), doctest::Contains("unwrap"),
                         green::SslEofError);
    CHECK(test::read_all(pair.client) == "");  // it was told nevertheless

    SslPair ended = ssl_pair();
    ended.client.shutdown(SHUT_WR);
    ended.server.shutdown(SHUT_RD);
    Socket plain = green::unwrap_ssl(std::move(ended.server));
    plain.sendall("clear");
    plain.close();
    Socket client = green::unwrap_ssl(std::move(ended.client));
    CHECK(client.recv(100) == "clear");
  });
}

TEST_CASE("a server that stops ends idle connections in order, and busy ones after their answer") {
  test::in_green_thread([] {
    green::Event<> has_request, may_reply;
    int ended = 0;
    auto handle = [&](Socket socket, const green::Address&) {
      for (std::string line; !(line = socket.recv(100)).empty();) {
        has_request.send();
        may_reply.wait();
        socket.sendall("answer");
      }
      ++ended;
    };
    Socket listener = green::listen(green::Address("127.0.0.1", 0));
    green::StreamServer server(green::wrap_ssl(std::move(listener), server_options()), handle);
    server.start();
    const auto connect = [&] {
      Socket client = green::wrap_ssl(green::connect(server.address()), client_options());
      return client;
    };
    Socket idle = connect();
    Socket busy = connect();
    busy.sendall("request");
    has_request.wait();
    auto stopping = green::spawn([&] { server.stop(test::watchdog); });
    CHECK(test::read_all(idle) == "");
    may_reply.send();
    CHECK(test::read_all(busy) == "answer");
    stopping.wait();
    CHECK(ended == 2);
  });
}

TEST_CASE("thousands of connections leave nothing behind") {
  constexpr int rounds = 2'000;
  test::in_green_thread([] {
    int descriptors = 0;
    for (int i = 0; i < 100; ++i) {
      SslPair pair = ssl_pair();
      pair.client.sendall("x");
      CHECK(pair.server.recv(1) == "x");
      descriptors = pair.server.fileno();
    }
    const std::size_t before = test::resident_bytes();
    for (int i = 0; i < rounds; ++i) {
      SslPair pair = ssl_pair();
      pair.client.sendall("x");
      REQUIRE(pair.server.recv(1) == "x");
      REQUIRE(pair.server.fileno() <= descriptors + 4);
      if (i % 3 == 0) pair.server.close();
    }
    CHECK(test::resident_bytes() < before + 2 * test::memory_leeway);
  });
}

TEST_CASE("who writes when the peer goes gets an error, ten thousand times, and lives") {
  const std::size_t times = test::operations(1'000);
  const std::string block(1 << 18, 'x');
  Socket listener = green::listen(green::Address("127.0.0.1", 0));
  const auto connected = [&] {
    Socket client = green::connect(listener.getsockname());
    Socket server = listener.accept().first;
    server.setsockopt(SOL_SOCKET, SO_LINGER, linger{1, 0});  // no port has to wait
    client.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
    return std::pair(std::move(client), std::move(server));
  };
  std::size_t broken = 0;
  for (std::size_t i = 0; i < times; ++i) {
    auto [client, server] = i % 2 ? test::connected_pair() : connected();
    SslPair pair = ssl_pair(std::move(client), std::move(server));
    auto writer = green::spawn([&] {
      try {
        for (;;) pair.client.sendall(block);
      } catch (const std::system_error& error) {
        return error.code().value();
      }
    });
    for (std::size_t turn = 0; turn < i % 3; ++turn) green::sleep(0);
    if (i % 5 == 0) CHECK(!pair.server.recv(1'000).empty());  // it is in the middle
    pair.server.close();
    const int error = green::with_timeout(test::watchdog, [&] { return writer.wait(); });
    const bool as_it_should = error == EPIPE || error == ECONNRESET;
    if (!as_it_should) MESSAGE("writing ended with ", error);
    broken += as_it_should;
  }
  CHECK(broken == times);
}

TEST_CASE("answers to a peer that does not read them are not piled up") {
  test::in_green_thread([] {
    auto [client, server_end] = test::connected_pair();
    auto serving = green::spawn([end = std::move(server_end)]() mutable {
      Socket server = green::wrap_ssl(std::move(end), server_options());
      return server.recv(100);
    });
    const RawClient raw(client);
    int asked = 0;
    for (int refused = 0; refused < 20 && asked < 1'000'000;) {
      SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED);
      if (SSL_do_handshake(raw.ssl) == 1) {
        ++asked;
        refused = 0;
      } else {
        ++refused;
        green::sleep(0.001);
      }
    }
    CHECK(asked < 1'000'000);  // it stopped reading
    CHECK(!serving.dead());
    serving.kill();
  });
}

TEST_CASE("a child that closes what it inherited says nothing to the peer") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    const pid_t child = ::fork();
    if (child == 0) {
      pair.client.close();
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    pair.client.sendall("still here");
    CHECK(pair.server.recv(100) == "still here");
  });
}

TEST_CASE("kills, limits and closes at any moment leave the other connections alone") {
  std::minstd_rand random(11);
  const auto chance = [&](unsigned of) { return random() % of == 0; };
  const std::string data(300'000, 'x');
  test::in_green_thread([&] {
    int whole = 0;
    std::vector<green::GreenThread<void>> all;
    for (int round = 0; round < 300; ++round) {
      auto [client_end, server_end] = test::connected_pair();
      auto client = green::spawn([&, end = std::move(client_end)]() mutable {
        try {
          Socket socket = green::wrap_ssl(std::move(end), client_options());
          if (chance(4)) socket.settimeout(0.002);
          green::GreenThread<void> writer = green::spawn([&] { socket.sendall(data); });
          const KillAtEnd end_of_writer{writer};
          std::size_t received = 0;
          while (received < data.size()) {
            const std::string part = socket.recv(1 + random() % 50'000);
            if (part.empty()) break;
            received += part.size();
            if (chance(40)) socket.close();
          }
          writer.wait();
          whole += received == data.size();
        } catch (const std::system_error&) {
        }
      });
      auto server = green::spawn([&, end = std::move(server_end)]() mutable {
        try {
          Socket socket = green::wrap_ssl(std::move(end), server_options());
          for (std::string part; !(part = socket.recv(10'000)).empty();) socket.sendall(part);
        } catch (const std::system_error&) {
        }
      });
      all.push_back(client);
      all.push_back(server);
      if (chance(3)) green::sleep(random() % 3 * 0.001);
      if (chance(3)) all[random() % all.size()].kill();
    }
    for (const auto& each : all) try {
        each.wait();
      } catch (const green::GreenletExit&) {
      }
    CHECK(whole > 20);
    CHECK(whole < 300);
  });
}
