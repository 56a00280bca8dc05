// Descriptors that go through unix sockets, also between processes; and sendfile.

#include "sockets.hpp"

#include <green/message.hpp>
#include <green/os.hpp>

#include <fcntl.h>
#include <fstream>
#include <sys/wait.h>
#include <type_traits>
#include <vector>

using green::Message;
using green::OwnedFd;
using green::Socket;
using test::errno_of;

namespace {

// One that can be told from others: a pipe with a text in it.
OwnedFd marked(const std::string& text) {
  auto [r, w] = green::os::pipe();
  green::os::write(w, text);
  close(w);
  return OwnedFd(r);
}

std::string mark_of(const OwnedFd& fd) { return green::os::read(fd.get(), 100); }

}  // namespace

TEST_CASE("descriptors arrive as new numbers of the same, closed on exec, and close themselves") {
  test::UnixPair pair;
  const int before = test::open_fds();
  {
    const OwnedFd first = marked("first"), second = marked("second");
    const std::vector<int> fds{first.get(), second.get()};
    CHECK(pair.a.sendmsg("data", fds) == 4);
    Message message = pair.b.recvmsg(100, 10);
    CHECK(message.data == "data");
    CHECK(message.flags == 0);
    REQUIRE(message.fds.size() == 2);
    CHECK((fcntl(message.fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(message.fds[0].get() != first.get());
    CHECK(mark_of(message.fds[0]) == "first");
    CHECK(mark_of(message.fds[1]) == "second");
    const OwnedFd kept(message.fds[0].release());
    message = Message();
    CHECK(fcntl(kept.get(), F_GETFD) != -1);
  }
  CHECK(test::open_fds() == before);
  static_assert(!std::is_copy_constructible_v<OwnedFd>);
}

TEST_CASE("descriptors that do not fit are lost and closed: MSG_CTRUNC, and none leaks") {
  test::UnixPair pair;
  const int before = test::open_fds();
  std::vector<OwnedFd> owned;
  std::vector<int> fds;
  for (int i = 0; i < 5; ++i) {
    owned.push_back(marked(std::to_string(i)));
    fds.push_back(owned.back().get());
  }
  for (std::size_t room = 0; room <= 6; ++room) {
    pair.a.sendmsg("x", fds);
    const Message message = pair.b.recvmsg(10, room);
    CHECK(message.data == "x");
    CHECK(message.fds.size() == std::min<std::size_t>(room, 5));
    CHECK(((message.flags & MSG_CTRUNC) != 0) == (room < 5));
  }
  pair.a.sendmsg("x", fds);
  CHECK(pair.b.recv(10) == "x");  // as if none had come
  CHECK(test::open_fds() == before + 5);
}

TEST_CASE("who is killed in recvmsg leaves the descriptors to the next, and none leaks") {
  test::UnixPair pair;
  const int before = test::open_fds();
  for (int i = 0; i < 200; ++i) {
    auto victim = green::spawn([&] { return pair.b.recvmsg(10, 10).fds.size(); });
    green::sleep(0);
    const OwnedFd sent = marked("x");
    const std::vector<int> fds{sent.get()};
    if (i % 2) victim.kill();
    pair.a.sendmsg("x", fds);
    if (i % 4 == 0) green::sleep(0.0005);  // it may have come to the victim already
    victim.kill();
    bool received = false;
    try {
      received = victim.wait() == 1;
    } catch (const green::GreenletExit&) {
    }
    if (!received) {
      pair.b.settimeout(0);
      const int missing = errno_of([&] { CHECK(pair.b.recvmsg(10, 10).fds.size() == 1); });
      CHECK((missing == 0 || missing == EAGAIN));
      pair.b.settimeout(std::nullopt);
    }
  }
  CHECK(test::open_fds() == before);
}

TEST_CASE("descriptors on their way when a socket is closed are closed with it") {
  const int before = test::open_fds();
  {
    test::UnixPair pair;
    const OwnedFd sent = marked("x");
    const std::vector<int> fds{sent.get()};
    pair.a.sendmsg("x", fds);
  }
  CHECK(test::open_fds() == before);
}

TEST_CASE("bad descriptors, too many, and some without data are errors") {
  test::UnixPair pair;
  const std::vector<int> bad{-1};
  CHECK(errno_of([&] { pair.a.sendmsg("x", bad); }) == EBADF);
  const std::vector<int> many(254, 0);
  CHECK_THROWS_AS(pair.a.sendmsg("x", many), std::invalid_argument);
  const std::vector<int> one{0};
  CHECK_THROWS_AS(pair.a.sendmsg("", one), std::invalid_argument);
  test::TcpPair internet;
  CHECK_THROWS_WITH_AS(internet.a.sendmsg("x", one),
                       doctest::Contains("only unix sockets take descriptors"),
                       std::invalid_argument);
  CHECK(internet.a.sendmsg("x", {}) == 1);
  Socket datagrams(AF_INET, SOCK_DGRAM);
  datagrams.bind(green::Address("127.0.0.1", 0));
  CHECK_THROWS_AS(datagrams.sendmsg("x", one, datagrams.getsockname()), std::invalid_argument);
  pair.b.settimeout(0);
  CHECK(errno_of([&] { pair.b.recvmsg(1, 1); }) == EAGAIN);
  pair.a.close();
  CHECK(errno_of([&] { pair.a.sendmsg("x", one); }) == EBADF);
  CHECK(errno_of([&] { pair.a.recvmsg(1, 1); }) == EBADF);
  CHECK(pair.b.recvmsg(1, 1).data == "");
}

TEST_CASE("a datagram to a path carries descriptors too, and 253 of them fit") {
  const green::Address where =
      green::Address::unix_path(std::string(1, '\0') + "uvlet-fds-" + std::to_string(getpid()));
  Socket server(AF_UNIX, SOCK_DGRAM), client(AF_UNIX, SOCK_DGRAM);
  server.bind(where);
  const std::vector<int> fds(253, 0);
  client.sendmsg("", fds, where);
  CHECK(server.recvmsg(10, 1000).fds.size() == 253);
}

TEST_CASE("credentials that come along take no room from the descriptors") {
  test::UnixPair pair;
  pair.b.setsockopt(SOL_SOCKET, SO_PASSCRED, 1);
  const OwnedFd sent = marked("x");
  const std::vector<int> fds{sent.get()};
  pair.a.sendmsg("x", fds);
  const Message message = pair.b.recvmsg(10, 1);
  REQUIRE(message.fds.size() == 1);
  CHECK(message.flags == 0);
  CHECK(mark_of(message.fds[0]) == "x");
}

TEST_CASE("a child process takes over a connection by its descriptor") {
  test::UnixPair pair;
  test::TcpPair connection;
  const pid_t child = fork();
  if (child == 0) {
    pair.a.close();
    Message message = pair.b.recvmsg(10, 1);
    Socket taken = Socket::from_fd(message.fds.at(0).release());
    const std::string question = taken.recv(100);
    taken.sendall("child heard " + question);
    taken.close();
    _exit(7);
  }
  pair.b.close();
  const std::vector<int> fds{connection.b.fileno()};
  pair.a.sendmsg("take", fds);
  connection.b.close();
  connection.a.sendall("hello");
  CHECK(test::receive_all(connection.a) == "child heard hello");
  const auto [pid, status] = green::os::waitpid(child);
  CHECK(pid == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("sendfile sends all, a part from an offset, and leaves the file's position") {
  const test::Folder folder;
  std::string data(3 << 20, 'x');
  for (std::size_t i = 0; i < data.size(); i += 997) data[i] = static_cast<char>('a' + i % 26);
  std::ofstream(folder / "file") << data;
  const OwnedFd file(open((folder / "file").c_str(), O_RDONLY | O_CLOEXEC));
  for (const bool internet : {true, false}) {
    test::TcpPair tcp;
    test::UnixPair local;
    Socket& a = internet ? tcp.a : local.a;
    Socket& b = internet ? tcp.b : local.b;
    auto reader = green::spawn([&] { return test::receive_all(b); });
    CHECK(a.sendfile(file.get()) == data.size());
    CHECK(a.sendfile(file.get(), 100, 50) == 50);
    CHECK(a.sendfile(file.get(), data.size() - 7, 100) == 7);
    CHECK(a.sendfile(file.get(), data.size() + 5) == 0);
    CHECK(a.sendfile(file.get(), 0, 0) == 0);
    CHECK(lseek(file.get(), 0, SEEK_CUR) == 0);
    a.close();
    CHECK((reader.wait() == data + data.substr(100, 50) + data.substr(data.size() - 7)));
  }
}

TEST_CASE("sendfile of a pipe sends what comes, to its end") {
  test::TcpPair pair;
  auto [r, w] = green::os::pipe();
  const OwnedFd reader(r);
  auto feeder = green::spawn([w = w] {
    for (int i = 0; i < 100; ++i) {
      green::os::write(w, "line " + std::to_string(i) + "\n");
      if (i % 10 == 0) green::sleep(0.0005);
    }
    close(w);
  });
  auto receiver = green::spawn([&] { return test::receive_all(pair.b); });
  const std::size_t sent = pair.a.sendfile(reader.get());
  pair.a.close();
  const std::string all = receiver.wait();
  CHECK(all.size() == sent);
  CHECK(all.substr(0, 14) == "line 0\nline 1\n");
  CHECK(all.substr(all.size() - 8) == "line 99\n");
}

TEST_CASE("sendfile obeys the timeout, and can be killed; a bad file is an error") {
  const test::Folder folder;
  std::ofstream(folder / "file") << std::string(64 << 20, 'x');
  const OwnedFd file(open((folder / "file").c_str(), O_RDONLY | O_CLOEXEC));
  test::TcpPair pair;
  pair.a.settimeout(0.003);
  CHECK(errno_of([&] { pair.a.sendfile(file.get()); }) == ETIMEDOUT);
  pair.a.settimeout(std::nullopt);
  auto sender = green::spawn([&] { pair.a.sendfile(file.get()); });
  green::sleep(0.001);
  sender.kill();
  CHECK(sender.dead());
  CHECK(errno_of([&] { pair.a.sendfile(-1); }) == EBADF);
  CHECK(errno_of([&] { Socket().sendfile(file.get()); }) == EPIPE);
  pair.b.close();
  green::sleep(0.001);
  const int error = errno_of([&] {
    for (int i = 0; i < 10; ++i) pair.a.sendfile(file.get(), 0, 1000);
  });
  CHECK((error == EPIPE || error == ECONNRESET));
  pair.a.close();
  CHECK(errno_of([&] { pair.a.sendfile(file.get()); }) == EBADF);
}

TEST_CASE("what sends descriptors and files has twins for coroutines") {
  test::UnixPair pair;
  const test::Folder folder;
  std::ofstream(folder / "file") << "contents";
  auto body = [](Socket& a, Socket& b, std::string path) -> aio::task<> {
    const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const std::vector<int> fds{file.get()};
    co_await a.sendmsg_async("x", fds);
    const Message message = co_await b.recvmsg_async(10, 1);
    CHECK(message.fds.size() == 1);
    const std::size_t sent = co_await a.sendfile_async(message.fds[0].get());
    CHECK(sent == 8);
    CHECK(co_await b.recv_async(100) == "contents");
  };
  aio::run(body(pair.a, pair.b, folder / "file"));
}
