// Calls of a socket that look up a name: their limits, and what happens to them meanwhile.

#include "../fake_resolver.hpp"
#include "sockets.hpp"

#include <fcntl.h>
#include <functional>

using green::Address;
using green::Socket;
using test::errno_of;

namespace {

// Names that stall, until the end of the test.
struct Stalled {
  Stalled() { fake::stall_again(); }
  ~Stalled() {
    fake::release();
    while (fake::count(fake::begun) != fake::count(fake::ended)) green::sleep(0.001);
  }
  const Address name = Address("1.stalled.fake", 80);
};

struct Call {
  const char* name;
  int type;
  std::function<void(Socket&, const Address&)> run;
};

void expect_connected(int error) {
  if (error != 0) throw std::system_error(error, std::generic_category());
}

const std::vector<Call> calls{
    {"connect", SOCK_STREAM, [](Socket& s, const Address& to) { s.connect(to); }},
    {"connect_ex", SOCK_STREAM,
     [](Socket& s, const Address& to) { expect_connected(s.connect_ex(to)); }},
    {"bind", SOCK_STREAM, [](Socket& s, const Address& to) { s.bind(to); }},
    {"sendto", SOCK_DGRAM, [](Socket& s, const Address& to) { s.sendto("x", to); }},
    {"sendmsg", SOCK_DGRAM, [](Socket& s, const Address& to) { s.sendmsg("x", {}, to); }},
};

// Begins it in a green thread, which gives the errno.
green::GreenThread<int> begin(const Call& call, Socket& socket, const Address& to) {
  auto thread =
      green::spawn([&call, &socket, to] { return errno_of([&] { call.run(socket, to); }); });
  green::sleep(0.001);
  CHECK(!thread.dead());
  return thread;
}

}  // namespace

TEST_CASE("a look-up counts for settimeout") {
  const Stalled stalled;
  for (const Call& call : calls) {
    CAPTURE(call.name);
    Socket socket(AF_INET, call.type);
    socket.settimeout(0.02);
    test::in_green_thread(
        [&] { CHECK(errno_of([&] { call.run(socket, stalled.name); }) == ETIMEDOUT); });
    socket.settimeout(0);
    CHECK(errno_of([&] { call.run(socket, stalled.name); }) == EAGAIN);
    CHECK(!socket.closed());
  }
}

TEST_CASE("a socket that is closed, detached or destroyed while a name is looked up gives EBADF") {
  const Stalled stalled;
  const std::vector<std::function<void(std::unique_ptr<Socket>&)>> ends{
      [](auto& socket) { socket->close(); },
      [](auto& socket) { ::close(socket->detach()); },
      [](auto& socket) { socket.reset(); },
  };
  for (const Call& call : calls) {
    for (const auto& end : ends) {
      CAPTURE(call.name);
      auto socket = std::make_unique<Socket>(AF_INET, call.type);
      auto thread = begin(call, *socket, stalled.name);
      end(socket);
      test::in_green_thread([&] { CHECK(thread.wait() == EBADF); });
    }
  }
}

TEST_CASE("who looks up a name is the socket's writer: another one is a logic_error") {
  const Stalled stalled;
  for (const Call& call : calls) {
    CAPTURE(call.name);
    Socket socket(AF_INET, call.type);
    auto thread = begin(call, socket, stalled.name);
    CHECK_THROWS_AS(call.run(socket, stalled.name), std::logic_error);
    socket.close();
    CHECK(thread.wait() == EBADF);
  }
}

TEST_CASE("a kill ends the look-up, and the socket can be used") {
  const Stalled stalled;
  Socket listener = green::listen(test::anywhere());
  for (const Call& call : calls) {
    CAPTURE(call.name);
    Socket socket(AF_INET, call.type);
    auto thread = begin(call, socket, stalled.name);
    thread.kill();
    CHECK(thread.dead());
    call.run(socket, call.name == std::string("bind") ? test::anywhere() : listener.getsockname());
  }
}

TEST_CASE("connect has one limit for the look-up and the connection") {
  const Stalled stalled;
  test::FullListener full;
  fake::addresses["full.fake"] = {full.listener.getsockname()};
  test::in_green_thread([&] {
    Socket socket;
    socket.settimeout(0.05);
    const Address name("full.fake", full.listener.getsockname().port());
    CHECK(errno_of([&] { socket.connect(name); }) == ETIMEDOUT);
  });
}

TEST_CASE("what is an address already is not looked up, also without time to wait") {
  Socket listener = green::listen(test::anywhere());
  Socket socket(AF_INET, SOCK_DGRAM);
  socket.settimeout(0);
  socket.bind(Address("127.1", 0));
  CHECK(socket.sendto("x", Address("127.1", socket.getsockname().port())) == 1);
  CHECK(socket.recv(9) == "x");
}

TEST_CASE("a name that is found is connected to, bound to, sent to") {
  Socket listener = green::listen(test::anywhere());
  fake::addresses["here.fake"] = {listener.getsockname()};
  fake::addresses["any.fake"] = {test::anywhere()};
  const Address here("here.fake", listener.getsockname().port());
  test::in_green_thread([&] {
    Socket client;
    client.settimeout(test::watchdog);
    client.bind(Address("any.fake", 0));
    client.connect(here);
    CHECK(client.getpeername() == listener.getsockname());
    Socket sender(AF_INET, SOCK_DGRAM);
    CHECK(sender.sendto("x", here) == 1);
    CHECK_THROWS_AS(client.connect(Address("unknown.fake", 80)), uvlet::gaierror);
    CHECK_THROWS_AS(client.connect_ex(Address("unknown.fake", 80)), uvlet::gaierror);
  });
}

TEST_CASE("a socket that is moved while it connects is connected then") {
  test::FullListener full;
  Socket first;
  auto connecting = green::spawn([&] { return first.connect_ex(full.listener.getsockname()); });
  green::sleep(0.001);
  REQUIRE(!connecting.dead());
  Socket second(std::move(first));
  auto accepting = green::spawn([&] {
    std::vector<Socket> others;
    for (;;) others.push_back(full.listener.accept().first);
  });
  test::in_green_thread([&] { CHECK(connecting.wait() == 0); });
  CHECK(second.getpeername() == full.listener.getsockname());
  accepting.kill();
}

TEST_CASE("sendfile has one limit, and its pipe keeps nobody from closing the socket") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  test::TcpPair pair;
  pair.a.settimeout(0.02);
  auto trickle = green::spawn([&] {
    for (;; green::sleep(0.002)) CHECK(write(ends[1], "x", 1) == 1);
  });
  test::in_green_thread([&] {
    CHECK(errno_of([&] { pair.a.sendfile(ends[0]); }) == ETIMEDOUT);
    trickle.kill();
    pair.a.settimeout({});
    auto sending = green::spawn([&] { return errno_of([&] { pair.a.sendfile(ends[0]); }); });
    green::sleep(0.01);
    pair.a.close();
    CHECK(sending.wait() == EBADF);
  });
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("sendfile of a pipe has the writer's place until its last byte has gone") {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  test::TcpPair pair;
  test::in_green_thread([&] {
    auto sending = green::spawn([&] { return pair.a.sendfile(ends[0]); });
    auto reader = green::spawn([&] { return test::receive_all(pair.b); });
    green::sleep(0);
    int tries = 0, refused = 0;
    for (int i = 0; i < 100; ++i) {
      CHECK(write(ends[1], "x", 1) == 1);
      for (int turn = 0; turn < 50; ++turn, green::sleep(0)) {
        ++tries;
        try {
          pair.a.send("other");
        } catch (const std::logic_error&) {
          ++refused;
        }
      }
    }
    CHECK(refused == tries);
    ::close(ends[1]);
    CHECK(sending.wait() == 100);
    pair.a.close();
    CHECK(reader.wait() == std::string(100, 'x'));
  });
  ::close(ends[0]);
}
