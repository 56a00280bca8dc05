// Sockets that are ready in the same turn of the loop: they receive together, by one call of the
// system, which nobody may notice.

#include "../fake_io_uring.hpp"
#include "sockets.hpp"

#include <green/greenthread.hpp>
#include <green/os.hpp>
#include <uvlet/hub.hpp>

#include <exception>
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

struct Interrupted : std::exception {};

// Connections whose servers' ends have waited once: they are watched from then on.
class Connections {
 public:
  explicit Connections(std::size_t count = several) : pairs(count) {
    serve("first");
    expect("first");
  }

  // Sends this to all of them, so that it comes in one turn; each server receives it and sends it
  // back.
  void serve(const std::string& message) {
    std::vector<GreenThread<void>> servers;
    for (test::TcpPair& pair : pairs)
      servers.push_back(green::spawn([&pair] { pair.b.sendall(pair.b.recv(65536)); }));
    green::sleep(0.001);  // they wait
    for (test::TcpPair& pair : pairs)
      REQUIRE(::send(pair.a.fileno(), message.data(), message.size(), 0) ==
              static_cast<ssize_t>(message.size()));
    for (GreenThread<void>& server : servers) server.wait();
  }
  void expect(const std::string& reply) {
    for (test::TcpPair& pair : pairs) CHECK(test::receive(pair.a, reply.size()) == reply);
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

// Until the hub lets few switch in a turn.
void switch_slowly() {
  const auto spin = [] {
    for (int i = 0; i < 2000; ++i) {
      const uvlet::Time start = uvlet::Hub::get().now();
      while (uvlet::Hub::get().now() - start < 5'000) continue;
      green::sleep(0);
    }
  };
  GreenThread<void> other = green::spawn(spin);
  spin();
  other.wait();
}

}  // namespace

TEST_CASE("sockets that are ready together receive by one call") {
  test::in_green_thread([] {
    Connections connections;
    until_together([&] {
      const int before = fake::enters;
      connections.serve("ping");
      connections.expect("ping");
      return fake::enters - before == 1;
    });
  });
}

TEST_CASE("a socket that is ready alone makes its own calls") {
  test::in_green_thread([] {
    Connections connections(1);
    const int before = fake::enters;
    connections.serve("ping");
    CHECK(fake::enters == before);
    connections.expect("ping");
  });
}

TEST_CASE("what a ring does not take is done all the same") {
  for (const long taken : {3L, 1L, 0L, -1L}) {
    CAPTURE(taken);
    on_another_thread([taken] {
      Connections connections;
      fake::calls_taken = taken;
      for (int round = 0; round < 3; ++round) {
        connections.serve("ping");
        connections.expect("ping");
      }
      fake::calls_taken = 1000;
      connections.serve("pong");
      connections.expect("pong");
    });
  }
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

TEST_CASE(
    "who is closed, killed or too late receives nothing; what came stays for the next reader") {
  test::in_green_thread([] {
    Connections connections;
    std::vector<GreenThread<void>> readers;
    std::vector<int> errors(several);
    for (std::size_t i = 0; i < several; ++i)
      readers.push_back(green::spawn([&, i] {
        if (i == 2) connections.pairs[i].b.settimeout(0.001);
        errors[i] = errno_of([&] { connections.pairs[i].b.recv(100); });
      }));
    green::sleep(0.003);
    connections.pairs[0].b.close();
    readers[1].kill();
    for (test::TcpPair& pair : connections.pairs)
      REQUIRE(::send(pair.a.fileno(), "data", 4, MSG_NOSIGNAL) == 4);
    CHECK_THROWS_AS(readers[1].wait(), green::GreenletExit);
    for (std::size_t i = 2; i < several; ++i) readers[i].wait();
    readers[0].wait();
    CHECK(errors == std::vector<int>{EBADF, 0, ETIMEDOUT, 0, 0, 0, 0, 0});
    CHECK(connections.pairs[1].b.recv(100) == "data");
    CHECK(connections.pairs[2].b.recv(100) == "data");
  });
}

TEST_CASE("urgent data among what comes together lose nothing") {
  test::in_green_thread([] {
    Connections connections;
    for (int round = 0; round < 50; ++round) {
      std::vector<GreenThread<void>> readers;
      for (std::size_t i = 0; i < several; ++i)
        readers.push_back(
            green::spawn([&, i] { CHECK(test::receive(connections.pairs[i].b, 6) == "abcdef"); }));
      green::sleep(0);
      for (test::TcpPair& pair : connections.pairs) {
        REQUIRE(::send(pair.a.fileno(), "abc", 3, 0) == 3);
        REQUIRE(::send(pair.a.fileno(), "!", 1, MSG_OOB) == 1);
        REQUIRE(::send(pair.a.fileno(), "def", 3, 0) == 3);
      }
      for (GreenThread<void>& reader : readers) reader.wait();
    }
  });
}

TEST_CASE("what is received into memory of the caller's comes there") {
  test::in_green_thread([] {
    Connections connections;
    char memory[several][8] = {};
    std::vector<GreenThread<void>> readers;
    for (std::size_t i = 0; i < several; ++i)
      readers.push_back(
          green::spawn([&, i] { CHECK(connections.pairs[i].b.recv_into(memory[i]) == 4); }));
    green::sleep(0.001);
    for (test::TcpPair& pair : connections.pairs)
      REQUIRE(::send(pair.a.fileno(), "data", 4, 0) == 4);
    for (GreenThread<void>& reader : readers) reader.wait();
    for (const char* got : memory) CHECK(std::string(got) == "data");
  });
}

TEST_CASE("where a reader and a writer wait, a reset is no end of the stream to the reader") {
  test::in_green_thread([] {
    Connections connections;
    const std::string much(32 << 20, 'x');
    std::vector<int> reading(several), writing(several);
    std::vector<GreenThread<void>> all;
    for (std::size_t i = 0; i < several; ++i) {
      all.push_back(green::spawn(
          [&, i] { reading[i] = errno_of([&] { connections.pairs[i].b.recv(10); }); }));
      all.push_back(green::spawn(
          [&, i] { writing[i] = errno_of([&] { connections.pairs[i].b.sendall(much); }); }));
    }
    green::sleep(0.1);
    for (test::TcpPair& pair : connections.pairs) {
      pair.a.setsockopt(SOL_SOCKET, SO_LINGER, linger{1, 0});
      pair.a.close();
    }
    for (GreenThread<void>& each : all) each.wait();
    for (std::size_t i = 0; i < several; ++i) {
      CHECK(reading[i] == ECONNRESET);
      CHECK(writing[i] == EPIPE);
    }
  });
}

TEST_CASE("who comes last in a burst that is more than a turn serves waits for no next event") {
  test::in_green_thread([] {
    Connections connections(200);
    Socket& last = connections.pairs.back().b;
    GreenThread<void> reader = green::spawn([&] { CHECK(last.recv(10) == "data"); });
    switch_slowly();
    test::in_libuv_callback([&] {  // all of them at once, for the loop; nobody waits for the others
      for (test::TcpPair& pair : connections.pairs) ::send(pair.a.fileno(), "data", 4, 0);
    });
    reader.wait();
  });
}

TEST_CASE("more than fit into a ring are all served") {
  test::in_green_thread([] {
    Connections connections(200);
    for (int round = 0; round < 20; ++round) {
      connections.serve("ping");
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
      own.serve("ping");
      own.expect("ping");
      _exit(fake::rings - before == (before > 0 ? 1 : 0) ? 0 : 1);
    }
    connections.serve("ping");
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
          connections.serve("ping");
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
