#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/stream.hpp>
#include <green/awaitlet.hpp>
#include <green/convenience.hpp>
#include <green/event.hpp>
#include <green/socket.hpp>
#include <green/timeout.hpp>
#include <uvlet/hub.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <fcntl.h>
#include <limits>
#include <memory>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <type_traits>
#include <unistd.h>
#include <uv.h>

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

// A listener with room for no more, and who fills it: the next one to connect has to wait.
struct FullListener {
  FullListener() : listener(green::listen(Address("127.0.0.1", 0), 0)) {
    for (int i = 0; i < 8; ++i) {
      Socket client;
      client.settimeout(0);
      client.connect_ex(listener.getsockname());
      clients.push_back(std::move(client));
    }
  }
  Socket listener;
  std::vector<Socket> clients;
};

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
  CHECK_THROWS_AS(green::with_timeout(0.01, [&] { green::connect(where); }),
                  green::TimeoutExpired);
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

TEST_CASE("in serve each handler is a green thread of its own, and gets the peer's address") {
  Socket listener = green::listen(anywhere());
  std::vector<Address> peers;
  std::vector<green::Greenlet> handlers;
  auto server = green::spawn([&] {
    green::serve(listener, [&](Socket socket, Address peer) {
      peers.push_back(peer);
      handlers.push_back(green::getcurrent());
      socket.sendall("done");
    });
  });
  Socket a = green::connect(listener.getsockname()), b = green::connect(listener.getsockname());
  CHECK(receive_all(a) == "done");
  CHECK(receive_all(b) == "done");
  REQUIRE(peers.size() == 2);
  CHECK(peers[0] == a.getsockname());
  CHECK(peers[1] == b.getsockname());
  CHECK_FALSE(handlers[0] == handlers[1]);
  CHECK_FALSE(handlers[0] == server);
  server.kill();
}

TEST_CASE("closing the listener ends serve with EBADF, its handlers go on") {
  Socket listener = green::listen(anywhere());
  auto server = green::spawn([&] {
    return errno_of([&] {
      green::serve(listener, [](Socket socket, Address) { socket.sendall(socket.recv(10)); });
    });
  });
  Socket client = green::connect(listener.getsockname());
  green::sleep(0.002);
  listener.close();
  CHECK(server.wait() == EBADF);
  client.sendall("still");
  CHECK(client.recv(10) == "still");
}

TEST_CASE("handlers go on when serve is killed or stopped, and the listener can serve again") {
  Socket listener = green::listen(anywhere());
  auto handler = [](Socket socket, const Address&) {
    const std::string data = socket.recv(10);
    if (data == "stop") throw green::StopServe();
    socket.sendall(data);
  };
  auto server = green::spawn([&] { green::serve(listener, handler); });
  Socket first = green::connect(listener.getsockname());
  green::sleep(0.002);
  server.kill();
  CHECK(server.dead());
  first.sendall("one");
  CHECK(first.recv(10) == "one");
  auto again = green::spawn([&] { green::serve(listener, handler); });
  Socket second = green::connect(listener.getsockname());
  Socket stopper = green::connect(listener.getsockname());
  green::sleep(0.002);
  stopper.sendall("stop");
  again.wait();
  second.sendall("two");
  CHECK(second.recv(10) == "two");
}

TEST_CASE("a handler that is killed does not end serve") {
  Socket listener = green::listen(anywhere());
  green::Greenlet handler;
  auto server = green::spawn([&] {
    green::serve(listener, [&](Socket socket, const Address&) {
      handler = green::getcurrent();
      socket.sendall(socket.recv(10));
    });
  });
  Socket first = green::connect(listener.getsockname());
  green::sleep(0.002);
  handler.kill();
  CHECK(first.recv(1) == "");
  Socket second = green::connect(listener.getsockname());
  second.sendall("x");
  CHECK(second.recv(1) == "x");
  server.kill();
}

TEST_CASE("the exception of a handler in serve is the same object, and its connection is closed") {
  const test::Quiet quiet;
  Socket listener = green::listen(anywhere());
  const auto error = std::make_exception_ptr(std::runtime_error("the one"));
  auto server = green::spawn([&] {
    try {
      green::serve(listener, [&](Socket, const Address&) { std::rethrow_exception(error); });
    } catch (...) {
      return std::current_exception();
    }
    return std::exception_ptr();
  });
  Socket client = green::connect(listener.getsockname());
  CHECK(client.recv(1) == "");
  CHECK(server.wait() == error);
}

TEST_CASE("an error of a handler reaches serve while it waits for a place") {
  const test::Quiet quiet;
  Socket listener = green::listen(anywhere());
  auto server = green::spawn([&] {
    green::serve(
        listener,
        [](Socket socket, const Address&) {
          if (socket.recv(4) == "fail") throw std::runtime_error("handler");
        },
        1);
  });
  Socket client = green::connect(listener.getsockname());
  green::sleep(0.002);
  client.sendall("fail");
  CHECK_THROWS_WITH_AS(server.wait(), "handler", std::runtime_error);
}

TEST_CASE("serve waits while there are no descriptors left, and goes on when there are") {
  Socket listener = green::listen(anywhere());
  int handled = 0;
  auto server = green::spawn([&] {
    green::serve(listener, [&](Socket socket, const Address&) {
      ++handled;
      socket.sendall("served");
    });
  });
  Socket client = green::connect(listener.getsockname());
  CHECK(receive_all(client) == "served");
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  Socket waits;
  std::vector<int> taken;
  const rlimit tight{64, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  for (int fd = 0; (fd = dup(0)) >= 0;) taken.push_back(fd);
  const int error = errno;
  waits.connect(listener.getsockname());
  green::sleep(0.03);
  const int handled_without = handled;
  const bool alive = !server.dead();
  for (const int fd : taken) close(fd);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(error == EMFILE);
  CHECK(alive);
  CHECK(handled_without == 1);
  CHECK(receive_all(waits) == "served");
  server.kill();
}

TEST_CASE("a handler may be move-only, and may await") {
  Socket listener = green::listen(anywhere());
  auto reply = std::make_unique<std::string>("moved");
  auto handler = [text = std::move(reply)](Socket socket, const Address&) {
    auto answers = [](Socket& to, const std::string& what) -> aio::task<> {
      co_await aio::sleep(0.001);
      co_await to.sendall_async(what);
    };
    green::awaitlet(answers(socket, *text));
  };
  auto server =
      green::spawn([&, h = std::move(handler)]() mutable { green::serve(listener, std::move(h)); });
  Socket client = green::connect(listener.getsockname());
  CHECK(receive_all(client) == "moved");
  server.kill();
}

TEST_CASE("sockets on the hubs of several OS threads talk to each other") {
  Socket listener = green::listen(anywhere());
  const Address where = listener.getsockname();
  auto server = green::spawn([&] {
    green::serve(listener, [](Socket socket, const Address&) {
      socket.sendall(receive_all(socket));
    });
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
  uv_close(reinterpret_cast<uv_handle_t*>(&async), [](uv_handle_t* handle) {
    static_cast<Seen*>(handle->data)->closed.send();
  });
  seen.closed.wait();
  CHECK(seen.ready == "now");
  CHECK(seen.refused);
  a.sendall("after");
  CHECK(b.recv(10) == "after");
}
