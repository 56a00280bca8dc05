// After fork() a green call in the child works, on a fresh loop where only who forked lives. Ported
// from eventlet's isolated/hub_fork and hub_fork_simple.

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <csignal>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// Runs `body` in a child of this green thread, and gives its status: what body gave, if it did.
int status_of_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(static_cast<unsigned>(test::watchdog));
    int status = 99;
    try {
      status = body();
    } catch (...) {
    }
    _exit(status);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

aio::task<int> sleeps() {
  co_await aio::sleep(0.001);
  co_return 7;
}

// A request and its reply, over a listener of its own.
std::string echo_once() {
  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  auto server = green::spawn([&] {
    auto [peer, address] = listener.accept();
    peer.sendall(peer.recv(100));
  });
  green::Socket client = green::connect(listener.getsockname());
  client.sendall("hello");
  return client.recv(100);
}

}  // namespace

TEST_CASE("the child sleeps, spawns, awaits and talks over sockets") {
  green::sleep(0.001);
  CHECK(echo_once() == "hello");
  auto other = green::spawn([] { green::sleep(test::watchdog); });
  green::sleep(0);
  CHECK(status_of_child([] {
          green::sleep(0.001);
          const int spawned = green::spawn([] {
                                green::sleep(0.001);
                                return 5;
                              }).wait();
          return spawned + green::awaitlet(sleeps()) + (echo_once() == "hello" ? 1 : 0);
        }) == 13);
  other.kill();
}

TEST_CASE("the parent is untouched: its sockets, timers and green threads go on") {
  const auto [ours, theirs] = [] {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    return std::pair(green::Socket::from_fd(ends[0]), green::Socket::from_fd(ends[1]));
  }();
  auto reader =
      green::spawn([&socket = const_cast<green::Socket&>(ours)] { return socket.recv(10); });
  bool woken = false;
  auto sleeper = green::spawn([&] {
    green::sleep(0.01);
    woken = true;
  });
  green::sleep(0);  // the reader's poll is armed
  CHECK(status_of_child([] {
          green::sleep(0.02);  // the sleeper's time passes here, where it does not live
          return echo_once() == "hello" ? 3 : 4;
        }) == 3);
  CHECK_FALSE(woken);
  const_cast<green::Socket&>(theirs).sendall("x");
  CHECK(reader.wait() == "x");
  sleeper.wait();
  CHECK(woken);
}

TEST_CASE("a child of a green thread ends with 0 when its function returns") {
  pid_t child = -1;
  auto forker = green::spawn([&] {
    const pid_t pid = fork();
    if (pid != 0) {
      child = pid;
      return;
    }
    alarm(static_cast<unsigned>(test::watchdog));
    green::sleep(0.001);
    std::fclose(stdout);  // what this test program has written is the parent's to flush
  });
  forker.wait();
  REQUIRE(child > 0);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a child of a coroutine goes on in it") {
  auto forks = []() -> aio::task<int> {
    co_await aio::sleep(0);
    const pid_t child = fork();
    if (child == 0) {
      alarm(static_cast<unsigned>(test::watchdog));
      co_await aio::sleep(0.001);
      _exit(6);
    }
    int status = 0;
    waitpid(child, &status, 0);
    co_return WEXITSTATUS(status);
  };
  CHECK(green::awaitlet(forks()) == 6);
  CHECK(aio::run(forks()) == 6);
}

TEST_CASE("a time limit around a fork holds in the child as well") {
  CHECK(status_of_child([] { return 0; }) == 0);
  const green::Timeout limit(0.05);
  CHECK(status_of_child([] {
          try {
            green::sleep(test::watchdog);
          } catch (const green::TimeoutExpired&) {
            return 8;
          }
          return 9;
        }) == 8);
}

TEST_CASE("a socket of the parent's can be used in the child") {
  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  auto acceptor = green::spawn([&] { return listener.accept().first.recv(10); });
  green::sleep(0);  // it is watched by the parent's loop
  CHECK(status_of_child([&] {
          green::Socket client = green::connect(listener.getsockname());
          auto [peer, address] = listener.accept();  // the parent's acceptor did not come along
          peer.sendall("hi");
          return client.recv(10) == "hi" ? 2 : 1;
        }) == 2);
  green::Socket client = green::connect(listener.getsockname());
  client.sendall("parent");
  CHECK(acceptor.wait() == "parent");
}

TEST_CASE("children of children work as well, and a deadlock is known there") {
  CHECK(status_of_child([] {
          green::sleep(0);
          return status_of_child([] {
            try {
              green::Event<>().wait();
            } catch (const uvlet::Deadlock&) {
              return green::awaitlet(sleeps());
            }
            return 1;
          });
        }) == 7);
}

TEST_CASE("a signal to the child is the child's, whatever the parent waits for") {
  { const aio::SignalReceiver ended(SIGUSR1); }  // whose handle is still being closed
  aio::SignalReceiver signals(SIGTERM);
  const pid_t child = fork();
  if (child == 0) {
    kill(getpid(), SIGTERM);
    _exit(7);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  auto received = aio::create_task(signals.receive());
  green::sleep(0.01);
  CHECK_FALSE(received.done());
  kill(getpid(), SIGTERM);
  CHECK(green::awaitlet(received) == SIGTERM);
}
