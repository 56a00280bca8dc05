// How a hub hears that a socket is ready: what an edge-triggered watch must not lose, and who runs
// in which order.

#include "sockets.hpp"

#include <aio/aio.hpp>
#include <green/awaitlet.hpp>
#include <green/event.hpp>
#include <green/os.hpp>
#include <green/select.hpp>
#include <green/trampoline.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <uvlet/hub.hpp>

namespace {

using green::OwnedFd;
using test::connected;
using test::errno_of;

// Lets what was sent arrive: the loopback delivers within send().
void turn_of_the_loop() { green::sleep(0.001); }

// Reads a message, so that the socket is watched from then on.
void watched(green::Socket& from, green::Socket& to) {
  green::GreenThread<std::string> reader = green::spawn([&] { return to.recv(10); });
  turn_of_the_loop();
  from.sendall("first");
  CHECK(reader.wait() == "first");
}

}  // namespace

TEST_CASE("the end of the stream that came with the last data is seen") {
  test::in_green_thread([] {
    auto [a, b] = connected();
    watched(a, b);
    for (const bool parked : {true, false}) {
      auto [c, d] = connected();
      watched(c, d);
      green::GreenThread<std::string> reader = green::spawn([&d = d] {
        std::string got = d.recv(100);
        return got + (d.recv(100).empty() ? "." : "?");
      });
      if (parked) turn_of_the_loop();
      c.sendall("last");
      c.close();
      CHECK(reader.wait() == "last.");
    }
  });
}

TEST_CASE("a read that urgent data cut short is followed by the rest") {
  test::in_green_thread([] {
    auto both = connected();
    green::Socket &a = both.first, &b = both.second;
    watched(a, b);
    REQUIRE(::send(a.fileno(), "abc", 3, 0) == 3);
    REQUIRE(::send(a.fileno(), "!", 1, MSG_OOB) == 1);
    REQUIRE(::send(a.fileno(), "def", 3, 0) == 3);
    std::string got;
    while (got.size() < 6) got += b.recv(100);
    CHECK(got == "abcdef");
  });
}

TEST_CASE("data that came while nobody read are there for the next reader") {
  test::in_green_thread([] {
    auto both = connected();
    green::Socket &a = both.first, &b = both.second;
    watched(a, b);
    for (int i = 0; i < 3; ++i) {
      a.sendall("unasked");
      turn_of_the_loop();  // the edge goes by
      CHECK(b.recv(100) == "unasked");
    }
    a.sendall("x");
    turn_of_the_loop();
    a.close();
    turn_of_the_loop();
    CHECK(b.recv(100) == "x");
    CHECK(b.recv(100) == "");
  });
}

TEST_CASE("a writer gets on whenever the peer reads, again and again") {
  test::in_green_thread([] {
    auto both = connected();
    green::Socket &a = both.first, &b = both.second;
    watched(a, b);
    const std::string block(300'000, 'x');
    green::GreenThread<void> writer = green::spawn([&] {
      for (int i = 0; i < 20; ++i) a.sendall(block);
      a.close();
    });
    std::size_t total = 0;
    for (std::string data = b.recv(70'000); !data.empty(); data = b.recv(70'000))
      total += data.size();
    CHECK(total == 20 * block.size());
    writer.wait();
  });
}

TEST_CASE("a copy of a socket goes on when the socket is closed") {
  test::in_green_thread([] {
    auto both = connected();
    green::Socket &a = both.first, &b = both.second;
    watched(a, b);
    green::Socket copy = b.dup();
    green::GreenThread<std::string> reader = green::spawn([&] { return copy.recv(100); });
    turn_of_the_loop();
    b.close();
    turn_of_the_loop();
    a.sendall("to the copy");
    CHECK(reader.wait() == "to the copy");
  });
}

TEST_CASE("who is woken may close another whose event has come as well") {
  test::in_green_thread([] {
    auto first = connected(), second = connected();
    green::Socket* others[2] = {&first.second, &second.second};
    int served = 0, closed = 0;
    std::vector<green::GreenThread<void>> readers;
    for (int i = 0; i < 2; ++i)
      readers.push_back(green::spawn([&, i] {
        std::string got = "both";
        const int error = errno_of([&] { got = others[i]->recv(10); });
        CHECK((error == 0 || error == EBADF));
        CHECK(got == "both");
        ++(error == 0 ? served : closed);
        others[1 - i]->close();
      }));
    turn_of_the_loop();
    first.first.sendall("both");
    second.first.sendall("both");
    for (auto& reader : readers) reader.wait();
    CHECK(served >= 1);
    CHECK(served + closed == 2);
  });
}

TEST_CASE("a connect after one that was refused waits for its own outcome") {
  test::in_green_thread([] {
    green::Socket closed = green::listen(test::anywhere());
    const green::Address nobody = closed.getsockname();
    closed.close();
    test::FullListener full;
    green::Socket socket;
    CHECK(socket.connect_ex(nobody) == ECONNREFUSED);
    socket.settimeout(0.05);
    int error = socket.connect_ex(full.listener.getsockname());
    if (error == ECONNABORTED)  // once more of the old one
      error = socket.connect_ex(full.listener.getsockname());
    CHECK(error == ETIMEDOUT);
  });
}

TEST_CASE("busy sockets keep neither yields, timers nor libuv's handles waiting") {
  auto both = connected();
  green::Socket &a = both.first, &b = both.second;
  bool stop = false;
  auto echo = [&](green::Socket& socket) {
    return green::spawn([&] {
      // Whoever sends last is told that the other has gone.
      errno_of([&] {
        while (!stop) socket.sendall(socket.recv(100));
      });
      socket.close();
    });
  };
  auto left = echo(a), right = echo(b);
  a.sendall("ball");
  int yields = 0;
  green::GreenThread<void> yielder = green::spawn([&] {
    for (; yields < 1000; ++yields) green::sleep(0);
  });
  test::in_green_thread([&] {
    test::in_libuv_callback([] {});
    yielder.wait();
  });
  stop = true;
  left.wait();
  right.wait();
  CHECK(yields == 1000);
}

TEST_CASE("green threads that are always ready keep no socket waiting") {
  test::in_green_thread([] {
    auto both = connected();
    green::Socket &a = both.first, &b = both.second;
    bool stop = false;
    auto busy = green::spawn([&] {
      while (!stop) green::sleep(0);
    });
    auto echo = green::spawn([&] {
      for (std::string data = b.recv(100); !data.empty(); data = b.recv(100)) b.sendall(data);
    });
    for (int i = 0; i < 100; ++i) {
      a.sendall("ping");
      CHECK(a.recv(100) == "ping");
    }
    stop = true;
    a.close();
    busy.wait();
    echo.wait();
  });
}

TEST_CASE("a reader to whom something is always there lets others run every 128th time") {
  test::in_green_thread([] {
    auto [a, b] = connected();
    constexpr int calls = 10 * uvlet::Hub::io_budget_full;
    a.sendall(std::string(calls, 'x'));
    turn_of_the_loop();
    int turns = 0;
    auto other = green::spawn([&] {
      for (;; ++turns) green::sleep(0);
    });
    green::sleep(0);
    const int before = turns;
    uvlet::Hub::get().io_budget = uvlet::Hub::io_budget_full;
    for (int i = 0; i < calls; ++i) CHECK(b.recv(1) == "x");
    CHECK(turns - before == 10);
    other.kill();
  });
}

TEST_CASE("a kill that comes while a reader lets others run does not lose what it has read") {
  test::in_green_thread([] {
    auto [a, b] = connected();
    a.sendall("abc");
    turn_of_the_loop();
    std::string got;
    auto reader = green::spawn([&got, &b = b] {
      uvlet::Hub::get().io_budget = 1;
      got += b.recv(1);
      green::sleep(test::watchdog);
    });
    green::sleep(0);
    reader.kill();
    CHECK_THROWS_AS(reader.wait(), green::GreenletExit);
    CHECK(got == "a");
    CHECK(b.recv(10) == "bc");
  });
}

TEST_CASE("limits, kills and Shields hold for a reader to whom something is always there") {
  test::in_green_thread([] {
    auto [a, b] = connected();
    bool flooding = true;
    auto flood = green::spawn([&a = a] {
      for (;;) a.sendall(std::string(64 * 1024, 'x'));
    });
    const auto reads = [&b = b] {
      for (;;) b.recv(1);
    };
    CHECK_THROWS_AS(green::with_timeout(0.01, reads), green::TimeoutExpired);
    auto killed = green::spawn(reads);
    green::sleep(0.001);
    killed.kill();
    CHECK_THROWS_AS(killed.wait(), green::GreenletExit);
    auto shielded = green::spawn([&flooding, &b = b] {
      {
        const green::Shield shield;
        while (flooding) b.recv(1);
      }
      green::sleep(test::watchdog);
    });
    green::sleep(0);
    shielded.kill();
    for (int turns = 0; turns < 10; ++turns) green::sleep(0);
    flooding = false;
    CHECK_THROWS_AS(shielded.wait(), green::GreenletExit);
    CHECK_THROWS_AS(green::awaitlet(aio::wait_for(aio::async_def_strict(reads), 0.01)),
                    aio::TimeoutError);
    flood.kill();
  });
}

TEST_CASE("a loop over calls that need not wait, or may not, starves nobody") {
  test::in_green_thread([] {
    const auto ends = green::os::pipe();
    const int ready = ends.first;
    const OwnedFd read_end(ready), write_end(ends.second);
    REQUIRE(green::os::write(ends.second, "x") == 1);
    const OwnedFd zeros(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    const OwnedFd nothing(open("/dev/null", O_WRONLY | O_CLOEXEC));
    const OwnedFd empty(eventfd(0, EFD_CLOEXEC));
    auto [a, b] = connected();
    b.settimeout(0);
    green::Socket listener = green::listen(test::anywhere());
    listener.settimeout(0);

    const auto others_run = [](auto call) {
      constexpr int enough = 100 * uvlet::Hub::io_budget_full;
      bool ran = false;
      auto other = green::spawn([&] {
        green::sleep(0);
        ran = true;
      });
      int calls = 0;
      while (!ran && calls < enough) {
        call();
        ++calls;
      }
      other.kill();
      return ran;
    };
    using green::select::select;
    CHECK(others_run([&] { select({ready}, {}, {}); }));
    CHECK(others_run([&] { select({ready}, {}, {}, 0); }));
    CHECK(others_run([&] {
      pollfd interest{ready, POLLIN, 0};
      green::select::poll(std::span(&interest, 1));
    }));
    CHECK(others_run([&] { green::trampoline(ready, true, false); }));
    CHECK(others_run([&] {
      CHECK(test::errno_of([&] { green::trampoline(empty.get(), true, false, 0); }) == ETIMEDOUT);
    }));
    CHECK(others_run([&] { green::os::read(zeros.get(), 10); }));
    CHECK(others_run([&] { green::os::write(nothing.get(), "x"); }));
    CHECK(others_run([&, &b = b] { CHECK(test::errno_of([&] { b.recv(1); }) == EAGAIN); }));
    CHECK(others_run([&] { CHECK(test::errno_of([&] { listener.accept(); }) == EAGAIN); }));
  });
}

TEST_CASE(
    "a call that may not wait, and is interrupted as it lets others run, finds the same next") {
  test::in_green_thread([] {
    auto [a, b] = connected();
    b.settimeout(0);
    auto caller = green::spawn([&b = b] {
      uvlet::Hub::get().io_budget = 1;
      return errno_of([&b = b] { b.recv(1); });
    });
    green::sleep(0);
    caller.kill();
    CHECK(caller.wait() == EAGAIN);
    a.sendall("x");
    turn_of_the_loop();
    CHECK(b.recv(1) == "x");
  });
}
