// Sockets that are ready in the same turn of the loop: they receive together and answer together,
// by one call of the system, which nobody may notice.

#include "../fake_io_uring.hpp"
#include "sockets.hpp"

#include <green/event.hpp>
#include <green/greenthread.hpp>
#include <green/os.hpp>
#include <green/timeout.hpp>
#include <uvlet/hub.hpp>

#include <algorithm>
#include <exception>
#include <fcntl.h>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using green::GreenThread;
using green::Socket;
using test::errno_of;

constexpr std::size_t several = 8;

using Answer = std::function<void(std::size_t number, Socket& socket, const std::string& data)>;

struct Interrupted : std::exception {};

// Holds the hub for so many seconds.
void spend(double seconds) {
  const uvlet::Time start = uvlet::Hub::get().now();
  while (static_cast<double>(uvlet::Hub::get().now() - start) <= seconds * 1e9) continue;
}

void echo(std::size_t, Socket& socket, const std::string& data) { socket.sendall(data); }

// So many bytes, or what comes until the end.
std::string read(Socket& socket, std::size_t bytes) {
  std::string all;
  for (std::string some = " "; all.size() < bytes && !some.empty(); all += some)
    some = socket.recv(bytes - all.size());
  return all;
}

// Connections whose servers' ends have waited once: they are watched from then on.
class Connections {
 public:
  explicit Connections(std::size_t count = several) : pairs(count) {
    serve("first", echo);
    expect("first");
  }

  // Sends this to all of them, so that it comes in one turn; each server receives it and answers.
  std::vector<GreenThread<void>> start(const std::string& message, const Answer& answer) {
    std::vector<GreenThread<void>> servers;
    for (std::size_t i = 0; i < pairs.size(); ++i)
      servers.push_back(green::spawn([this, i, answer] {
        const std::string data = pairs[i].b.recv(65536);
        answer(i, pairs[i].b, data);
      }));
    green::sleep(0.001);  // they wait
    for (test::TcpPair& pair : pairs)
      REQUIRE(::send(pair.a.fileno(), message.data(), message.size(), 0) ==
              static_cast<ssize_t>(message.size()));
    return servers;
  }
  void serve(const std::string& message, const Answer& answer) {
    for (GreenThread<void>& server : start(message, answer)) server.wait();
  }
  void expect(const std::string& reply) {
    for (test::TcpPair& pair : pairs) CHECK(read(pair.a, reply.size()) == reply);
  }

  std::vector<test::TcpPair> pairs;
};

bool no_ring() {
  if (fake::rings > 0) return false;
  MESSAGE("no io_uring here: each socket makes its own calls");
  return true;
}

// What was sent arrives in one turn nearly always, not always: tries until `round` says that it was
// so. Without a ring once is enough.
template <class F>
void until_together(F round) {
  bool together = false;
  for (int tries = 0; tries < 100 && !together; ++tries) {
    together = round();
    if (no_ring()) return;
  }
  CHECK(together);
}

// With a hub, and so with a ring, of its own. What `body` throws is carried here.
template <class F>
void on_another_thread(F body) {
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      test::in_green_thread(body);
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (thrown) std::rethrow_exception(thrown);
}

// The numbers of the rings of all hubs.
std::vector<int> ring_descriptors() {
  std::vector<int> rings;
  for (int fd = 0; fd < 1000; ++fd) {
    char target[64] = {};
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    if (readlink(link.c_str(), target, sizeof target - 1) > 0 &&
        std::string(target) == "anon_inode:[io_uring]")
      rings.push_back(fd);
  }
  return rings;
}

}  // namespace

TEST_CASE("sockets that are ready together receive by one call, and answer by another") {
  test::in_green_thread([] {
    Connections connections;
    until_together([&] {
      const int before = fake::enters;
      connections.serve("ping", echo);
      connections.expect("ping");
      return fake::enters - before == 2;
    });
  });
}

TEST_CASE("a socket that is ready alone makes its own calls") {
  test::in_green_thread([] {
    Connections connections(1);
    const int before = fake::enters;
    connections.serve("ping", echo);
    CHECK(fake::enters == before);
    connections.expect("ping");
  });
}

TEST_CASE("only the first answer waits for others: what follows is sent at once") {
  test::in_green_thread([] {
    Connections connections;
    until_together([&] {
      const int before = fake::enters;
      connections.serve("ping", [](std::size_t, Socket& socket, const std::string& data) {
        for (int i = 0; i < 3; ++i) socket.sendall(data);
      });
      connections.expect("pingpingping");
      return fake::enters - before == 2;
    });
  });
}

TEST_CASE("what a ring does not take is done all the same") {
  for (const long taken : {3L, 1L, 0L, -1L}) {
    CAPTURE(taken);
    on_another_thread([taken] {
      Connections connections;
      fake::calls_taken = taken;
      for (int round = 0; round < 3; ++round) {
        connections.serve("ping", echo);
        connections.expect("ping");
      }
      fake::calls_taken = 1000;
      connections.serve("pong", echo);
      connections.expect("pong");
    });
  }
}

TEST_CASE("a ring that was closed behind the library's back is missed by nobody") {
  on_another_thread([] {
    const std::vector<int> before = ring_descriptors();
    Connections connections;
    for (const int ring : ring_descriptors()) {
      if (std::ranges::find(before, ring) != before.end()) continue;
      const int other = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      REQUIRE(::dup2(other, ring) == ring);
      ::close(other);
    }
    for (int round = 0; round < 3; ++round) {
      connections.serve("ping", echo);
      connections.expect("ping");
    }
  });
}

TEST_CASE("an answer that does not fit goes on when there is room") {
  test::in_green_thread([] {
    Connections connections;
    const std::string much(3'000'000, 'x');
    std::vector<GreenThread<void>> servers = connections.start(
        "ping", [&](std::size_t, Socket& socket, const std::string&) { socket.sendall(much); });
    for (test::TcpPair& pair : connections.pairs) {
      std::size_t got = 0;
      while (got < much.size()) got += pair.a.recv(1 << 20).size();
      CHECK(got == much.size());
    }
    for (GreenThread<void>& server : servers) server.wait();
  });
}

TEST_CASE("send takes what fits at once, and says how much") {
  test::in_green_thread([] {
    Connections connections;
    const std::string much(30'000'000, 'x');
    std::vector<std::size_t> sent(several);
    connections.serve("ping", [&](std::size_t i, Socket& socket, const std::string&) {
      sent[i] = socket.send(much);
    });
    for (std::size_t i = 0; i < several; ++i) {
      CHECK(sent[i] > 0);
      CHECK(sent[i] < much.size());
      connections.pairs[i].b.close();
      CHECK(test::receive_all(connections.pairs[i].a).size() == sent[i]);
    }
  });
}

TEST_CASE("the failure of one is its own") {
  test::in_green_thread([] {
    Connections connections;
    std::vector<int> errors(several);
    std::vector<GreenThread<void>> servers =
        connections.start("ping", [&](std::size_t i, Socket& socket, const std::string& data) {
          // The peer has gone: the first send is answered by a reset, the second one fails.
          errors[i] = errno_of([&] {
            for (int n = 0; n < 3; ++n) {
              socket.sendall(data);
              green::sleep(0.001);
            }
          });
        });
    connections.pairs[2].a.close();
    for (GreenThread<void>& server : servers) server.wait();
    for (std::size_t i = 0; i < several; ++i) {
      CAPTURE(i);
      if (i == 2) {
        CHECK((errors[i] == EPIPE || errors[i] == ECONNRESET));
      } else {
        CHECK(errors[i] == 0);
        CHECK(connections.pairs[i].a.recv(100).starts_with("ping"));
      }
    }
  });
}

TEST_CASE("a reset and an end of the stream are received among data") {
  test::in_green_thread([] {
    Connections connections;
    std::vector<std::string> got(several);
    std::vector<int> errors(several);
    std::vector<GreenThread<void>> readers;
    for (std::size_t i = 0; i < several; ++i)
      readers.push_back(green::spawn(
          [&, i] { errors[i] = errno_of([&] { got[i] = connections.pairs[i].b.recv(100); }); }));
    green::sleep(0.001);
    for (std::size_t i = 0; i < several; ++i) {
      Socket& peer = connections.pairs[i].a;
      if (i == 3) {
        peer.shutdown(SHUT_WR);
      } else if (i == 5) {
        peer.setsockopt(SOL_SOCKET, SO_LINGER, linger{1, 0});
        peer.close();
      } else {
        REQUIRE(::send(peer.fileno(), "data", 4, 0) == 4);
      }
    }
    for (GreenThread<void>& reader : readers) reader.wait();
    for (std::size_t i = 0; i < several; ++i) {
      CAPTURE(i);
      CHECK(errors[i] == (i == 5 ? ECONNRESET : 0));
      CHECK(got[i] == (i == 3 || i == 5 ? "" : "data"));
    }
  });
}

TEST_CASE("who is killed while an answer waits for others has sent nothing; the socket is usable") {
  test::in_green_thread([] {
    Connections connections;
    until_together([&] {
      std::vector<GreenThread<void>> servers;
      servers = connections.start("ping", [&](std::size_t i, Socket& socket, const std::string&) {
        if (i + 1 == several)
          servers[0].kill();
        else
          socket.sendall("answer");
      });
      bool killed = false;
      for (GreenThread<void>& server : servers) {
        try {
          server.wait();
        } catch (const green::GreenletExit&) {
          killed = true;
        }
      }
      connections.pairs[0].b.sendall("later");
      CHECK(read(connections.pairs[0].a, killed ? 5 : 11) == (killed ? "later" : "answerlater"));
      for (std::size_t i = 1; i + 1 < several; ++i)
        CHECK(read(connections.pairs[i].a, 6) == "answer");
      return killed;
    });
  });
}

TEST_CASE("a socket that is closed while an answer waits for others ends the wait with EBADF") {
  test::in_green_thread([] {
    until_together([&] {
      Connections connections;
      std::vector<int> errors(several);
      connections.serve("ping", [&](std::size_t i, Socket& socket, const std::string& data) {
        if (i + 1 == several) {
          connections.pairs[0].b.close();
          { const Socket gone = std::move(connections.pairs[1].b); }
          connections.pairs[2].b.shutdown(SHUT_RDWR);
          return;
        }
        errors[i] = errno_of([&] { socket.sendall(data); });
      });
      for (std::size_t i = 0; i + 1 < several; ++i)
        CHECK(read(connections.pairs[i].a, 4) == (errors[i] == 0 ? "ping" : ""));
      return errors == std::vector<int>{EBADF, EBADF, EPIPE, 0, 0, 0, 0, 0};
    });
  });
}

TEST_CASE("a second writer is refused while an answer waits for others") {
  test::in_green_thread([] {
    Connections connections;
    until_together([&] {
      bool refused = false;
      connections.serve("ping", [&](std::size_t i, Socket& socket, const std::string& data) {
        if (i + 1 == several) {
          try {
            connections.pairs[0].b.sendall("");
          } catch (const std::logic_error& error) {
            refused = std::string(error.what()).find("a second simultaneous writer") > 0;
          }
        }
        socket.sendall(data);
      });
      connections.expect("ping");
      return refused;
    });
  });
}

TEST_CASE("a socket that does not wait does not wait for others either") {
  test::in_green_thread([] {
    Connections connections;
    until_together([&] {
      for (test::TcpPair& pair : connections.pairs) pair.b.settimeout(test::watchdog);
      const int before = fake::enters;
      connections.serve("ping", [](std::size_t, Socket& socket, const std::string& data) {
        socket.settimeout(0);
        CHECK(socket.send(data) == data.size());
      });
      connections.expect("ping");
      return fake::enters - before == 1;
    });
  });
}

TEST_CASE("an answer that a busy neighbour holds up is not lost") {
  test::in_green_thread([] {
    Connections connections;
    connections.serve("ping", [](std::size_t i, Socket& socket, const std::string& data) {
      if (i % 2) spend(0.002);
      socket.sendall(data);
    });
    connections.expect("ping");
  });
}

TEST_CASE("an answer leaves although others never cease to be ready") {
  test::in_green_thread([] {
    Connections connections;
    bool done = false;
    GreenThread<void> busy = green::spawn([&] {
      while (!done) green::sleep(0);
    });
    connections.serve("ping", echo);
    connections.expect("ping");
    done = true;
    busy.wait();
  });
}

TEST_CASE("more than fit into a ring are all served") {
  test::in_green_thread([] {
    Connections connections(200);
    for (int round = 0; round < 20; ++round) {
      connections.serve("ping", echo);
      connections.expect("ping");
    }
  });
}

TEST_CASE("a child of fork makes a ring of its own; the parent's goes on") {
  test::in_green_thread([] {
    Connections connections;
    const pid_t child = fork();
    if (child == 0) {
      const int before = fake::rings;
      Connections own;
      own.serve("ping", echo);
      own.expect("ping");
      _exit(fake::rings - before == (before > 0 ? 1 : 0) ? 0 : 1);
    }
    connections.serve("ping", echo);
    connections.expect("ping");
    CHECK(green::os::waitpid(child) == std::pair(child, 0));
  });
}

TEST_CASE("each OS thread has a ring of its own") {
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([] {
      on_another_thread([] {
        Connections connections;
        for (int round = 0; round < 50; ++round) {
          connections.serve("ping", echo);
          connections.expect("ping");
        }
      });
    });
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("storm: every byte that was sent is received once, in order, whoever is interrupted") {
  test::in_green_thread([] {
    constexpr std::size_t count = 50;
    Connections connections(count);
    std::mt19937 random(1);
    std::vector<std::string> sent(count);
    std::vector<std::string> received(count);

    // Each server sends what it has received, whole; who interrupts it loses nothing it has sent.
    std::vector<GreenThread<void>> servers;
    for (std::size_t i = 0; i < count; ++i)
      servers.push_back(green::spawn([&, i] {
        std::string kept;
        for (;;) {
          try {
            if (kept.empty()) kept = connections.pairs[i].b.recv(1000);
            if (kept.empty()) return;
            const std::size_t some = connections.pairs[i].b.send(kept);
            kept.erase(0, some);
          } catch (const Interrupted&) {
          }
        }
      }));
    green::sleep(0.001);  // they have begun
    for (int round = 0; round < 2000; ++round) {
      for (int n = 0; n < 10; ++n) {
        const std::size_t i = random() % count;
        std::string piece;
        for (std::size_t b = 1 + random() % 20; b > 0; --b)
          piece += static_cast<char>('a' + (sent[i].size() + piece.size()) % 26);
        REQUIRE(::send(connections.pairs[i].a.fileno(), piece.data(), piece.size(), 0) ==
                static_cast<ssize_t>(piece.size()));
        sent[i] += piece;
      }
      if (round % 3 == 0) servers[random() % count].kill(Interrupted());
      green::sleep(0);
      for (std::size_t i = 0; i < count; ++i) {
        char buffer[4096];
        const ssize_t got =
            ::recv(connections.pairs[i].a.fileno(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (got > 0) received[i].append(buffer, static_cast<std::size_t>(got));
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      while (received[i].size() < sent[i].size()) received[i] += connections.pairs[i].a.recv(4096);
      connections.pairs[i].a.shutdown(SHUT_WR);
      CHECK(received[i] == sent[i]);
    }
    for (GreenThread<void>& server : servers) server.wait();
  });
}
