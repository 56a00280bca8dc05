#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/stream.hpp>
#include <green/convenience.hpp>
#include <green/event.hpp>
#include <green/socket.hpp>

#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using green::Address;
using green::Socket;

namespace {

Address anywhere() { return Address("127.0.0.1", 0); }

std::pair<Socket, Socket> connected() {
  Socket listener = green::listen(anywhere());
  Socket client = green::connect(listener.getsockname());
  auto [server, peer] = listener.accept();
  return {std::move(client), std::move(server)};
}

// The errno of the system_error it throws; 0 if it throws none.
template <class F>
int errno_of(F call) {
  try {
    call();
  } catch (const std::system_error& error) {
    CHECK(error.code().category() == std::generic_category());
    return error.code().value();
  }
  return 0;
}

std::string receive_all(Socket& socket) {
  std::string all;
  for (;;) {
    const std::string data = socket.recv(65536);
    if (data.empty()) return all;
    all += data;
  }
}

}  // namespace

TEST_CASE("what one side sends the other receives, until the end of the stream") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  CHECK(a.send("hello") == 5);
  CHECK(b.recv(3) == "hel");
  CHECK(b.recv(100) == "lo");
  CHECK(b.recv(0) == "");
  a.shutdown(SHUT_WR);
  CHECK(b.recv(100) == "");
  CHECK(b.recv(100) == "");
  b.sendall("still open");
  char buffer[4];
  CHECK(a.recv_into(buffer) == 4);
  CHECK(std::string(buffer, 4) == "stil");
}

TEST_CASE("addresses of both ends, and options") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  CHECK(a.getpeername() == b.getsockname());
  CHECK(a.getsockname() == b.getpeername());
  CHECK(a.getsockname().host() == "127.0.0.1");
  a.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1);
  CHECK(a.getsockopt(SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK((fcntl(a.fileno(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(a.fileno(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("10 MB go through, both directions at once") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  std::string big(10 * 1024 * 1024, 'x');
  for (std::size_t i = 0; i < big.size(); i += 997) big[i] = static_cast<char>('a' + i % 26);
  auto send = [&](Socket& socket) {
    socket.sendall(big);
    socket.shutdown(SHUT_WR);
  };
  auto from_a = green::spawn(send, std::ref(a));
  auto from_b = green::spawn(send, std::ref(b));
  auto at_b = green::spawn([&] { return receive_all(b); });
  CHECK(receive_all(a) == big);
  CHECK(at_b.wait() == big);
  from_a.wait();
  from_b.wait();
}

TEST_CASE("a timeout is ETIMEDOUT, zero is EAGAIN, and the socket stays usable") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  a.settimeout(0.005);
  CHECK(errno_of([&] { a.recv(1); }) == ETIMEDOUT);
  a.settimeout(0);
  CHECK(errno_of([&] { a.recv(1); }) == EAGAIN);
  b.sendall("x");
  a.settimeout(5);
  CHECK(a.recv(1) == "x");
  CHECK(a.gettimeout()->seconds() == 5);
  a.settimeout(std::nullopt);
  CHECK_FALSE(a.gettimeout());
  Socket listener = green::listen(anywhere());
  listener.settimeout(0.005);
  CHECK(errno_of([&] { listener.accept(); }) == ETIMEDOUT);
}

TEST_CASE("close wakes who is blocked in it with EBADF, at once") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto reader = green::spawn([&] { return errno_of([&] { a.recv(1); }); });
  auto writer = green::spawn([&] {
    return errno_of([&] { a.sendall(std::string(100 * 1024 * 1024, 'x')); });
  });
  green::sleep(0.001);
  const int number = a.fileno();
  a.close();
  CHECK(a.fileno() == -1);
  CHECK(a.closed());
  CHECK(fcntl(number, F_GETFD) == -1);
  CHECK(reader.wait() == EBADF);
  CHECK(writer.wait() == EBADF);
  a.close();
  CHECK(errno_of([&] { a.recv(1); }) == EBADF);
  CHECK(errno_of([&] { a.getsockname(); }) == EBADF);
}

TEST_CASE("a moved-from and a detached socket give EBADF") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  Socket moved = std::move(a);
  CHECK(a.fileno() == -1);
  CHECK(errno_of([&] { a.send("x"); }) == EBADF);
  const int fd = moved.detach();
  CHECK(fd >= 0);
  CHECK(moved.closed());
  CHECK(errno_of([&] { moved.recv(1); }) == EBADF);
  Socket again = Socket::from_fd(fd);
  again.sendall("x");
  CHECK(b.recv(1) == "x");
  Socket copy = again.dup();
  again.close();
  copy.sendall("y");
  CHECK(b.recv(1) == "y");
}

TEST_CASE("a second simultaneous reader is a logic error, and the first goes on") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto first = green::spawn([&] { return a.recv(1); });
  green::sleep(0.001);
  CHECK_THROWS_AS(a.recv(1), std::logic_error);
  b.sendall("x");
  CHECK(first.wait() == "x");
}

TEST_CASE("a reset is ECONNRESET, a broken pipe EPIPE, and no signal kills") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  linger now{1, 0};
  ::setsockopt(b.fileno(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  b.close();
  green::sleep(0.005);
  CHECK(errno_of([&] { a.recv(1); }) == ECONNRESET);
  CHECK(errno_of([&] { a.send("x"); }) == EPIPE);
}

TEST_CASE("a refused connection and an unknown name are errors that say so") {
  Socket listener = green::listen(anywhere());
  const Address gone = listener.getsockname();
  listener.close();
  CHECK(errno_of([&] { green::connect(gone); }) == ECONNREFUSED);
  Socket socket;
  CHECK(socket.connect_ex(gone) == ECONNREFUSED);
  CHECK_THROWS_AS(green::connect(Address("nosuch.invalid", 80)), uvlet::gaierror);
  CHECK_THROWS_AS(Socket().connect(Address("nosuch.invalid", 80)), uvlet::gaierror);
}

TEST_CASE("names are looked up") {
  Socket listener = green::listen(Address("localhost", 0));
  Socket client = green::connect(Address("localhost", listener.getsockname().port()));
  CHECK(listener.accept().second == client.getsockname());
}

TEST_CASE("unix sockets, named and abstract") {
  const std::string path = "/tmp/uvlet-test-" + std::to_string(getpid());
  for (const Address& where :
       {Address::unix_path(path), Address::unix_path(std::string(1, '\0') + path)}) {
    Socket listener = green::listen(where);
    CHECK(listener.getsockname() == where);
    Socket client = green::connect(where);
    Socket server = listener.accept().first;
    client.sendall("x");
    CHECK(server.recv(10) == "x");
  }
  unlink(path.c_str());
  CHECK_THROWS_AS(Address::unix_path(std::string(200, 'x')), std::invalid_argument);
}

TEST_CASE("serve handles connections concurrently, and an echo comes back") {
  Socket listener = green::listen(anywhere());
  auto server = green::spawn([&] {
    green::serve(listener, [](Socket socket, const Address&) {
      for (;;) {
        const std::string data = socket.recv(1000);
        if (data.empty()) return;
        socket.sendall(data);
      }
    });
  });
  std::vector<green::GreenThread<bool>> clients;
  for (int i = 0; i < 50; ++i)
    clients.push_back(green::spawn([&, i] {
      Socket socket = green::connect(listener.getsockname());
      bool right = true;
      for (int j = 0; j < 20; ++j) {
        const std::string text = std::to_string(i * 1000 + j);
        socket.sendall(text);
        right = right && socket.recv(1000) == text;
      }
      return right;
    }));
  for (auto& client : clients) CHECK(client.wait());
  server.kill();
  CHECK_THROWS_AS(server.wait(), green::GreenletExit);
  CHECK_FALSE(listener.closed());
}

TEST_CASE("StopServe ends serve, another exception is thrown by it, GreenletExit is neither") {
  Socket listener = green::listen(anywhere());
  int handled = 0;
  auto handler = [&](Socket socket, const Address&) {
    ++handled;
    const std::string what = socket.recv(10);
    if (what == "stop") throw green::StopServe();
    if (what == "fail") throw std::runtime_error("handler");
    if (what == "exit") throw green::GreenletExit();
  };
  auto say = [&](const char* what) { green::connect(listener.getsockname()).sendall(what); };
  auto stops = green::spawn([&] { green::serve(listener, handler); });
  say("exit");
  say("stop");
  stops.wait();
  CHECK(handled == 2);
  const test::Quiet quiet;
  auto fails = green::spawn([&] { green::serve(listener, handler); });
  say("fail");
  CHECK_THROWS_WITH_AS(fails.wait(), "handler", std::runtime_error);
}

TEST_CASE("at the limit serve stops accepting") {
  Socket listener = green::listen(anywhere());
  green::Event<> go;
  int handling = 0;
  auto server = green::spawn([&] {
    green::serve(
        listener,
        [&](Socket, const Address&) {
          ++handling;
          go.wait();
        },
        2);
  });
  std::vector<Socket> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(green::connect(listener.getsockname()));
  green::sleep(0.01);
  CHECK(handling == 2);
  go.send();
  green::sleep(0.01);
  CHECK(handling == 4);
  server.kill();
}

TEST_CASE("who is killed in recv or accept loses nothing") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto killed = green::spawn([&] { a.recv(10); });
  green::sleep(0.001);
  killed.kill();
  CHECK(killed.dead());
  b.sendall("kept");
  CHECK(a.recv(10) == "kept");
  CHECK_THROWS_AS(green::with_timeout(0.005, [&] { a.recv(10); }), green::TimeoutExpired);
  b.sendall("too");
  CHECK(a.recv(10) == "too");
  Socket listener = green::listen(anywhere());
  auto accepting = green::spawn([&] { listener.accept(); });
  green::sleep(0.001);
  accepting.kill();
  Socket client = green::connect(listener.getsockname());
  CHECK(listener.accept().second == client.getsockname());
}

TEST_CASE("data that came before the kill is still received: the kill waits") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  std::string got;
  auto reader = green::spawn([&] {
    got = a.recv(10);
    green::sleep(100);
  });
  green::sleep(0.001);
  b.sendall("data");
  // The reader's data arrive while this green thread keeps the processor; then it is killed.
  while (got.empty() && !reader.dead()) green::sleep(0);
  reader.kill();
  CHECK(got == "data");
  CHECK_THROWS_AS(reader.wait(), green::GreenletExit);
}

TEST_CASE("a number that is used again gets no event of the old socket") {
  for (int i = 0; i < 200; ++i) {
    auto both = connected();
    [[maybe_unused]] Socket &a = both.first, &b = both.second;
    auto reader = green::spawn([&] { return errno_of([&] { a.recv(10); }); });
    green::sleep(0);
    b.sendall("old");
    a.close();
    b.close();
    auto [c, d] = connected();
    d.sendall("new");
    CHECK(c.recv(10) == "new");
    reader.wait();
  }
}

TEST_CASE("coroutines use the same sockets") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto echo = [](Socket& socket) -> aio::task<void> {
    const std::string data = co_await socket.recv_async(100);
    co_await socket.sendall_async("echo " + data);
  };
  auto server = aio::create_task(echo(b));
  a.sendall("hi");
  CHECK(a.recv(100) == "echo hi");
  aio::run(server);
  Socket listener = green::listen(anywhere());
  auto accept = [](Socket& from) -> aio::task<std::string> {
    auto [socket, address] = co_await from.accept_async();
    co_return co_await socket.recv_async(10);
  };
  auto accepted = aio::create_task(accept(listener));
  Socket client = green::connect(listener.getsockname());
  client.sendall("x");
  CHECK(aio::run(accepted) == "x");
}

TEST_CASE("a stream reads lines, exact counts and up to separators") {
  Socket listener = green::listen(anywhere());
  auto server = green::spawn([&] {
    Socket socket = listener.accept().first;
    socket.sendall("first\nsecond line\n12345key=value;rest");
  });
  auto body = [](Address where) -> aio::task<void> {
    aio::Stream stream = co_await aio::open_connection(where);
    CHECK(co_await stream.readline() == "first\n");
    CHECK(co_await stream.readline() == "second line\n");
    CHECK(co_await stream.readexactly(5) == "12345");
    CHECK(co_await stream.readuntil(";") == "key=value;");
    CHECK(co_await stream.read(2) == "re");
    CHECK_FALSE(stream.at_eof());
    try {
      co_await stream.readexactly(10);
      CHECK(false);
    } catch (const aio::IncompleteReadError& error) {
      CHECK(error.partial == "st");
      CHECK(error.expected == 10);
    }
    CHECK(stream.at_eof());
    CHECK(co_await stream.readline() == "");
    stream.close();
    co_await stream.wait_closed();
    CHECK(stream.fileno() == -1);
    CHECK_THROWS_AS(stream.write("x"), std::logic_error);
  };
  green::awaitlet(body(listener.getsockname()));
  server.wait();
}

TEST_CASE("a stream sends what is written in the background, and drain waits") {
  Socket listener = green::listen(anywhere());
  auto server = green::spawn([&] {
    Socket socket = listener.accept().first;
    return receive_all(socket).size();
  });
  auto body = [](Address where) -> aio::task<void> {
    aio::Stream stream = co_await aio::open_connection(where);
    for (int i = 0; i < 20; ++i) {
      stream.write(std::string(1024 * 1024, 'x'));
      co_await stream.drain();
    }
    stream.write("end");
    stream.write_eof();
    stream.close();
  };
  green::awaitlet(body(listener.getsockname()));
  CHECK(server.wait() == 20 * 1024 * 1024 + 3);
}
