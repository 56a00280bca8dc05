// Connections that fail before they are accepted, as accept(2) tells of them.

#include "../fake_accept.hpp"
#include "sockets.hpp"

#include <aio/server.hpp>
#include <green/stream_server.hpp>
#include <uvlet/testing.hpp>

using green::Address;
using green::Socket;

namespace {

const std::vector<int> errors{ECONNABORTED, EPROTO,    ENOPROTOOPT,  ENETDOWN,
                              ENETUNREACH,  EHOSTDOWN, EHOSTUNREACH, ENONET};

// Connects until a greeting comes: those before it are lost to the errors.
std::string greeting_of(const Address& server) {
  return green::with_timeout(test::watchdog, [&] {
    std::vector<Socket> lost;
    for (std::size_t i = 0; i < errors.size(); ++i) lost.push_back(green::connect(server));
    Socket client = green::connect(server);
    return client.recv(100);
  });
}

void greet(Socket socket, const Address&) { socket.sendall("hello"); }

}  // namespace

TEST_CASE("accept passes over connections that have failed") {
  Socket listener = green::listen(test::anywhere());
  auto acceptor = green::spawn([&] { greet(listener.accept().first, {}); });
  fake::accept_errors = errors;
  CHECK(greeting_of(listener.getsockname()) == "hello");
  acceptor.wait();
}

TEST_CASE("serve, StreamServer and aio::Server go on after connections that have failed") {
  Socket listener = green::listen(test::anywhere());
  auto serving = green::spawn([&] { green::serve(listener, greet); });
  fake::accept_errors = errors;
  CHECK(greeting_of(listener.getsockname()) == "hello");
  CHECK(!serving.dead());
  serving.kill();

  green::StreamServer server(green::listen(test::anywhere()), greet);
  server.start();
  fake::accept_errors = errors;
  CHECK(greeting_of(server.address()) == "hello");

  auto handler = [](aio::Stream stream) -> aio::task<void> {
    stream.write("hello");
    co_return;
  };
  aio::Server tasks = green::awaitlet(aio::start_server(handler, test::anywhere()));
  fake::accept_errors = errors;
  CHECK(greeting_of(tasks.getsockname()) == "hello");
}

TEST_CASE("what is wrong with the listener itself is thrown") {
  Socket datagrams(AF_INET, SOCK_DGRAM);
  CHECK(test::errno_of([&] { datagrams.accept(); }) == EOPNOTSUPP);
  Socket listener = green::listen(test::anywhere());
  fake::accept_errors = {EPERM};
  auto acceptor = green::spawn([&] { return test::errno_of([&] { listener.accept(); }); });
  Socket client = green::connect(listener.getsockname());
  CHECK(acceptor.wait() == EPERM);
}

TEST_CASE("servers without descriptors rest between accepts, and go on in a tenth of a second") {
  const auto check_pauses = [](const char* name, const Address& server) {
    CAPTURE(name);
    constexpr int count = 20;
    uvlet::Hub& hub = uvlet::Hub::current();
    const std::uint64_t before = hub.stats().accepts_refused;
    fake::accept_errors = std::vector<int>(count, EMFILE);
    std::vector<Socket> lost;
    for (int i = 0; i < count; ++i) lost.push_back(green::connect(server));
    Socket client = green::connect(server);
    const uvlet::Time start = hub.now();
    CHECK(client.recv(100) == "hello");
    const double took = static_cast<double>(hub.now() - start) / 1e9;
    CHECK(took >= count * 0.005);
    CHECK(took <= count * 0.1);
    CHECK(hub.stats().accepts_refused == before + count);
  };
  uvlet::testing::simulate({}, [&] {
    Socket listener = green::listen(test::anywhere());
    auto serving = green::spawn([&] { green::serve(listener, greet); });
    check_pauses("serve", listener.getsockname());
    serving.kill();

    green::StreamServer server(green::listen(test::anywhere()), greet);
    server.start();
    check_pauses("StreamServer", server.address());
    server.stop();

    auto handler = [](aio::Stream stream) -> aio::task<void> {
      stream.write("hello");
      co_return;
    };
    aio::Server tasks = green::awaitlet(aio::start_server(handler, test::anywhere()));
    check_pauses("aio::Server", tasks.getsockname());
  });
}
