// What eventlet's own tests of green sockets and pipes ask, as far as no other test here does.

#include "sockets.hpp"

#include <green/event.hpp>
#include <green/file.hpp>
#include <green/os.hpp>

#include <algorithm>
#include <fcntl.h>
#include <functional>
#include <vector>

using green::File;
using green::Socket;
using test::errno_of;
using test::FullListener;

namespace {

Socket with_buffers(Socket socket, int bytes) {
  socket.setsockopt(SOL_SOCKET, SO_SNDBUF, bytes);
  socket.setsockopt(SOL_SOCKET, SO_RCVBUF, bytes);
  return socket;
}

std::string contents(const std::string& path) {
  return green::os::fdopen(open(path.c_str(), O_RDONLY | O_CLOEXEC)).read();
}

}  // namespace

TEST_CASE("connect and connect_ex time out, connect_ex with its errno") {
  FullListener full;
  Socket one, two;
  one.settimeout(0.01);
  CHECK(errno_of([&] { one.connect(full.listener.getsockname()); }) == ETIMEDOUT);
  two.settimeout(0.01);
  CHECK(two.connect_ex(full.listener.getsockname()) == ETIMEDOUT);
  Socket three;
  three.settimeout(0);
  const int at_once = three.connect_ex(full.listener.getsockname());
  CHECK((at_once == EAGAIN || at_once == EINPROGRESS));
}

TEST_CASE("a connect that is under way is waited for again, and another is EALREADY") {
  FullListener full;
  Socket other = green::listen(test::anywhere());
  Socket client;
  for (const double limit : {0.0, 0.01}) {
    client.settimeout(limit);
    CHECK(errno_of([&] { client.connect(full.listener.getsockname()); }) ==
          (limit == 0 ? EAGAIN : ETIMEDOUT));
    CHECK(client.connect_ex(other.getsockname()) == EALREADY);
  }
  client.settimeout(60);
  auto room = green::spawn([&] {
    for (;;) full.listener.accept();
  });
  CHECK(client.connect_ex(full.listener.getsockname()) == 0);
  CHECK(client.getpeername() == full.listener.getsockname());
  room.kill();
}

TEST_CASE("connect_ex that succeeds gives 0") {
  Socket listener = green::listen(test::anywhere());
  Socket client;
  CHECK(client.connect_ex(listener.getsockname()) == 0);
  listener.accept().first.sendall("x");
  CHECK(client.recv(10) == "x");
}

TEST_CASE("every call that receives or sends times out as is_timeout says") {
  const test::Quiet quiet;  // of what a dropped File has not sent
  test::TcpPair pair;
  pair.a.settimeout(0.002);
  char buffer[10];
  const std::string much(64 << 20, 'x');
  const std::vector<std::function<void()>> calls{
      [&] { pair.a.recv(10); },
      [&] { pair.a.recv_into(buffer); },
      [&] { pair.a.recvfrom(10); },
      [&] { pair.a.recvfrom_into(buffer); },
      [&] { pair.a.recvmsg(10, 1); },
      [&] { pair.a.makefile().readline(); },
      [&] { pair.a.sendall(much); },
      [&] {
        for (;;) pair.a.send(much);
      },
      [&] { pair.a.makefile().write(much); },
  };
  for (const auto& call : calls) {
    bool timeout = false;
    try {
      call();
    } catch (...) {
      timeout = green::is_timeout(std::current_exception());
    }
    CHECK(timeout);
  }
  pair.b.close();
  green::sleep(0.001);
}

TEST_CASE("sendall sends all through small buffers, however much it is") {
  for (const std::size_t bytes : {1'000U, 10'000U, 100'000U, 1'000'000U}) {
    const int buffer = std::max(static_cast<int>(bytes) / 15, 2);
    Socket listener = green::listen(test::anywhere());
    auto sender = green::spawn([&] {
      Socket socket = with_buffers(listener.accept().first, buffer);
      socket.sendall(std::string(bytes, 'x'));
      socket.sendall(std::string(10, 'y'));
    });
    Socket client = green::connect(listener.getsockname());
    const std::string all = test::receive_all(client);
    CHECK((all == std::string(bytes, 'x') + std::string(10, 'y')));
    sender.wait();
  }
}

TEST_CASE("a write for who has stopped reading resumes nobody") {
  Socket listener = green::listen(test::anywhere());
  green::Event<std::string> sent;
  auto sender = green::spawn([&] {
    Socket socket = listener.accept().first;
    File file = socket.makefile();
    green::sleep(0.01);
    file.write("hi");
    file.close();
    sent.send("sent via event");
  });
  Socket client = green::connect(listener.getsockname());
  File file = client.makefile();
  CHECK_THROWS_AS(green::with_timeout(0.002, [&] { file.read(1); }), green::TimeoutExpired);
  CHECK(sent.wait() == "sent via event");
  CHECK(file.read(2) == "hi");
  sender.wait();
}

TEST_CASE("closing twice does not close what has the number by now") {
  Socket socket;
  const int number = socket.fileno();
  socket.close();
  const int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(other == number);
  socket.close();
  { const Socket gone = std::move(socket); }
  CHECK(fcntl(other, F_GETFD) != -1);
  CHECK(close(other) == 0);
  test::TcpPair pair;
  File file = pair.a.makefile();
  pair.a.close();
  file.close();
  const int again = open("/dev/null", O_RDONLY | O_CLOEXEC);
  file.close();
  file = File();
  CHECK(close(again) == 0);
}

TEST_CASE("ten thousand lines written through a File arrive despite partial writes") {
  Socket listener = green::listen(test::anywhere());
  const std::string line(2140, '*');
  auto talks = green::spawn([&] {
    Socket connection = with_buffers(listener.accept().first, 4096);
    File file = connection.makefile();
    for (int i = 0; i < 10'000; ++i) file.write(line);
    connection.close();
    file.close();
  });
  Socket client = green::connect(listener.getsockname());
  CHECK((client.makefile().read() == std::string(21'400'000, '*')));
  talks.wait();
}

TEST_CASE("a pipe gives its lines as they are written, byte by byte") {
  const auto [r, w] = green::os::pipe();
  File reader = green::os::fdopen(r);
  auto writes = green::spawn([w = w] {
    File file = green::os::fdopen(w);
    for (int i = 0; i < 5; ++i) {
      for (const char byte : std::string("12345\n")) {
        green::sleep(0);
        file.write(std::string_view(&byte, 1));
        file.flush();
      }
    }
  });
  for (int i = 0; i < 5; ++i) {
    CHECK(reader.readline() == "12345\n");
    green::sleep(0.0005);
  }
  CHECK(reader.readline() == "");
}

TEST_CASE("a pipe's lines end with a newline, whatever comes before it") {
  const auto [r, w] = green::os::pipe();
  File reader = green::os::fdopen(r), writer = green::os::fdopen(w);
  auto writes = green::spawn([&] {
    green::sleep(0.002);
    writer.write("line\n");
    writer.flush();
    writer.write("line\r\n");
    writer.flush();
  });
  CHECK(reader.readline() == "line\n");
  CHECK(reader.readline() == "line\r\n");
}

TEST_CASE("a pipe that its owner leaves is closed") {
  const auto [r, w] = green::os::pipe();
  {
    const File reader = green::os::fdopen(r);
    CHECK_FALSE(reader.closed());
  }
  CHECK(fcntl(r, F_GETFD) == -1);
  CHECK(fcntl(w, F_GETFD) != -1);
  { const File writer = green::os::fdopen(w); }
  CHECK(fcntl(w, F_GETFD) == -1);
}

TEST_CASE("files that are opened to write, to append, and to overwrite") {
  const test::Folder folder;
  const std::string path = folder / "file";
  const auto write = [&](int flags, const char* text) {
    File file = green::os::fdopen(open(path.c_str(), flags | O_CLOEXEC, 0600));
    file.write(text);
    file.close();
  };
  write(O_WRONLY | O_CREAT, "initial...");
  CHECK(contents(path) == "initial...");
  write(O_WRONLY | O_APPEND, "and more");
  CHECK(contents(path) == "initial...and more");
  write(O_RDWR, "OVER");
  CHECK(contents(path) == "OVERial...and more");
  write(O_RDWR | O_APPEND, "!");
  CHECK(contents(path) == "OVERial...and more!");
}

TEST_CASE("a File that is dropped with a file's data has written them") {
  const test::Folder folder;
  const int fd = open((folder / "file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  {
    File file = green::os::fdopen(fd);
    file.write("kept");
  }
  CHECK(contents(folder / "file") == "kept");
}
