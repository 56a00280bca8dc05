#include "../ssl_peers.hpp"

#include <green/owned_fd.hpp>

#include <fcntl.h>
#include <fstream>
#include <unistd.h>

// Files through TLS.

using green::OwnedFd;
using green::Socket;
using test::ssl_pair;
using test::SslPair;

namespace {

// A file in the folder of the certificates.
struct Sample {
  explicit Sample(std::size_t bytes) : data(bytes, '\0') {
    for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<char>(i * i % 251);
    std::ofstream(path) << data;
    file.emplace(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  int fd() const { return file->get(); }

  const std::string path = test::certificates().folder() + "/sample";
  std::string data;
  std::optional<OwnedFd> file;
};

int errno_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

}  // namespace

TEST_CASE("sendfile through TLS sends all, a part from an offset, and leaves the position") {
  test::in_green_thread([] {
    const Sample sample(3'000'000);
    SslPair pair = ssl_pair();
    auto reader = green::spawn([&] { return test::read_all(pair.server); });
    CHECK(pair.client.sendfile(sample.fd()) == sample.data.size());
    CHECK(pair.client.sendfile(sample.fd(), 100, 70'000) == 70'000);
    CHECK(pair.client.sendfile(sample.fd(), sample.data.size() - 7, 100) == 7);
    CHECK(pair.client.sendfile(sample.fd(), sample.data.size() + 5) == 0);
    CHECK(pair.client.sendfile(sample.fd(), 0, 0) == 0);
    CHECK(::lseek(sample.fd(), 0, SEEK_CUR) == 0);
    pair.client.close();
    CHECK((reader.wait() == sample.data + sample.data.substr(100, 70'000) +
                                sample.data.substr(sample.data.size() - 7)));
  });
}

TEST_CASE("a second writer is refused while sendfile reads, and while it waits for the peer") {
  test::in_green_thread([] {
    const Sample sample(3'000'000);
    SslPair pair = ssl_pair();
    auto sending = green::spawn([&] { return pair.client.sendfile(sample.fd()); });
    green::sleep(0);
    std::string received;
    int tries = 0, refused = 0;
    while (!sending.dead()) {
      ++tries;
      try {
        pair.client.send("other");
      } catch (const std::logic_error&) {
        ++refused;
      }
      green::sleep(0);
      if (tries % 3 == 0) {
        pair.server.settimeout(0);
        try {
          received += pair.server.recv(20'000);
        } catch (const std::system_error&) {  // it is reading
        }
      }
    }
    CHECK(sending.wait() == sample.data.size());
    CHECK(refused > 100);
    CHECK(refused >= tries - 1);  // the last may come when all has gone
    pair.server.settimeout({});
    pair.client.close();
    received += test::read_all(pair.server);
    CHECK((received.substr(0, sample.data.size()) == sample.data));
    CHECK((received.substr(sample.data.size()) == (refused == tries ? "" : "other")));
  });
}

TEST_CASE("sendfile through TLS is the second writer where another sends") {
  test::in_green_thread([] {
    const Sample sample(100'000);
    SslPair pair = ssl_pair();
    const std::string data(8'000'000, 'x');
    auto writer = green::spawn([&] { pair.client.sendall(data); });
    green::sleep(0);
    CHECK_THROWS_WITH_AS(pair.client.sendfile(sample.fd()),
                         doctest::Contains("a second simultaneous writer"), std::logic_error);
    auto reader = green::spawn([&] { return test::read_all(pair.server).size(); });
    writer.wait();
    pair.client.close();
    CHECK(reader.wait() == data.size());
  });
}

TEST_CASE("sendfile through TLS obeys settimeout, kill and close; a bad file is an error") {
  test::in_green_thread([] {
    const Sample sample(8'000'000);
    SslPair pair = ssl_pair();
    CHECK(errno_of([&] { pair.client.sendfile(-1); }) == EBADF);
    pair.client.settimeout(0);
    CHECK(errno_of([&] { pair.client.sendfile(sample.fd()); }) == EAGAIN);
    pair.client.settimeout(0.01);
    CHECK(errno_of([&] { pair.client.sendfile(sample.fd()); }) == ETIMEDOUT);
    pair.client.settimeout({});
    auto victim = green::spawn([&] { pair.client.sendfile(sample.fd()); });
    green::sleep(0.001);
    victim.kill();
    CHECK(victim.dead());
    auto sending =
        green::spawn([&] { return errno_of([&] { pair.client.sendfile(sample.fd()); }); });
    green::sleep(0.001);
    pair.client.close();
    CHECK(sending.wait() == EBADF);
  });
}

TEST_CASE("sendfile of a pipe through TLS sends what comes, as it comes") {
  test::in_green_thread([] {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const OwnedFd reading_end(ends[0]);
    SslPair pair = ssl_pair();
    auto sending = green::spawn([&] { return pair.client.sendfile(ends[0]); });
    for (int i = 0; i < 10; ++i) {
      CHECK(::write(ends[1], "part", 4) == 4);
      std::string part;
      while (part.size() < 4) part += pair.server.recv(4 - part.size());
      CHECK(part == "part");
    }
    ::close(ends[1]);
    CHECK(sending.wait() == 40);
  });
}

TEST_CASE("sendfile through TLS shakes hands first, on a connection that was accepted") {
  test::in_green_thread([] {
    const Sample sample(200'000);
    Socket listener =
        green::wrap_ssl(green::listen(green::Address("127.0.0.1", 0)), test::server_options());
    auto client = green::spawn([&] {
      Socket socket =
          green::wrap_ssl(green::connect(listener.getsockname()), test::client_options());
      return test::read_all(socket);
    });
    Socket server = listener.accept().first;
    CHECK(server.sendfile(sample.fd()) == sample.data.size());
    server.close();
    CHECK((client.wait() == sample.data));
  });
}

TEST_CASE("curl, openssl and Python get a file byte for byte, in TLS 1.3 and 1.2") {
  test::in_green_thread([] {
    const Sample sample(3'000'000);
    test::TlsServer server([&](Socket& connection) {
      if (test::answer_head(connection, sample.data.size()))
        CHECK(connection.sendfile(sample.fd()) == sample.data.size());
      connection.shutdown(SHUT_WR);
    });
    if (test::peer_installed("curl")) {
      CHECK((test::run(test::curl(server, "--tlsv1.3")) == sample.data));
      CHECK((test::run(test::curl(server, "--tls-max 1.2")) == sample.data));
    }
    const std::string request = "GET / HTTP/1.1\r\n\r\n";
    if (test::peer_installed("openssl"))
      for (const std::string version : {"-tls1_3", "-tls1_2"}) {
        const std::string answer =
            test::run(test::s_client(server, "-quiet " + version + " 2>/dev/null"), request);
        const std::size_t body = answer.find("\r\n\r\n");
        REQUIRE(body != std::string::npos);
        CHECK((answer.substr(body + 4) == sample.data));
      }
    if (test::peer_installed("python3"))
      for (const std::string version : {"TLSv1_3", "TLSv1_2"})
        CHECK(test::run(test::python(R"(
context = ssl.create_default_context(cafile=ca)
context.maximum_version = ssl.TLSVersion.)" +
                                         version + R"(
raw = socket.create_connection(("127.0.0.1", port))
client = context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
client.sendall(b"GET / HTTP/1.1\r\n\r\n")
received = b""
while data := client.recv(65536): received += data
body = received[received.index(b"\r\n\r\n") + 4:]
print(body == open(")" + sample.path + R"(", "rb").read(), len(body)))",
                                     server.port())) == "True 3000000\n");
    CHECK(server.failures == "");
  });
}
