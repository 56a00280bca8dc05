#include "sockets.hpp"

#include <green/event.hpp>
#include <green/file.hpp>
#include <green/os.hpp>

#include <fcntl.h>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <vector>

using green::File;
using green::IncompleteRead;
using test::errno_of;

TEST_CASE("a File reads lines, counts and the rest, and an end is \"\"") {
  test::TcpPair pair;
  File file = pair.b.makefile();
  pair.a.sendall("first\nsecond\r\n\n12345restno newline");
  pair.a.close();
  CHECK(file.readline() == "first\n");
  CHECK(file.readline() == "second\r\n");
  CHECK(file.readline() == "\n");
  CHECK(file.readexactly(5) == "12345");
  CHECK(file.read(4) == "rest");
  CHECK(file.read(0) == "");
  CHECK(file.readline() == "no newline");
  CHECK(file.readline() == "");
  CHECK(file.read() == "");
  CHECK(file.read(3) == "");
  CHECK(file.read1(3) == "");
}

TEST_CASE("read waits for all it was asked for, read1 for anything") {
  test::TcpPair pair;
  File file = pair.b.makefile();
  auto reader = green::spawn([&] { return file.read(6); });
  pair.a.sendall("abc");
  green::sleep(0.002);
  CHECK_FALSE(reader.dead());
  pair.a.sendall("defghi");
  CHECK(reader.wait() == "abcdef");
  CHECK(file.read1(100) == "ghi");
  auto any = green::spawn([&] { return file.read1(100); });
  green::sleep(0.002);
  pair.a.sendall("x");
  CHECK(any.wait() == "x");
  auto rest = green::spawn([&] { return file.read(); });
  pair.a.sendall("all ");
  green::sleep(0.001);
  pair.a.sendall("of it");
  pair.a.shutdown(SHUT_WR);
  CHECK(rest.wait() == "all of it");
}

TEST_CASE("readexactly that meets the end has what came, and what was expected") {
  test::TcpPair pair;
  File file = pair.b.makefile();
  pair.a.sendall("abc");
  pair.a.close();
  try {
    file.readexactly(10);
    FAIL("not reached");
  } catch (const IncompleteRead& error) {
    CHECK(error.partial == "abc");
    CHECK(error.expected == 10);
    CHECK(std::string(error.what()) == "the end came after 3 of 10 bytes");
  }
  CHECK(file.read() == "");
  CHECK(file.readexactly(0) == "");
  CHECK_THROWS_AS(file.readexactly(1), std::runtime_error);
}

TEST_CASE("a File is written through a buffer, until flush or close") {
  test::TcpPair pair;
  pair.b.settimeout(0.002);
  File file = pair.a.makefile();
  file.write("hel");
  file.write("lo");
  CHECK(errno_of([&] { pair.b.recv(10); }) == ETIMEDOUT);
  file.flush();
  CHECK(pair.b.recv(10) == "hello");
  file.write("more");
  file.close();
  CHECK(pair.b.recv(10) == "more");
  CHECK(file.closed());
  CHECK(file.fileno() == -1);
}

TEST_CASE("a File works on when its Socket is closed, and the descriptor is closed with it") {
  test::TcpPair pair;
  const int number = pair.a.fileno();
  File file = pair.a.makefile();
  CHECK(file.fileno() == number);
  pair.a.close();
  CHECK(pair.a.fileno() == -1);
  CHECK(errno_of([&] { pair.a.send("b"); }) == EBADF);
  CHECK(fcntl(number, F_GETFD) != -1);
  file.write("hello\n");
  file.flush();
  CHECK(pair.b.recv(10) == "hello\n");
  pair.b.sendall("answer\n");
  CHECK(file.readline() == "answer\n");
  file.close();
  CHECK(fcntl(number, F_GETFD) == -1);
  CHECK(pair.b.recv(10) == "");
  file.close();
}

TEST_CASE("a Socket works on when its File is closed") {
  test::TcpPair pair;
  {
    File file = pair.a.makefile();
    file.write("hello");
    file.close();
    CHECK(errno_of([&] { file.write("x"); }) == EBADF);
    CHECK(errno_of([&] { file.readline(); }) == EBADF);
    CHECK(errno_of([&] { file.read(); }) == EBADF);
    CHECK(errno_of([&] { file.readexactly(1); }) == EBADF);
    CHECK(errno_of([&] { file.flush(); }) == EBADF);
  }
  pair.a.send("\n");
  CHECK(pair.b.makefile().readline() == "hello\n");
  pair.a.close();
  CHECK(pair.b.recv(1) == "");
}

TEST_CASE("the last of several Files and the Socket closes the descriptor") {
  test::TcpPair pair;
  const int number = pair.a.fileno();
  File first = pair.a.makefile(), second = pair.a.makefile();
  pair.a.close();
  first.close();
  second.write("still");
  second.flush();
  CHECK(pair.b.recv(10) == "still");
  { const File last = std::move(second); }
  CHECK(fcntl(number, F_GETFD) == -1);
  test::TcpPair other;
  const int kept = other.a.fileno();
  { const File file = other.a.makefile(); }
  CHECK(fcntl(kept, F_GETFD) != -1);
  { const green::Socket gone = std::move(other.a); }
  CHECK(fcntl(kept, F_GETFD) == -1);
}

TEST_CASE("Socket::close wakes who waits in the Socket, and not who waits in a File") {
  test::TcpPair pair;
  File file = pair.a.makefile();
  auto line = green::spawn([&] { return file.readline(); });
  auto writer =
      green::spawn([&] { return errno_of([&] { pair.a.sendall(std::string(64 << 20, 'x')); }); });
  green::sleep(0.002);
  pair.a.close();
  CHECK(writer.wait() == EBADF);
  CHECK_FALSE(line.dead());
  pair.b.sendall("line\n");
  CHECK(line.wait() == "line\n");
}

TEST_CASE("File::close wakes who waits in the File, and not who waits in the Socket") {
  test::TcpPair pair;
  File file = pair.a.makefile();
  auto writer =
      green::spawn([&] { return errno_of([&] { file.write(std::string(64 << 20, 'x')); }); });
  auto reader = green::spawn([&] { return pair.a.recv(10); });
  green::sleep(0.002);
  file.close();
  CHECK(writer.wait() == EBADF);
  CHECK_FALSE(reader.dead());
  pair.b.sendall("on");
  CHECK(reader.wait() == "on");
}

TEST_CASE("detach takes the descriptor from the Files too") {
  test::TcpPair pair;
  File file = pair.a.makefile();
  auto reader = green::spawn([&] { return errno_of([&] { file.readline(); }); });
  green::sleep(0.001);
  const int fd = pair.a.detach();
  CHECK(reader.wait() == EBADF);
  CHECK(file.closed());
  CHECK(errno_of([&] { file.read(1); }) == EBADF);
  file = File();
  CHECK(fcntl(fd, F_GETFD) != -1);
  close(fd);
}

TEST_CASE("a second simultaneous reader or writer is a logic_error that names the descriptor") {
  test::TcpPair pair;
  File file = pair.a.makefile();
  const std::string text = "descriptor " + std::to_string(pair.a.fileno());
  auto reader = green::spawn([&] { return file.readline(); });
  auto writer = green::spawn([&] { file.write(std::string(64 << 20, 'x')); });
  green::sleep(0.002);
  CHECK_THROWS_WITH_AS(file.read(1),
                       doctest::Contains((text + ": a second simultaneous reader").c_str()),
                       std::logic_error);
  CHECK_THROWS_WITH_AS(pair.a.recv(1),
                       doctest::Contains((text + ": a second simultaneous reader").c_str()),
                       std::logic_error);
  CHECK_THROWS_WITH_AS(file.write("y"),
                       doctest::Contains((text + ": a second simultaneous writer").c_str()),
                       std::logic_error);
  CHECK_THROWS_WITH_AS(file.flush(),
                       doctest::Contains((text + ": a second simultaneous writer").c_str()),
                       std::logic_error);
  CHECK_THROWS_WITH_AS(pair.a.send("y"),
                       doctest::Contains((text + ": a second simultaneous writer").c_str()),
                       std::logic_error);
  pair.b.sendall("line\n");
  CHECK(reader.wait() == "line\n");
  writer.kill();
}

TEST_CASE("a File obeys its Socket's timeout, also a later one, and goes on after it") {
  test::TcpPair pair;
  pair.a.settimeout(0.002);
  File file = pair.a.makefile();
  pair.b.sendall("par");
  CHECK(errno_of([&] { file.readline(); }) == ETIMEDOUT);
  pair.b.sendall("tial\nnext");
  CHECK(file.readline() == "partial\n");
  CHECK(errno_of([&] { file.readexactly(5); }) == ETIMEDOUT);
  CHECK(file.read(4) == "next");
  pair.a.settimeout(0);
  CHECK(errno_of([&] { file.read(1); }) == EAGAIN);
  CHECK(errno_of([&] { file.write(std::string(64 << 20, 'x')); }) == EAGAIN);
  pair.a.settimeout(std::nullopt);
  auto reader = green::spawn([&] { return file.read(1); });
  green::sleep(0.005);
  CHECK_FALSE(reader.dead());
  pair.b.sendall("x");
  CHECK(reader.wait() == "x");
}

TEST_CASE("who is killed or timed out while reading lines loses no byte") {
  test::TcpPair pair;
  File file = pair.b.makefile();
  auto sender = green::spawn([&] {
    for (int i = 0; i < 200; ++i) {
      const std::string line = std::to_string(i) + "\n";
      for (const char byte : line) {
        pair.a.sendall(std::string_view(&byte, 1));
        if (i % 3 == 0) green::sleep(0);
      }
    }
    pair.a.close();
  });
  std::string got;
  bool ended = false;
  while (!ended) {
    auto reader = green::spawn([&] {
      while (!ended) {
        const std::string line = file.readline();
        got += line;
        ended = line.empty();
      }
    });
    green::sleep(0.0001);
    reader.kill();
    try {
      reader.wait();
    } catch (const green::GreenletExit&) {
    }
  }
  std::string expected;
  for (int i = 0; i < 200; ++i) expected += std::to_string(i) + "\n";
  CHECK(got == expected);
}

TEST_CASE("who is killed while flushing knows what was sent: the next flush sends the rest") {
  test::TcpPair pair;
  File file = pair.a.makefile();
  std::string data(8 << 20, 'x');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + i / 251);
  auto reader = green::spawn([&] { return test::receive_all(pair.b); });
  std::size_t written = 0;
  while (written < data.size()) {
    auto writer = green::spawn([&] {
      while (written < data.size()) {
        file.flush();
        const std::string_view part = std::string_view(data).substr(written, 1000);
        file.write(part);  // there is room
        written += part.size();
      }
    });
    green::sleep(0);
    green::sleep(0);
    writer.kill();
    try {
      writer.wait();
    } catch (const green::GreenletExit&) {
    }
  }
  file.close();
  pair.a.close();
  CHECK((reader.wait() == data));
}

TEST_CASE("a write error is told by flush, again by later writes and by close, which closes") {
  test::TcpPair pair;
  File file = pair.a.makefile();
  pair.b.close();
  pair.a.sendall("x");  // the peer answers with a reset
  green::sleep(0.005);
  file.write("lost");
  const int first = errno_of([&] { file.flush(); });
  CHECK((first == EPIPE || first == ECONNRESET));
  CHECK(errno_of([&] { file.write("y"); }) == first);
  CHECK(errno_of([&] { file.flush(); }) == first);
  CHECK(errno_of([&] { file.close(); }) == first);
  CHECK(file.closed());
  file.close();
}

TEST_CASE("a File that is dropped sends what it has, in the background if need be") {
  test::TcpPair pair;
  {
    File file = pair.a.makefile();
    file.write("short");
  }
  CHECK(pair.b.recv(10) == "short");
  pair.a.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
  std::size_t filled = 0;
  pair.a.settimeout(0);
  while (errno_of([&] { filled += pair.a.send(std::string(65536, 'x')); }) == 0) continue;
  {
    File file = pair.a.makefile();
    file.write("the rest");
  }
  pair.a.close();
  const std::string all = test::receive_all(pair.b);
  CHECK(all.size() == filled + 8);
  CHECK(all.substr(filled) == "the rest");
}

TEST_CASE("a File is a range of its lines") {
  test::TcpPair pair;
  pair.a.sendall("one\ntwo\n\nthree");
  pair.a.close();
  File file = pair.b.makefile();
  std::vector<std::string> lines;
  for (const std::string& line : file) lines.push_back(line);
  CHECK(lines == std::vector<std::string>{"one\n", "two\n", "\n", "three"});
  static_assert(std::input_iterator<File::LineIterator>);
  static_assert(!std::is_copy_constructible_v<File>);
  static_assert(std::is_nothrow_move_constructible_v<File>);
}

TEST_CASE("every call of a File has a twin for coroutines") {
  test::TcpPair pair;
  auto server = [](green::Socket& socket) -> aio::task<> {
    File file = socket.makefile();
    const std::string line = co_await file.readline_async();
    const std::string four = co_await file.readexactly_async(4);
    const std::string two = co_await file.read_async(2);
    const std::string any = co_await file.read1_async(100);
    co_await file.write_async(line + four + two + any);
    co_await file.flush_async();
    const std::string rest = co_await file.read_async();
    co_await file.write_async(rest);
    co_await file.close_async();
    int error = 0;
    try {
      co_await file.readline_async();
    } catch (const std::system_error& failure) {
      error = failure.code().value();
    }
    CHECK(error == EBADF);
  };
  auto task = aio::create_task(server(pair.b));
  pair.a.sendall("line\nfour22any");
  CHECK(pair.a.makefile().readexactly(14) == "line\nfour22any");
  pair.a.sendall("rest");
  pair.a.shutdown(SHUT_WR);
  CHECK(pair.a.recv(100) == "rest");
  aio::run(task);
}

TEST_CASE("a large File of short lines is read in linear time") {
  test::UnixPair pair;
  auto sender = green::spawn([&] {
    File file = pair.a.makefile();
    for (int i = 0; i < 200'000; ++i) file.write("line " + std::to_string(i) + "\n");
    file.close();
    pair.a.close();
  });
  File file = pair.b.makefile();
  int lines = 0;
  for (const std::string& line : file) {
    if (line != "line " + std::to_string(lines) + "\n") FAIL("not line " << lines);
    ++lines;
  }
  CHECK(lines == 200'000);
}

TEST_CASE("pipes as Files: writes go through as they fit, the end comes with the writer's close") {
  const auto [r, w] = green::os::pipe();
  File reader = green::os::fdopen(r), writer = green::os::fdopen(w);
  CHECK(reader.fileno() == r);
  auto sends = green::spawn([&] {
    for (int i = 0; i < 65; ++i) writer.write(std::string(1024, static_cast<char>(i)));
    writer.write("12345\n");
    writer.close();
  });
  for (int i = 0; i < 65; ++i) CHECK(reader.read(1024) == std::string(1024, static_cast<char>(i)));
  CHECK(reader.readline() == "12345\n");
  CHECK(reader.readline() == "");
  reader.close();
  CHECK(fcntl(r, F_GETFD) == -1);
  CHECK(fcntl(w, F_GETFD) == -1);
}

TEST_CASE("the closed end of a pipe is EPIPE, and no signal kills") {
  const auto [r, w] = green::os::pipe();
  close(r);
  File writer = green::os::fdopen(w);
  writer.write("x");
  CHECK(errno_of([&] { writer.flush(); }) == EPIPE);
}

TEST_CASE("files of a file system as Files: written, read, written again") {
  const test::Folder folder;
  const int fd = open((folder / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  File file = green::os::fdopen(fd);
  const std::string big(300'000, 'b');
  file.write("first line\nsecond\n");
  file.write(big);
  file.flush();
  CHECK(lseek(fd, 0, SEEK_SET) == 0);
  CHECK(file.readline() == "first line\n");
  file.write("SECOND");  // where the reader is
  CHECK(file.read(1) == "\n");
  CHECK((file.read() == big));
  CHECK(file.read() == "");
  file.close();
  const int again = open((folder / "file").c_str(), O_RDONLY | O_CLOEXEC);
  CHECK((green::os::fdopen(again).read() == "first line\nSECOND\n" + big));
}

TEST_CASE("a File whose sockets were moved, reset or never there") {
  File nothing;
  CHECK(nothing.closed());
  CHECK(errno_of([&] { nothing.readline(); }) == EBADF);
  nothing.close();
  test::TcpPair pair;
  green::Socket moved = std::move(pair.a);
  CHECK(errno_of([&] { pair.a.makefile(); }) == EBADF);
  File file = moved.makefile();
  File other = std::move(file);
  CHECK(file.closed());
  File& same = other;
  same = std::move(other);
  CHECK_FALSE(other.closed());
  other = pair.b.makefile();  // closes what it was
  moved.sendall("x");
  CHECK(other.read(1) == "x");
  CHECK(errno_of([] { green::os::fdopen(-1); }) == EBADF);
}

TEST_CASE("a long write that is interrupted is sent whole by the next flush") {
  test::TcpPair pair;
  File file = pair.a.makefile();
  std::string big(8 << 20, 'x');
  for (std::size_t at = 0; at < big.size(); at += 1000) big[at] = static_cast<char>('a' + at % 26);
  auto writer = green::spawn([&] { file.write(big); });
  green::sleep(0.01);
  writer.kill();
  CHECK_THROWS_AS(writer.wait(), green::GreenletExit);
  auto reader = green::spawn([&] { return pair.b.makefile().read(); });
  file.write("the end");
  file.close();
  pair.a.close();
  CHECK((reader.wait() == big + "the end"));
}
