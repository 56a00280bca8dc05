#include "../ssl_support.hpp"
#include "../support.hpp"

#include <random>

using green::Socket;
using test::client_options;
using test::server_options;
using test::ssl_pair;
using test::SslPair;

namespace {

std::string noise(std::size_t bytes) {
  std::string data(bytes, '\0');
  std::minstd_rand random(7);
  for (char& each : data) each = static_cast<char>(random() >> 8);
  return data;
}

// Passes on what comes, in pieces of the given sizes in turn; then ends.
void relay(Socket& from, Socket& to, std::vector<std::size_t> pieces) {
  std::size_t turn = 0;
  for (std::string data; !(data = from.recv(64 * 1024)).empty();) {
    for (std::size_t at = 0; at < data.size();) {
      const std::size_t piece = std::min(pieces[turn++ % pieces.size()], data.size() - at);
      to.sendall(std::string_view(data).substr(at, piece));
      at += piece;
      if (turn % 64 == 0) green::sleep(0);
    }
  }
  to.shutdown(SHUT_WR);
}

// A client and a server with a relay between them.
struct Relayed {
  explicit Relayed(std::vector<std::size_t> pieces) {
    auto [client, client_side] = test::connected_pair();
    auto [server_side, server] = test::connected_pair();
    near = std::move(client_side);
    far = std::move(server_side);
    there = green::spawn([this, pieces] { relay(this->near, this->far, pieces); });
    back = green::spawn([this, pieces] { relay(this->far, this->near, pieces); });
    pair = ssl_pair(std::move(client), std::move(server));
  }
  ~Relayed() {
    there.kill();
    back.kill();
  }
  Socket near, far;
  green::GreenThread<void> there, back;
  SslPair pair{Socket(), Socket()};
};

}  // namespace

TEST_CASE("a reader and a writer use a connection at once, in both directions") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    const std::string data = noise(3'000'000);
    auto client_writes = green::spawn([&] {
      pair.client.sendall(data);
      pair.client.shutdown(SHUT_WR);
    });
    auto server_writes = green::spawn([&] {
      pair.server.sendall(data);
      pair.server.shutdown(SHUT_WR);
    });
    auto client_reads = green::spawn([&] { return test::read_all(pair.client); });
    CHECK(test::read_all(pair.server) == data);
    CHECK(client_reads.wait() == data);
    client_writes.wait();
    server_writes.wait();
  });
}

TEST_CASE("a reader and a writer that begin before the handshake both get on") {
  test::in_green_thread([] {
    Socket listener =
        green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), server_options());
    const std::string data = noise(1'000'000);
    auto client = green::spawn([&] {
      Socket socket = green::wrap_ssl(green::connect(listener.getsockname()), client_options());
      auto writer = green::spawn([&] {
        socket.sendall(data);
        socket.shutdown(SHUT_WR);
      });
      const bool same = test::read_all(socket) == data;
      writer.wait();
      return same;
    });
    Socket server = listener.accept().first;
    auto reader = green::spawn([&] { return test::read_all(server); });
    green::sleep(0);  // it waits
    server.sendall(data);
    server.shutdown(SHUT_WR);
    CHECK(reader.wait() == data);
    CHECK(client.wait());
  });
}

TEST_CASE("a writer alone shakes hands, then a reader takes what came with it") {
  test::in_green_thread([] {
    auto [client_end, server_end] = test::connected_pair();
    client_end.settimeout(0);  // left to the first use
    Socket server;
    auto accepting = green::spawn([&server, end = std::move(server_end)]() mutable {
      server = green::wrap_ssl(std::move(end), server_options());
      server.sendall("greeting");
    });
    Socket client = green::wrap_ssl(std::move(client_end), client_options());
    client.settimeout({});
    auto reader = green::spawn([&] { return client.recv(100); });
    client.sendall("first");
    CHECK(reader.wait() == "greeting");
    CHECK(server.recv(100) == "first");
    accepting.wait();
  });
}

TEST_CASE("a megabyte each way at once arrives whole, however the bytes are cut") {
  const std::string data = noise(1'000'000);
  for (const std::vector<std::size_t>& pieces :
       {std::vector<std::size_t>{1}, {1, 2, 3, 5, 8, 13}, {16'384 + 22, 5}, {4096, 1}})
    test::in_green_thread([&] {
      Relayed relayed(pieces);
      Socket& client = relayed.pair.client;
      Socket& server = relayed.pair.server;
      const auto send = [&](Socket& socket) {
        return green::spawn([&] {
          socket.sendall(data);
          socket.shutdown(SHUT_WR);
        });
      };
      const auto there = send(client), back = send(server);
      auto reader = green::spawn([&client] { return test::read_all(client); });
      CHECK((test::read_all(server) == data));
      CHECK((reader.wait() == data));
      there.wait();
      back.wait();
    });
}

TEST_CASE("sendall returns once the system has it all: closing then loses nothing") {
  test::in_green_thread([] {
    Socket listener =
        green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), server_options());
    const std::string data = noise(2'000'000);
    auto client = green::spawn([&] {
      Socket socket = green::wrap_ssl(green::connect(listener.getsockname()), client_options());
      socket.sendall(data);
    });
    Socket server = listener.accept().first;
    CHECK(test::read_all(server) == data);
    client.wait();
  });
}

TEST_CASE("a writer whose peer does not read waits, in flat memory") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    const std::string data = noise(32'000'000);
    const std::size_t before = test::resident_bytes();
    auto writer = green::spawn([&] { pair.client.sendall(data); });
    green::sleep(0.05);
    CHECK(!writer.dead());
    CHECK(test::resident_bytes() < before + test::memory_leeway);
    std::size_t received = 0;
    bool same = true;
    while (received < data.size()) {
      const std::string part = pair.server.recv(50'000);
      same = same && data.compare(received, part.size(), part) == 0;
      received += part.size();
    }
    CHECK(same);
    CHECK(test::resident_bytes() < before + test::memory_leeway);
    writer.wait();
  });
}

TEST_CASE("what send has taken counts, whatever the limit") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    const std::string data = noise(8'000'000);
    pair.client.settimeout(0);
    std::size_t sent = 0;
    std::error_code error;
    while (!error) try {
        sent += pair.client.send(std::string_view(data).substr(sent));
      } catch (const std::system_error& refused) {
        error = refused.code();
      }
    CHECK(error.value() == EAGAIN);
    CHECK(sent > 0);
    pair.client.settimeout(0.01);
    CHECK_THROWS_AS(pair.client.send(std::string_view(data).substr(sent)), std::system_error);
    // The rest of the last record goes out without a writer.
    std::string received;
    while (received.size() < sent) received += pair.server.recv(100'000);
    CHECK(received == data.substr(0, sent));
    pair.client.settimeout({});
    pair.client.sendall("more");
    CHECK(pair.server.recv(100) == "more");
  });
}

TEST_CASE("a writer that is killed leaves whole records, the next one goes on behind them") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    const std::string data = noise(8'000'000);
    auto writer = green::spawn([&] { pair.client.sendall(data); });
    green::sleep(0.01);
    writer.kill();
    auto next = green::spawn([&] {
      pair.client.sendall("END");
      pair.client.close();
    });
    const std::string received = test::read_all(pair.server);
    REQUIRE(received.size() > 3);
    CHECK(received.substr(received.size() - 3) == "END");
    CHECK(data.compare(0, received.size() - 3, received, 0, received.size() - 3) == 0);
    next.wait();
  });
}

TEST_CASE("a reader that is killed loses nothing") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    auto reader = green::spawn([&] { pair.server.recv(100); });
    green::sleep(0);
    reader.kill();
    pair.client.sendall("kept");
    CHECK(pair.server.recv(100) == "kept");
    pair.server.settimeout(0.001);
    CHECK_THROWS_WITH_AS(pair.server.recv(100), doctest::Contains("timed out"), std::system_error);
    pair.server.settimeout({});
    pair.client.sendall("too");
    CHECK(pair.server.recv(100) == "too");
  });
}

TEST_CASE("recv takes as much as was asked for, from records of any size") {
  test::in_green_thread([] {
    SslPair pair = ssl_pair();
    const std::string data = noise(40'000);
    pair.client.sendall(data);
    std::string received;
    for (std::size_t want = 1; received.size() < data.size(); want = want * 2 % 3001 + 1) {
      const std::string part = pair.server.recv(want);
      REQUIRE(part.size() <= want);
      received += part;
    }
    CHECK(received == data);
    pair.client.sendall(data.substr(0, 100));
    std::string buffer(10, '\0');
    CHECK(pair.server.recv_into(buffer) == 10);
    CHECK(buffer == data.substr(0, 10));
    pair.server.settimeout(0);
    CHECK(pair.server.recv(1000) == data.substr(10, 90));
    CHECK_THROWS_AS(pair.server.recv(1000), std::system_error);
  });
}
