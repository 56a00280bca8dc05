// Streams under all that can happen to them: split, half-closed, closed, slow, and too many.

#include "sockets.hpp"

#include <aio/server.hpp>
#include <aio/sleep.hpp>
#include <aio/stream.hpp>
#include <green/os.hpp>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <sys/resource.h>
#include <sys/wait.h>
#include <uvlet/config.hpp>

using green::File;
using green::Socket;
using test::errno_of;

namespace {

struct Connection {
  const char* name;
  Socket a, b;
};

Connection tcp() {
  test::TcpPair pair;
  return {"tcp", std::move(pair.a), std::move(pair.b)};
}
Connection local() {
  test::UnixPair pair;
  return {"unix", std::move(pair.a), std::move(pair.b)};
}

}  // namespace

TEST_CASE("a message of 64 bytes arrives whole, in whatever three parts or equal ones it is sent") {
  std::string message;
  for (int i = 0; i < 64; ++i) message += static_cast<char>(' ' + i);
  message.back() = '\n';
  const std::string_view all = message;
  for (Connection (*make)() : {tcp, local}) {
    Connection both = make();
    CAPTURE(both.name);
    File file = both.b.makefile();
    int reader_kind = 0;
    const auto arrives_in = [&](const std::vector<std::string_view>& parts) {
      auto sender = green::spawn([&] {
        for (const std::string_view part : parts) {
          both.a.sendall(part);
          green::sleep(0);  // the reader finds no more
        }
      });
      std::string got;
      switch (reader_kind++ % 4) {
        case 0: got = test::receive(both.b, 64); break;
        case 1: got = file.readexactly(64); break;
        case 2: got = file.readline(); break;
        case 3: got = file.read(64); break;
      }
      sender.wait();
      REQUIRE(got == message);
    };
    for (std::size_t first = 0; first <= 64; ++first)
      for (std::size_t second = first; second <= 64; ++second)
        arrives_in({all.substr(0, first), all.substr(first, second - first), all.substr(second)});
    for (std::size_t size = 1; size <= 64; ++size) {
      std::vector<std::string_view> parts;
      for (std::size_t at = 0; at < 64; at += size) parts.push_back(all.substr(at, size));
      for (int i = 0; i < 4; ++i) arrives_in(parts);
    }
  }
}

TEST_CASE("a megabyte through the smallest buffers, in pieces of every size up to 64") {
  Connection both = tcp();
  both.a.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
  std::string data(1 << 20, 'x');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31 + i / 257);
  auto sender = green::spawn([&] {
    both.a.sendall(data);
    both.a.close();
  });
  std::string got;
  for (std::size_t piece = 1;; piece = piece % 64 + 1) {
    const std::string part = both.b.recv(piece);
    if (part.empty()) break;
    got += part;
  }
  CHECK((got == data));
}

TEST_CASE("half-closed streams: twelve ways to end") {
  using Case = std::function<void(Socket&, Socket&)>;
  const auto gone = [](int error) { return error == EPIPE || error == ECONNRESET; };
  const std::vector<Case> cases{
      [](Socket& a, Socket& b) {  // what was sent comes before the end, which stays
        a.sendall("data");
        a.shutdown(SHUT_WR);
        CHECK(b.recv(100) == "data");
        CHECK(b.recv(100) == "");
        CHECK(b.recv(100) == "");
      },
      [](Socket& a, Socket& b) {  // the other direction goes on
        a.shutdown(SHUT_WR);
        CHECK(b.recv(1) == "");
        b.sendall("answer");
        CHECK(a.recv(100) == "answer");
      },
      [](Socket& a, Socket& b) {  // twice is once
        a.shutdown(SHUT_WR);
        a.shutdown(SHUT_WR);
        CHECK(b.recv(1) == "");
      },
      [](Socket& a, Socket& b) {  // both at once
        a.shutdown(SHUT_WR);
        b.shutdown(SHUT_WR);
        CHECK(a.recv(1) == "");
        CHECK(b.recv(1) == "");
      },
      [](Socket& a, Socket&) {  // after one's own end
        a.shutdown(SHUT_WR);
        CHECK(errno_of([&] { a.send("x"); }) == EPIPE);
        CHECK(errno_of([&] { a.sendall("x"); }) == EPIPE);
      },
      [&](Socket& a, Socket& b) {  // the peer is gone: the end, then errors of writing
        b.close();
        CHECK(a.recv(1) == "");
        int error = 0;
        for (int i = 0; i < 100 && error == 0; ++i) {
          error = errno_of([&] { a.send("x"); });
          green::sleep(0.0005);
        }
        CHECK(gone(error));
      },
      [](Socket& a, Socket& b) {  // closed with data unread: a reset
        a.sendall("unread");
        green::sleep(0.001);
        b.close();
        green::sleep(0.001);
        CHECK(errno_of([&] { a.recv(1); }) == ECONNRESET);
      },
      [](Socket& a, Socket& b) {  // a reset wakes who reads
        const bool internet = a.getsockopt(SOL_SOCKET, SO_DOMAIN) != AF_UNIX;
        auto reader = green::spawn([&] { return errno_of([&] { a.recv(1); }); });
        green::sleep(0.001);
        b.setsockopt(SOL_SOCKET, SO_LINGER, linger{1, 0});
        b.close();
        CHECK(reader.wait() == (internet ? ECONNRESET : 0));
      },
      [](Socket& a, Socket&) {  // one's own reading
        auto reader = green::spawn([&] { return a.recv(1); });
        green::sleep(0.001);
        a.shutdown(SHUT_RD);
        CHECK(reader.wait() == "");
        CHECK(a.recv(1) == "");
      },
      [](Socket& a, Socket& b) {  // both directions
        a.shutdown(SHUT_RDWR);
        CHECK(a.recv(1) == "");
        CHECK(b.recv(1) == "");
        CHECK(errno_of([&] { a.send("x"); }) == EPIPE);
      },
      [](Socket& a, Socket&) {  // a writer that waits
        auto writer =
            green::spawn([&] { return errno_of([&] { a.sendall(std::string(64 << 20, 'x')); }); });
        green::sleep(0.002);
        a.shutdown(SHUT_WR);
        CHECK(writer.wait() == EPIPE);
      },
      [](Socket& a, Socket& b) {  // a File sees the same
        File file = b.makefile();
        a.sendall("no newline");
        a.shutdown(SHUT_WR);
        CHECK(file.readline() == "no newline");
        CHECK(file.readline() == "");
        file.write("answer");
        file.close();
        b.close();
        CHECK(test::receive_all(a) == "answer");
      },
  };
  REQUIRE(cases.size() == 12);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    for (Connection (*make)() : {tcp, local}) {
      Connection both = make();
      CAPTURE(i);
      CAPTURE(both.name);
      cases[i](both.a, both.b);
    }
  }
}

TEST_CASE("who writes when the peer goes gets an error, ten thousand times, and lives") {
  REQUIRE((std::signal(SIGPIPE, SIG_IGN) == SIG_IGN));  // a hub has seen to that
  const std::size_t times = test::operations(10'000);
  const std::string block(1 << 18, 'x');
  Socket listener = green::listen(test::anywhere());
  const auto make_tcp = [&] {
    Connection both{"tcp", green::connect(listener.getsockname()), listener.accept().first};
    both.b.setsockopt(SOL_SOCKET, SO_LINGER, linger{1, 0});  // no port has to wait
    return both;
  };
  const auto error_of_writing = [](auto write) {
    return errno_of([&] {
      for (;;) write();
    });
  };
  for (const bool internet : {true, false}) {
    std::map<int, std::size_t> errors;
    for (std::size_t i = 0; i < times; ++i) {
      Connection both = internet ? make_tcp() : local();
      both.a.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
      auto writer = green::spawn([&] { return error_of_writing([&] { both.a.sendall(block); }); });
      for (std::size_t turn = 0; turn < i % 3; ++turn) green::sleep(0);
      if (i % 2) both.b.recv(1000);  // it is in the middle
      both.b.close();
      ++errors[writer.wait()];
      if (!internet) ++errors[errno_of([&] { both.a.send("x"); })];
    }
    CHECK(errors[EPIPE] + (internet ? errors[ECONNRESET] : 0) == (internet ? times : 2 * times));
  }
  std::size_t broken = 0;
  for (std::size_t i = 0; i < times; ++i) {
    const auto [r, w] = green::os::pipe();
    const green::OwnedFd end(w);
    auto writer =
        green::spawn([&] { return error_of_writing([&] { green::os::write(end.get(), block); }); });
    for (std::size_t turn = 0; turn < i % 3; ++turn) green::sleep(0);
    close(r);
    broken += writer.wait() == EPIPE;
  }
  CHECK(broken == times);
}

TEST_CASE("a second reader is refused; then ten thousand rounds in both directions at once") {
  const std::size_t rounds = test::operations(10'000);
  for (Connection (*make)() : {tcp, local}) {
    Connection both = make();
    CAPTURE(both.name);
    auto reader = green::spawn([&] { return both.b.recv(10); });
    green::sleep(0);
    CHECK_THROWS_AS(both.b.recv(10), std::logic_error);
    both.a.sendall("first");
    CHECK(reader.wait() == "first");

    const auto message = [](std::size_t round) { return std::to_string(1'000'000'000 + round); };
    std::size_t right = 0;
    const auto play = [&](Socket& socket) {
      auto writer = green::spawn([&] {
        for (std::size_t i = 0; i < rounds; ++i) socket.sendall(message(i));
      });
      for (std::size_t i = 0; i < rounds; ++i) right += test::receive(socket, 10) == message(i);
      writer.wait();
    };
    auto other = green::spawn([&] { play(both.b); });
    play(both.a);
    other.wait();
    CHECK(right == 2 * rounds);
  }
}

// UBSan itself opens a pipe to look at an address, and calls every object broken without one.
#if !defined(UVLET_ASAN)
namespace {

constexpr int crowd = 1'000;

// A process that makes so many connections, and wants an answer on each: ends with how many failed.
pid_t spawn_crowd(const green::Address& where) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  alarm(10 * static_cast<unsigned>(test::watchdog));
  std::vector<Socket> clients;
  for (int i = 0; i < crowd; ++i) clients.push_back(green::connect(where));
  int failed = 0;
  for (Socket& client : clients) failed += test::receive_all(client) != "served";
  _exit(std::min(failed, 255));
}

// So few that most of the crowd has to wait outside.
class FewDescriptors {
 public:
  FewDescriptors() {
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const rlimit tight{64, before_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// The processor time of this process so far.
double busy_seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

TEST_CASE("serve without descriptors counts the accepts it cannot make, rests, and serves all") {
  Socket listener = green::listen(test::anywhere(), crowd);
  const pid_t child = spawn_crowd(listener.getsockname());
  const FewDescriptors few;
  bool release = false;
  auto server = green::spawn([&] {
    green::serve(listener, [&](Socket socket, const green::Address&) {
      while (!release) green::sleep(0.005);
      socket.sendall("served");
    });
  });
  uvlet::Hub& hub = uvlet::Hub::current();
  while (hub.stats().accepts_refused == 0) green::sleep(0.005);
  const std::uint64_t first = hub.stats().accepts_refused;
  const uvlet::Time start = hub.now();
  const double busy_before = busy_seconds();
  while (hub.stats().accepts_refused < first + 100) green::sleep(0.1);
  const double pauses = static_cast<double>(hub.now() - start) / 1e7;
  CHECK(static_cast<double>(hub.stats().accepts_refused - first) <= pauses + 2);  // it rests
  CHECK(busy_seconds() - busy_before < 0.05 * pauses * 0.01);
  release = true;
  CHECK(green::os::waitpid(child).second == 0);
  const std::uint64_t refused = hub.stats().accepts_refused;
  CHECK(green::connect(listener.getsockname()).recv(10) == "served");
  CHECK(hub.stats().accepts_refused == refused);
  server.kill();
}

TEST_CASE("a server of coroutines without descriptors counts and rests as well") {
  bool release = false;
  auto handler = [&release](aio::Stream stream) -> aio::task<> {
    while (!release) co_await aio::sleep(0.005);
    stream.write("served");
    stream.close();
  };
  auto body = [&]() -> aio::task<> {
    const std::uint64_t before = uvlet::Hub::current().stats().accepts_refused;
    aio::Server server = co_await aio::start_server(handler, test::anywhere());
    const pid_t child = spawn_crowd(server.getsockname());
    {
      const FewDescriptors few;
      while (uvlet::Hub::current().stats().accepts_refused < before + 3) co_await aio::sleep(0.005);
      release = true;
      const auto ended = co_await green::os::waitpid_async(child);
      CHECK(ended.second == 0);
    }
    server.close();
    co_await server.wait_closed();
  };
  aio::run(body());
}
#endif
