#include "sockets.hpp"

#include <aio/stream.hpp>
#include <green/awaitlet.hpp>
#include <green/convenience.hpp>
#include <green/event.hpp>
#include <green/socket.hpp>
#include <uvlet/hub.hpp>

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <type_traits>
#include <unistd.h>
#include <uv.h>

using green::Address;
using green::Socket;
using test::anywhere;
using test::connected;
using test::errno_of;
using test::receive_all;

namespace {

// More than the buffers of a connection hold.
const std::string& much() {
  static const std::string data(64 * 1024 * 1024, 'x');
  return data;
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

TEST_CASE("every blocking call has a twin that a coroutine awaits") {
  auto body = []() -> aio::task<> {
    Socket listener = co_await green::listen_async(Address("127.0.0.1", 0));
    const Address where = listener.getsockname();
    Socket client;
    co_await client.bind_async(Address("127.0.0.1", 0));
    co_await client.connect_async(where);
    auto [server, peer] = co_await listener.accept_async();
    CHECK(peer == client.getsockname());
    CHECK(co_await client.send_async("hello") == 5);
    CHECK(co_await server.recv_async(2) == "he");
    char buffer[8];
    CHECK(co_await server.recv_into_async(buffer) == 3);
    CHECK(std::string(buffer, 3) == "llo");
    co_await server.sendall_async("back");
    CHECK(co_await client.recv_async(100) == "back");
    Socket second = co_await green::connect_async(where);
    Socket third;
    CHECK(co_await third.connect_ex_async(where) == 0);
  };
  aio::run(body());
  green::awaitlet(body());
}

TEST_CASE("a green thread and a coroutine talk to each other") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto doubles = [](Socket& socket) -> aio::task<int> {
    int rounds = 0;
    for (;;) {
      const std::string data = co_await socket.recv_async(100);
      if (data.empty()) break;
      co_await socket.sendall_async(data + data);
      ++rounds;
    }
    co_return rounds;
  };
  auto task = aio::create_task(doubles(b));
  std::string data = "x";
  for (int i = 0; i < 5; ++i) {
    a.sendall(data);
    data = a.recv(100);
  }
  CHECK(data == std::string(32, 'x'));
  a.shutdown(SHUT_WR);
  CHECK(aio::run(task) == 5);
}

TEST_CASE("green calls on a socket inside a coroutine suspend just that coroutine") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto reads = [](Socket& socket) -> aio::task<std::string> { co_return socket.recv(10); };
  auto task = aio::create_task(reads(a));
  green::sleep(0.001);
  b.sendall("late");
  CHECK(aio::run(task) == "late");
}

TEST_CASE("one may read while another writes") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto writer = green::spawn([&] { a.sendall(much()); });
  auto reader = green::spawn([&] { return a.recv(10); });
  green::sleep(0.001);
  b.sendall("while");
  CHECK(reader.wait() == "while");
  CHECK_FALSE(writer.dead());
  b.close();
  const test::Quiet quiet;
  CHECK_THROWS_AS(writer.wait(), std::system_error);
}

TEST_CASE("data that are there are read while somebody waits elsewhere for the same socket's dup") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  Socket copy = a.dup();
  CHECK(copy.fileno() != a.fileno());
  CHECK((fcntl(copy.fileno(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(copy.getpeername() == a.getpeername());
  a.close();
  b.sendall("x");
  CHECK(copy.recv(1) == "x");
}

TEST_CASE("the operating system's refusals are system_error with their errno") {
  Socket socket;
  CHECK(errno_of([&] { socket.recv(1); }) == ENOTCONN);
  CHECK(errno_of([&] { socket.getpeername(); }) == ENOTCONN);
  CHECK(errno_of([&] { socket.shutdown(SHUT_WR); }) == ENOTCONN);
  CHECK(errno_of([&] { socket.setsockopt(12345, 1, 1); }) != 0);
  CHECK(errno_of([&] { Socket::from_fd(-1); }) == EBADF);
  CHECK(errno_of([] { Socket(12345); }) == EAFNOSUPPORT);
  CHECK(errno_of([] { green::connect(Address::unix_path("/nonexistent/socket")); }) == ENOENT);
  CHECK(errno_of([&] { socket.accept(); }) == EINVAL);
}

TEST_CASE("a port in use is EADDRINUSE, unless it is shared") {
  Socket first = green::listen(anywhere());
  const Address taken = first.getsockname();
  CHECK(errno_of([&] { green::listen(taken, 128, true, false); }) == EADDRINUSE);
  Socket shared = green::listen(anywhere(), 128, true, true);
  Socket other = green::listen(shared.getsockname());
  CHECK(other.getsockname() == shared.getsockname());
  CHECK(first.getsockopt(SOL_SOCKET, SO_REUSEADDR) == 1);
  CHECK(first.getsockopt(SOL_SOCKET, SO_REUSEPORT) == 0);
  CHECK(other.getsockopt(SOL_SOCKET, SO_REUSEPORT) == 1);
}

TEST_CASE("connect may say where from") {
  Socket listener = green::listen(anywhere());
  Socket client = green::connect(listener.getsockname(), Address("127.0.0.2", 0));
  CHECK(client.getsockname().host() == "127.0.0.2");
  CHECK(listener.accept().second.host() == "127.0.0.2");
}

TEST_CASE("move assignment closes what was there") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  a = Socket();
  CHECK(b.recv(1) == "");
  CHECK(a.fileno() >= 0);
  a = std::move(b);
  CHECK(b.closed());
  CHECK_FALSE(a.closed());
  static_assert(!std::is_copy_constructible_v<Socket>);
  static_assert(std::is_nothrow_move_constructible_v<Socket>);
}

TEST_CASE("what an accepted, a made and an adopted socket have: non-blocking, closed on exec") {
  auto both = connected();
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  Socket adopted = Socket::from_fd(ends[0]), peer = Socket::from_fd(ends[1]);
  Socket made(AF_INET, SOCK_DGRAM);
  for (const Socket* socket : {&both.first, &both.second, &adopted, &made}) {
    CHECK((fcntl(socket->fileno(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((fcntl(socket->fileno(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  adopted.sendall("pair");
  CHECK(peer.recv(10) == "pair");
}

TEST_CASE("datagrams keep their bounds, an empty one included") {
  Socket a(AF_INET, SOCK_DGRAM), b(AF_INET, SOCK_DGRAM);
  a.bind(anywhere());
  b.bind(anywhere());
  a.connect(b.getsockname());
  b.connect(a.getsockname());
  a.send("one");
  a.send("");
  a.send("three");
  CHECK(b.recv(100) == "one");
  CHECK(b.recv(100) == "");
  CHECK(b.recv(2) == "th");
  auto reader = green::spawn([&] { return b.recv(100); });
  green::sleep(0.001);
  a.send("five");
  CHECK(reader.wait() == "five");
}

TEST_CASE("what a signal or a short read leaves is not lost: bytes one by one") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  auto sender = green::spawn([&] {
    for (int i = 0; i < 2000; ++i) {
      const char byte = static_cast<char>('a' + i % 26);
      a.sendall(std::string_view(&byte, 1));
      if (i % 7 == 0) green::sleep(0);
    }
    a.shutdown(SHUT_WR);
  });
  std::string all;
  for (;;) {
    const std::string data = b.recv(3);
    if (data.empty()) break;
    all += data;
  }
  sender.wait();
  REQUIRE(all.size() == 2000);
  bool right = true;
  for (std::size_t i = 0; i < all.size(); ++i) right = right && all[i] == 'a' + char(i % 26);
  CHECK(right);
}

TEST_CASE("the end of the stream is seen after the data, though they came together") {
  for (int i = 0; i < 50; ++i) {
    auto both = connected();
    [[maybe_unused]] Socket &a = both.first, &b = both.second;
    auto reader = green::spawn([&] { return receive_all(b); });
    if (i % 2) green::sleep(0);
    a.sendall("last");
    a.close();
    CHECK(reader.wait() == "last");
  }
}

TEST_CASE("sockets on the hubs of several OS threads talk to each other") {
  Socket listener = green::listen(anywhere());
  const Address where = listener.getsockname();
  auto server = green::spawn([&] {
    green::serve(listener,
                 [](Socket socket, const Address&) { socket.sendall(receive_all(socket)); });
  });
  std::atomic<int> right{0};
  std::thread others([&] {
    uvlet::run_on_threads(2, [&](int index) {
      Socket client = green::connect(where);
      client.sendall("from " + std::to_string(index));
      client.shutdown(SHUT_WR);
      if (receive_all(client) == "from " + std::to_string(index)) ++right;
    });
  });
  for (int i = 0; i < 20'000 && right < 2; ++i) green::sleep(0.001);
  others.join();
  CHECK(right == 2);
  server.kill();
}

TEST_CASE("in a libuv callback a socket does what needs no wait") {
  auto both = connected();
  [[maybe_unused]] Socket &a = both.first, &b = both.second;
  struct Seen {
    Socket &a, &b;
    std::string ready;
    bool refused = false;
    green::Event<> done, closed;
  } seen{a, b, {}, false, {}, {}};
  uv_async_t async;
  auto callback = [](uv_async_t* handle) {
    auto* self = static_cast<Seen*>(handle->data);
    self->a.sendall("now");
    self->ready = self->b.recv(10);
    try {
      self->b.recv(10);
    } catch (const green::NoAwaitletContext&) {
      self->refused = true;
    }
    self->done.send();
  };
  REQUIRE(uv_async_init(uvlet::Hub::current().loop(), &async, callback) == 0);
  async.data = &seen;
  uv_async_send(&async);
  seen.done.wait();
  uv_close(reinterpret_cast<uv_handle_t*>(&async),
           [](uv_handle_t* handle) { static_cast<Seen*>(handle->data)->closed.send(); });
  seen.closed.wait();
  CHECK(seen.ready == "now");
  CHECK(seen.refused);
  a.sendall("after");
  CHECK(b.recv(10) == "after");
}
