// Sockets at the edges: wrong calls, half-closed streams, interrupts, full tables.

#include "sockets.hpp"

#include <aio/aio.hpp>
#include <green/convenience.hpp>
#include <green/socket.hpp>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace {

using green::Address;
using green::Socket;
using test::errno_of;
using test::Log;

struct Pair {
  Pair() {
    Socket listener = green::listen(Address("127.0.0.1", 0));
    client = green::connect(listener.getsockname());
    server = listener.accept().first;
  }
  Socket client, server;
};

int lowest_free_fd() {
  const int fd = dup(STDERR_FILENO);
  close(fd);
  return fd;
}

}  // namespace

TEST_CASE("a fresh socket has a number, no peer, and flags as all descriptors of ours") {
  Socket socket;
  CHECK(socket.fileno() >= 0);
  CHECK(!socket.closed());
  CHECK((fcntl(socket.fileno(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(socket.fileno(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(errno_of([&] { socket.getpeername(); }) == ENOTCONN);
  CHECK(!socket.gettimeout());
  Socket six(AF_INET6, SOCK_STREAM, 0);
  CHECK(six.getsockname().family() == AF_INET6);
  CHECK(errno_of([] { Socket(12345); }) == EAFNOSUPPORT);
}

TEST_CASE("accepted and connected sockets have the flags of ours") {
  Pair pair;
  for (const Socket* socket : {&pair.client, &pair.server}) {
    CHECK((fcntl(socket->fileno(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((fcntl(socket->fileno(), F_GETFD) & FD_CLOEXEC) != 0);
  }
}

TEST_CASE("from_fd takes over a descriptor; a bad one is EBADF") {
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  Socket first = Socket::from_fd(fds[0]), second = Socket::from_fd(fds[1]);
  CHECK((fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0);
  first.sendall("hi");
  CHECK(second.recv(10) == "hi");
  first.close();
  CHECK(fcntl(fds[0], F_GETFD) == -1);
  CHECK(errno_of([] { Socket::from_fd(-1); }) == EBADF);
}

TEST_CASE("calls on a closed socket are EBADF, close again is nothing") {
  Pair pair;
  pair.client.close();
  pair.client.close();
  CHECK(pair.client.closed());
  CHECK(pair.client.fileno() == -1);
  Socket& closed = pair.client;
  CHECK(errno_of([&] { closed.recv(1); }) == EBADF);
  CHECK(errno_of([&] { closed.send("x"); }) == EBADF);
  CHECK(errno_of([&] { closed.sendall("x"); }) == EBADF);
  CHECK(errno_of([&] { closed.accept(); }) == EBADF);
  CHECK(errno_of([&] { closed.listen(); }) == EBADF);
  CHECK(errno_of([&] { closed.bind(Address("127.0.0.1", 0)); }) == EBADF);
  CHECK(errno_of([&] { closed.connect(Address("127.0.0.1", 1)); }) == EBADF);
  CHECK(closed.connect_ex(Address("127.0.0.1", 1)) == EBADF);
  CHECK(errno_of([&] { closed.shutdown(SHUT_WR); }) == EBADF);
  CHECK(errno_of([&] { closed.getsockname(); }) == EBADF);
  CHECK(errno_of([&] { closed.getpeername(); }) == EBADF);
  CHECK(errno_of([&] { closed.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); }) == EBADF);
  CHECK(errno_of([&] { closed.getsockopt(SOL_SOCKET, SO_REUSEADDR); }) == EBADF);
  CHECK(errno_of([&] { closed.dup(); }) == EBADF);
  CHECK(closed.detach() == -1);
  CHECK(pair.server.recv(1) == "");
}

TEST_CASE("a moved-from socket answers as a closed one to every call") {
  Pair pair;
  const Socket moved = std::move(pair.client);
  Socket& empty = pair.client;
  CHECK(empty.closed());
  CHECK(errno_of([&] { empty.recv(1); }) == EBADF);
  CHECK(errno_of([&] { empty.connect(Address("127.0.0.1", 1)); }) == EBADF);
  CHECK(errno_of([&] { empty.bind(Address("127.0.0.1", 0)); }) == EBADF);
  CHECK(errno_of([&] { empty.dup(); }) == EBADF);
  empty.close();
  empty = Socket();
  CHECK(!empty.closed());
}

TEST_CASE("misuse is the errno of the system") {
  Socket socket;
  CHECK(errno_of([&] { socket.accept(); }) == EINVAL);
  Socket taken = green::listen(Address("127.0.0.1", 0));
  CHECK(errno_of([&] { socket.bind(taken.getsockname()); }) == EADDRINUSE);
  Pair pair;
  CHECK(pair.server.connect_ex(taken.getsockname()) == EISCONN);
  CHECK(pair.client.connect_ex(taken.getsockname()) == EISCONN);
  CHECK(pair.client.connect_ex(pair.client.getpeername()) == EISCONN);
  Socket datagrams(AF_INET, SOCK_DGRAM);
  CHECK(datagrams.connect_ex(taken.getsockname()) == 0);
  CHECK(datagrams.connect_ex(Address("127.0.0.1", 1)) == 0);
  CHECK(datagrams.getpeername() == Address("127.0.0.1", 1));
}

TEST_CASE("a connect that was cut short goes on to the same address, and to no other") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  Socket other = green::listen(Address("127.0.0.1", 0));
  Socket client;
  client.settimeout(0);
  CHECK(client.connect_ex(listener.getsockname()) == EAGAIN);
  listener.accept();
  client.settimeout(std::nullopt);
  CHECK(client.connect_ex(other.getsockname()) == EISCONN);
  CHECK(client.connect_ex(listener.getsockname()) == 0);
  CHECK(client.connect_ex(listener.getsockname()) == EISCONN);
  CHECK(client.getpeername() == listener.getsockname());
}

TEST_CASE("nothing to send and no room to receive need no wait") {
  Pair pair;
  CHECK(pair.client.send("") == 0);
  pair.client.sendall("");
  CHECK(pair.client.recv(0) == "");
  CHECK(pair.client.recv_into({}) == 0);
}

TEST_CASE("recv gives at most what was asked for, and keeps the rest") {
  Pair pair;
  pair.client.sendall("abcdef");
  CHECK(pair.server.recv(2) == "ab");
  char buffer[3];
  CHECK(pair.server.recv_into(buffer) == 3);
  CHECK(std::string(buffer, 3) == "cde");
  CHECK(pair.server.recv(100) == "f");
}

TEST_CASE("bytes of any value go through") {
  Pair pair;
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  pair.client.sendall(all);
  std::string got;
  while (got.size() < all.size()) got += pair.server.recv(100);
  CHECK(got == all);
}

TEST_CASE("the end of the stream is \"\", again and again") {
  Pair pair;
  pair.client.sendall("last");
  pair.client.close();
  CHECK(pair.server.recv(100) == "last");
  for (int i = 0; i < 3; ++i) CHECK(pair.server.recv(100) == "");
}

TEST_CASE("a half-closed stream still goes the other way") {
  Pair pair;
  pair.client.sendall("question");
  pair.client.shutdown(SHUT_WR);
  CHECK(pair.server.recv(100) == "question");
  CHECK(pair.server.recv(100) == "");
  pair.server.sendall("answer");
  CHECK(pair.client.recv(100) == "answer");
  CHECK(errno_of([&] { pair.client.send("more"); }) == EPIPE);
}

TEST_CASE("an own shutdown of reading ends a recv that waits") {
  Pair pair;
  auto reader = green::spawn([&] { return pair.client.recv(10); });
  green::sleep(0.001);
  pair.client.shutdown(SHUT_RD);
  CHECK(reader.wait() == "");
}

TEST_CASE("one reader and one writer at once are fine, a second writer is a logic_error") {
  Pair pair;
  const std::string much(8 << 20, 'x');
  auto reader = green::spawn([&] { return pair.client.recv(10); });
  auto writer = green::spawn([&] { pair.client.sendall(much); });
  green::sleep(0.005);
  CHECK(!writer.dead());
  CHECK_THROWS_AS(pair.client.sendall(much), std::logic_error);
  std::size_t got = 0;
  while (got < much.size()) got += pair.server.recv(1 << 20).size();
  writer.wait();
  pair.server.sendall("ok");
  CHECK(reader.wait() == "ok");
}

TEST_CASE("each call has the whole timeout; a negative one counts as zero") {
  Pair pair;
  pair.client.settimeout(0.005);
  REQUIRE(pair.client.gettimeout());
  CHECK(pair.client.gettimeout()->seconds() == 0.005);
  for (int i = 0; i < 2; ++i) CHECK(errno_of([&] { pair.client.recv(1); }) == ETIMEDOUT);
  pair.client.settimeout(-1);
  CHECK(errno_of([&] { pair.client.recv(1); }) == EAGAIN);
  pair.server.sendall("x");
  green::sleep(0.001);
  CHECK(pair.client.recv(1) == "x");
  pair.client.settimeout(std::nullopt);
  CHECK(!pair.client.gettimeout());
}

TEST_CASE("accept, a full send and recv_into time out too") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  listener.settimeout(0.002);
  CHECK(errno_of([&] { listener.accept(); }) == ETIMEDOUT);
  listener.settimeout(0);
  CHECK(errno_of([&] { listener.accept(); }) == EAGAIN);
  Pair pair;
  pair.client.settimeout(0.005);
  CHECK(errno_of([&] { pair.client.sendall(std::string(64 << 20, 'x')); }) == ETIMEDOUT);
  char buffer[4];
  CHECK(errno_of([&] { pair.client.recv_into(buffer); }) == ETIMEDOUT);
}

TEST_CASE("is_timeout knows a socket's timeout") {
  Pair pair;
  pair.client.settimeout(0.001);
  try {
    pair.client.recv(1);
    FAIL("not reached");
  } catch (...) {
    CHECK(green::is_timeout(std::current_exception()));
  }
}

TEST_CASE("a copy made by dup has the timeout, and outlives the original") {
  Pair pair;
  pair.client.settimeout(0.002);
  Socket copy = pair.client.dup();
  CHECK(copy.fileno() != pair.client.fileno());
  pair.client.close();
  CHECK(errno_of([&] { copy.recv(1); }) == ETIMEDOUT);
  copy.sendall("still open");
  CHECK(pair.server.recv(100) == "still open");
}

TEST_CASE("detach wakes who waits with EBADF and leaves the descriptor open") {
  Pair pair;
  auto reader = green::spawn([&] { return errno_of([&] { pair.client.recv(1); }); });
  green::sleep(0.001);
  const int fd = pair.client.detach();
  CHECK(reader.wait() == EBADF);
  CHECK(fcntl(fd, F_GETFD) != -1);
  Socket again = Socket::from_fd(fd);
  again.sendall("alive");
  CHECK(pair.server.recv(100) == "alive");
}

TEST_CASE("a socket moved while somebody waits in it keeps who waits") {
  Pair pair;
  auto reader = green::spawn([&] { return pair.client.recv(10); });
  green::sleep(0.001);
  Socket moved = std::move(pair.client);
  pair.server.sendall("found");
  CHECK(reader.wait() == "found");
}

TEST_CASE("close wakes a reader, a writer and an acceptor at once") {
  Pair pair;
  Socket listener = green::listen(Address("127.0.0.1", 0));
  auto reader = green::spawn([&] { return errno_of([&] { pair.client.recv(1); }); });
  auto writer = green::spawn(
      [&] { return errno_of([&] { pair.client.sendall(std::string(64 << 20, 'x')); }); });
  auto acceptor = green::spawn([&] { return errno_of([&] { listener.accept(); }); });
  green::sleep(0.005);
  const int number = pair.client.fileno();
  pair.client.close();
  listener.close();
  CHECK(fcntl(number, F_GETFD) == -1);
  CHECK(reader.wait() == EBADF);
  CHECK(writer.wait() == EBADF);
  CHECK(acceptor.wait() == EBADF);
}

TEST_CASE("a connect from a chosen address") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  Socket client = green::connect(listener.getsockname(), Address("127.0.0.2", 0));
  CHECK(client.getsockname().host() == "127.0.0.2");
  const auto [server, peer] = listener.accept();
  CHECK(peer == client.getsockname());
  CHECK(server.getpeername() == peer);
}

TEST_CASE("reuse_port: off for port 0, on for a fixed one, or as told") {
  Socket any = green::listen(Address("127.0.0.1", 0));
  CHECK(any.getsockopt(SOL_SOCKET, SO_REUSEPORT) == 0);
  CHECK(any.getsockopt(SOL_SOCKET, SO_REUSEADDR) == 1);
  const Address address = any.getsockname();
  any.close();
  Socket fixed = green::listen(address);
  CHECK(fixed.getsockopt(SOL_SOCKET, SO_REUSEPORT) == 1);
  Socket beside = green::listen(address);
  CHECK(beside.getsockname() == address);
  Socket told = green::listen(Address("127.0.0.1", 0), 5, false, true);
  CHECK(told.getsockopt(SOL_SOCKET, SO_REUSEPORT) == 1);
  CHECK(told.getsockopt(SOL_SOCKET, SO_REUSEADDR) == 0);
  CHECK(errno_of([&] { green::listen(told.getsockname(), 5, false, false); }) == EADDRINUSE);
}

TEST_CASE("unix sockets: a missing path, a taken path") {
  char folder[] = "/tmp/uvlet-socket-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/s";
  CHECK(errno_of([&] { green::connect(Address::unix_path(path)); }) == ENOENT);
  {
    Socket listener = green::listen(Address::unix_path(path));
    CHECK(listener.getsockname() == Address::unix_path(path));
    CHECK(errno_of([&] { green::listen(Address::unix_path(path)); }) == EADDRINUSE);
    Socket client = green::connect(Address::unix_path(path));
    client.sendall("x");
    CHECK(listener.accept().first.recv(1) == "x");
  }
  CHECK(errno_of([&] { green::connect(Address::unix_path(path)); }) == ECONNREFUSED);
  unlink(path.c_str());
  rmdir(folder);
}

TEST_CASE("an unknown name is gaierror in each call that takes an address, and in coroutines") {
  const Address nobody("nosuch.invalid", 1);
  CHECK_THROWS_AS(green::connect(nobody), uvlet::gaierror);
  CHECK_THROWS_AS(green::listen(nobody), uvlet::gaierror);
  Socket socket;
  CHECK_THROWS_AS(socket.connect(nobody), uvlet::gaierror);
  CHECK_THROWS_AS(socket.bind(nobody), uvlet::gaierror);
  CHECK_THROWS_AS(aio::run(green::connect_async(nobody)), uvlet::gaierror);
  try {
    green::connect(nobody);
  } catch (const std::exception& error) {
    CHECK(std::string(error.what()).find("nosuch.invalid") != std::string::npos);
  }
  CHECK(socket.connect_ex(Address("127.0.0.1", 1)) == ECONNREFUSED);
}

TEST_CASE("a reader that is killed, timed out or cancelled leaves the data to the next") {
  Pair pair;
  for (int way = 0; way < 4; ++way) {
    if (way == 0) {
      auto reader = green::spawn([&] { return pair.client.recv(10); });
      green::sleep(0.001);
      reader.kill();
      CHECK(reader.dead());
    } else if (way == 1) {
      CHECK_THROWS_AS(green::with_timeout(0.002, [&] { pair.client.recv(10); }),
                      green::TimeoutExpired);
    } else if (way == 2) {
      auto reader = aio::create_task(pair.client.recv_async(10));
      green::sleep(0.001);
      reader.cancel();
      CHECK_THROWS_AS(green::awaitlet(reader), aio::CancelledError);
    } else {
      CHECK_THROWS_AS(aio::run(aio::wait_for(pair.client.recv_async(10), 0.002)),
                      aio::TimeoutError);
    }
    pair.server.sendall("data");
    CHECK(pair.client.recv(10) == "data");
  }
}

TEST_CASE("each blocking call has a twin for coroutines") {
  auto server = [](Socket& listener) -> aio::task<std::string> {
    auto accepted = co_await listener.accept_async();
    Socket connection = std::move(accepted.first);
    char buffer[4];
    const std::size_t got = co_await connection.recv_into_async(buffer);
    const std::string rest = co_await connection.recv_async(100);
    co_await connection.sendall_async("bye");
    co_return std::string(buffer, got) + rest;
  };
  auto client = [](Address to) -> aio::task<std::string> {
    Socket socket;
    co_await socket.bind_async(Address("127.0.0.1", 0));
    const int error = co_await socket.connect_ex_async(to);
    if (error != 0) co_return "failed";
    const std::size_t sent = co_await socket.send_async("hello");
    if (sent != 5) co_return "short";
    co_return co_await socket.recv_async(100);
  };
  auto listening = []() -> aio::task<Socket> {
    co_return co_await green::listen_async(Address("127.0.0.1", 0));
  };
  Socket listener = aio::run(listening());
  const auto [heard, answer] =
      aio::run(aio::gather(server(listener), client(listener.getsockname())));
  CHECK(heard == "hello");
  CHECK(answer == "bye");
}

TEST_CASE("serve ends with EBADF when the listener is closed, and handlers go on") {
  Log log;
  Socket listener = green::listen(Address("127.0.0.1", 0));
  const Address address = listener.getsockname();
  auto server = green::spawn([&] {
    return errno_of([&] {
      green::serve(listener, [&](Socket connection, Address) {
        log(connection.recv(10));
        connection.sendall("late");
      });
    });
  });
  Socket client = green::connect(address);
  green::sleep(0.005);
  listener.close();
  CHECK(server.wait() == EBADF);
  client.sendall("question");
  CHECK(client.recv(10) == "late");
  CHECK(log.text() == "question");
}

TEST_CASE("a killed serve leaves the listener usable and its handlers running") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  auto echo = [](Socket connection, Address) { connection.sendall(connection.recv(10)); };
  auto server = green::spawn([&] { green::serve(listener, echo); });
  Socket before = green::connect(listener.getsockname());
  green::sleep(0.005);
  server.kill();
  CHECK_THROWS_AS(server.wait(), green::GreenletExit);
  before.sendall("a");
  CHECK(before.recv(10) == "a");
  Socket after = green::connect(listener.getsockname());
  auto again = green::spawn([&] { green::serve(listener, echo); });
  after.sendall("b");
  CHECK(after.recv(10) == "b");
  again.kill();
}

TEST_CASE("serve: a negative concurrency is invalid_argument, and a handler may be move-only") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  CHECK_THROWS_AS(green::serve(
                      listener, [](Socket, Address) {}, -1),
                  std::invalid_argument);
  auto handler = [box = std::make_unique<std::string>("boxed")](Socket connection, Address) {
    connection.sendall(*box);
    throw green::StopServe{};
  };
  auto server =
      green::spawn([&, h = std::move(handler)]() mutable { green::serve(listener, std::move(h)); });
  CHECK(green::connect(listener.getsockname()).recv(10) == "boxed");
  server.wait();
  CHECK(!listener.closed());
}

TEST_CASE("serve closes a connection when its handler ends, in whatever way") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  const test::Quiet quiet;
  auto server = green::spawn([&] {
    green::serve(listener, [](Socket connection, Address) {
      const std::string order = connection.recv(10);
      if (order == "exit") throw green::GreenletExit();
      if (order == "fail") throw std::runtime_error("handler");
    });
  });
  for (const char* order : {"end", "exit", "fail"}) {
    Socket client = green::connect(listener.getsockname());
    client.sendall(order);
    CHECK(client.recv(10) == "");
  }
  CHECK_THROWS_WITH_AS(server.wait(), "handler", std::runtime_error);
}

// UBSan itself opens a pipe to look at an address, and calls every object broken without one.
#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("serve waits while the process has no descriptor left, then goes on") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  auto server = green::spawn([&] {
    green::serve(listener, [](Socket connection, Address) { connection.sendall("hello"); });
  });
  Socket client(AF_INET);
  rlimit before;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(lowest_free_fd());
  client.settimeout(0.05);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  const int connected = client.connect_ex(listener.getsockname());
  const int answered = errno_of([&] { client.recv(10); });
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(connected == 0);
  CHECK(answered == ETIMEDOUT);
  CHECK(!server.dead());
  client.settimeout(test::watchdog);
  CHECK(client.recv(10) == "hello");
  server.kill();
}
#endif

TEST_CASE("a thousand connections leave no descriptor behind") {
  const int before = lowest_free_fd();
  {
    Socket listener = green::listen(Address("127.0.0.1", 0));
    auto server = green::spawn([&] {
      green::serve(listener, [](Socket connection, Address) { connection.sendall("x"); });
    });
    for (int i = 0; i < 1000; ++i) REQUIRE(green::connect(listener.getsockname()).recv(1) == "x");
    server.kill();
  }
  green::sleep(0.001);
  CHECK(lowest_free_fd() == before);
}

TEST_CASE("a second reader or writer is refused even when the socket is ready") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  green::Socket ours = green::Socket::from_fd(ends[0]);
  green::Socket theirs = green::Socket::from_fd(ends[1]);
  auto reader = green::spawn([&] { return ours.recv(10); });
  auto writer = green::spawn([&] { ours.sendall(std::string(4 << 20, 'x')); });
  green::sleep(0);
  green::sleep(0);
  theirs.send("y");
  CHECK_THROWS_AS(ours.recv(10), std::logic_error);  // the reader has not run yet
  CHECK(reader.wait() == "y");
  std::size_t got = theirs.recv(1000).size();  // room again
  CHECK_THROWS_AS(ours.send("z"), std::logic_error);
  while (got < (4U << 20)) got += theirs.recv(1 << 20).size();
  writer.wait();
  CHECK(got == 4U << 20);
}
