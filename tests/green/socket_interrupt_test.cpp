#include "sockets.hpp"

#include <green/awaitlet.hpp>
#include <green/convenience.hpp>
#include <green/socket.hpp>
#include <green/timeout.hpp>

#include <cerrno>
#include <chrono>
#include <exception>
#include <fcntl.h>
#include <limits>
#include <memory>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>

using green::Address;
using green::Socket;
using test::anywhere;
using test::connected;
using test::errno_of;
using test::FullListener;
using test::receive_all;

namespace {

// More than the buffers of a connection hold.
const std::string& much() {
  static const std::string data(64 * 1024 * 1024, 'x');
  return data;
}

}  // namespace

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
  auto writer = green::spawn(
      [&] { return errno_of([&] { a.sendall(std::string(100 * 1024 * 1024, 'x')); }); });
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

TEST_CASE("the error of a second reader names both green threads") {
  test::TcpPair tcp;
  test::UnixPair local;
  for (Socket* socket : {&tcp.a, &local.a}) {
    auto first = green::spawn([&] { return errno_of([&] { socket->recv(1); }); });
    first.set_name("the-first");
    green::sleep(0);
    auto second = green::spawn([&] {
      try {
        socket->recv(1);
      } catch (const std::logic_error& error) {
        return std::string(error.what());
      }
      return std::string();
    });
    second.set_name("the-second");
    const std::string text = second.wait();
    CAPTURE(text);
    CHECK(text.find("the-first") != std::string::npos);
    CHECK(text.find("the-second") != std::string::npos);
    socket->close();
    CHECK(first.wait() == EBADF);
  }
}

TEST_CASE("a socket that has waited on one thread is refused by waits on another") {
  test::TcpPair tcp;
  test::UnixPair local;
  for (const auto& ends : {std::pair(&tcp.a, &tcp.b), std::pair(&local.a, &local.b)}) {
    green::Socket* const socket = ends.first;
    socket->settimeout(0.001);
    CHECK(errno_of([&] { socket->recv(1); }) == ETIMEDOUT);
    std::string text;
    std::thread([&] {
      try {
        socket->recv(1);
      } catch (const std::logic_error& error) {
        text = error.what();
      }
    }).join();
    CHECK(text.find("belongs to the hub") != std::string::npos);
    socket->settimeout(test::watchdog);
    ends.second->sendall("x");
    CHECK(socket->recv(1) == "x");
  }
}

TEST_CASE("a socket whose hub has ended can wait on another") {
  test::TcpPair tcp;
  test::UnixPair local;
  for (auto [socket, peer] : {std::pair(&tcp.a, &tcp.b), std::pair(&local.a, &local.b)}) {
    socket->settimeout(0.001);
    int error = 0;
    std::thread([&, of = socket] { error = errno_of([&] { of->recv(1); }); }).join();
    CHECK(error == ETIMEDOUT);
    socket->settimeout(test::watchdog);
    auto sender = green::spawn([to = peer] {
      green::sleep(0.001);
      to->sendall("x");
    });
    CHECK(socket->recv(1) == "x");
    sender.wait();
  }
}

TEST_CASE("a second simultaneous writer, and a second accept, are logic errors") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto writer = green::spawn([&] { a.sendall(much()); });
  green::sleep(0.001);
  CHECK_THROWS_AS(a.sendall(much()), std::logic_error);
  writer.kill();
  CHECK(writer.dead());
  Socket listener = green::listen(anywhere());
  auto accepts = [](Socket& from) -> aio::task<bool> {
    co_await from.accept_async();
    co_return true;
  };
  auto first = aio::create_task(accepts(listener));
  green::sleep(0.001);
  CHECK_THROWS_AS(listener.accept(), std::logic_error);
  Socket client = green::connect(listener.getsockname());
  CHECK(aio::run(first));
}

TEST_CASE("sendall obeys the timeout, and the socket goes on") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  a.settimeout(0.005);
  CHECK(errno_of([&] { a.sendall(much()); }) == ETIMEDOUT);
  a.settimeout(0);
  CHECK(errno_of([&] { a.sendall(much()); }) == EAGAIN);
  auto reader = green::spawn([&] { return receive_all(b).size(); });
  a.settimeout(std::nullopt);
  a.sendall("rest");
  a.close();
  CHECK(reader.wait() > 4);
}

TEST_CASE("a timeout counts for each call anew, and means that time was over") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  a.settimeout(0.2);
  auto slow = green::spawn([&] {
    for (int i = 0; i < 5; ++i) {
      green::sleep(0.06);
      b.sendall("x");
    }
  });
  for (int i = 0; i < 5; ++i) CHECK(a.recv(1) == "x");  // longer than the limit altogether
  slow.wait();
  a.settimeout(0.001);
  bool over = false;
  try {
    a.recv(1);
  } catch (...) {
    over = green::is_timeout(std::current_exception());
  }
  CHECK(over);
}

TEST_CASE("a timeout is not early") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  a.settimeout(std::chrono::milliseconds(10));
  const auto start = std::chrono::steady_clock::now();
  CHECK(errno_of([&] { a.recv(1); }) == ETIMEDOUT);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(10));
}

TEST_CASE("a negative timeout is zero, an infinite one none, and NaN is refused") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  a.settimeout(-1);
  CHECK(errno_of([&] { a.recv(1); }) == EAGAIN);
  a.settimeout(std::numeric_limits<double>::infinity());
  auto reader = green::spawn([&] { return a.recv(1); });
  green::sleep(0.001);
  b.sendall("x");
  CHECK(reader.wait() == "x");
  CHECK_THROWS_AS(a.settimeout(std::numeric_limits<double>::quiet_NaN()), std::invalid_argument);
}

TEST_CASE("connect waits: a timeout, a Timeout, a kill and a close end that") {
  FullListener full;
  const Address where = full.listener.getsockname();
  Socket slow;
  slow.settimeout(0.01);
  CHECK(errno_of([&] { slow.connect(where); }) == ETIMEDOUT);
  CHECK_THROWS_AS(green::with_timeout(0.01, [&] { green::connect(where); }), green::TimeoutExpired);
  auto victim = green::spawn([&] { green::connect(where); });
  green::sleep(0.001);
  victim.kill();
  CHECK(victim.dead());
  Socket closing;
  auto connecting = green::spawn([&] { return errno_of([&] { closing.connect(where); }); });
  green::sleep(0.001);
  closing.close();
  CHECK(connecting.wait() == EBADF);
}

TEST_CASE("close wakes who accepts, in a green thread or a coroutine, with EBADF") {
  Socket first = green::listen(anywhere());
  auto thread = green::spawn([&] { return errno_of([&] { first.accept(); }); });
  Socket second = green::listen(anywhere());
  auto body = [](Socket& from) -> aio::task<int> {
    int error = 0;
    try {
      co_await from.accept_async();
    } catch (const std::system_error& failure) {
      error = failure.code().value();
    }
    co_return error;
  };
  auto task = aio::create_task(body(second));
  green::sleep(0.001);
  first.close();
  second.close();
  CHECK(thread.wait() == EBADF);
  CHECK(aio::run(task) == EBADF);
}

TEST_CASE("destroying a socket wakes who is blocked in it, and detach does too") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto held = std::make_unique<Socket>(std::move(a));
  Socket* place = held.get();
  auto reader = green::spawn([place] { return errno_of([&] { place->recv(1); }); });
  green::sleep(0.001);
  held.reset();
  CHECK(reader.wait() == EBADF);
  CHECK(b.recv(1) == "");
  auto other = connected();
  auto blocked = green::spawn([&] { return errno_of([&] { other.first.recv(1); }); });
  green::sleep(0.001);
  const int fd = other.first.detach();
  CHECK(blocked.wait() == EBADF);
  other.second.sendall("kept");
  CHECK(Socket::from_fd(fd).recv(10) == "kept");
}

TEST_CASE("calls on a closed socket are EBADF, all of them") {
  Socket socket;
  socket.close();
  const Address where("127.0.0.1", 9);
  char buffer[1];
  CHECK(errno_of([&] { socket.bind(where); }) == EBADF);
  CHECK(errno_of([&] { socket.listen(); }) == EBADF);
  CHECK(errno_of([&] { socket.accept(); }) == EBADF);
  CHECK(errno_of([&] { socket.connect(where); }) == EBADF);
  CHECK(socket.connect_ex(where) == EBADF);
  CHECK(errno_of([&] { socket.recv(1); }) == EBADF);
  CHECK(errno_of([&] { socket.recv(0); }) == EBADF);
  CHECK(errno_of([&] { socket.recv_into(buffer); }) == EBADF);
  CHECK(errno_of([&] { socket.send("x"); }) == EBADF);
  CHECK(errno_of([&] { socket.sendall("x"); }) == EBADF);
  CHECK(errno_of([&] { socket.shutdown(SHUT_RD); }) == EBADF);
  CHECK(errno_of([&] { socket.getsockname(); }) == EBADF);
  CHECK(errno_of([&] { socket.getpeername(); }) == EBADF);
  CHECK(errno_of([&] { socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1); }) == EBADF);
  CHECK(errno_of([&] { socket.getsockopt(SOL_SOCKET, SO_KEEPALIVE); }) == EBADF);
  CHECK(errno_of([&] { socket.dup(); }) == EBADF);
  CHECK(socket.detach() == -1);
  Socket moved = std::move(socket);
  CHECK(socket.closed());
  CHECK(errno_of([&] { socket.connect(where); }) == EBADF);
  CHECK(errno_of([&] { socket.recv(1); }) == EBADF);
}

TEST_CASE("who is killed again and again between reads loses no byte") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  std::string got;
  auto sender = green::spawn([&] {
    for (int i = 0; i < 300; ++i) {
      a.sendall(std::to_string(i) + ",");
      green::sleep(i % 3 ? 0 : 0.0001);
    }
    a.close();
  });
  bool ended = false;
  while (!ended) {
    auto reader = green::spawn([&] {
      for (;;) {
        const std::string data = b.recv(64);
        if (data.empty()) {
          ended = true;
          return;
        }
        got += data;
      }
    });
    green::sleep(0.0002);
    reader.kill();
    try {
      reader.wait();
    } catch (const green::GreenletExit&) {
    }
  }
  sender.wait();
  std::string expected;
  for (int i = 0; i < 300; ++i) expected += std::to_string(i) + ",";
  CHECK(got == expected);
}

TEST_CASE("who is cancelled again and again in accept loses no connection") {
  Socket listener = green::listen(anywhere());
  int accepted = 0;
  auto connects = green::spawn([&] {
    for (int i = 0; i < 40; ++i) {
      Socket client = green::connect(listener.getsockname());
      CHECK(client.recv(1) == "y");
    }
  });
  auto body = [](Socket& from, int& count) -> aio::task<> {
    for (;;) {
      auto [socket, peer] = co_await from.accept_async();
      ++count;
      socket.sendall("y");
    }
  };
  while (accepted < 40) {
    auto task = aio::create_task(body(listener, accepted));
    green::sleep(0.0003);
    task.cancel();
    CHECK_THROWS_AS(green::awaitlet(task), aio::CancelledError);
  }
  connects.wait();
  CHECK(accepted == 40);
}

TEST_CASE("a coroutine of a socket wait that is destroyed unstarted does nothing") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  {
    auto unused = a.recv_async(10);
    auto sends = a.sendall_async("never");
  }
  b.settimeout(0.002);
  CHECK(errno_of([&] { b.recv(1); }) == ETIMEDOUT);
}

TEST_CASE("a Timeout in recv, and the socket's own limit: the earlier one") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  a.settimeout(100);
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { a.recv(1); }), green::TimeoutExpired);
  a.settimeout(0.002);
  CHECK(green::with_timeout(100, [&] { return errno_of([&] { a.recv(1); }); }) == ETIMEDOUT);
  b.sendall("x");
  CHECK(a.recv(1) == "x");
}
