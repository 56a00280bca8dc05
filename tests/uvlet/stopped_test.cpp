// A process that is stopped and continued: what came due meanwhile happens once, in order.

#include "../support.hpp"

#include <green/green.hpp>

#include <csignal>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// Sleeps and reads; then what happened, in order, if all was at its time.
std::string sleeps_and_reads(green::Socket& peer) {
  test::Log log;
  const uvlet::Time start = uvlet::Hub::get().now();
  auto sleeps = [&](const char* name, double seconds) {
    return green::spawn([&log, start, name, seconds] {
      green::sleep(seconds);
      const uvlet::Time slept = uvlet::Hub::get().now() - start;
      log(static_cast<double>(slept) < seconds * 1e9 ? "early" : name);
    });
  };
  auto reader = green::spawn([&] { return peer.recv(100); });
  auto third = sleeps("third", 0.3);
  auto first = sleeps("first", 0.1);
  auto second = sleeps("second", 0.2);
  auto limited = green::spawn([&] {
    log(green::move_on_after(0.25, [] { green::sleep(test::watchdog); }) ? "slept" : "limit");
  });
  third.wait();
  limited.wait();
  return log.text() + ", " + reader.wait();
}

// How the child was stopped or has ended.
int next_status(pid_t child) {
  int status = 0;
  REQUIRE(waitpid(child, &status, WUNTRACED) == child);
  return status;
}

}  // namespace

TEST_CASE("sleepers, time limits and readers of a process that was stopped go on") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    alarm(static_cast<unsigned>(test::watchdog));
    close(ends[0]);
    green::Socket peer = green::Socket::from_fd(ends[1]);
    peer.sendall("sleeping");
    peer.sendall(sleeps_and_reads(peer));
    _exit(0);
  }
  close(ends[1]);
  green::Socket peer = green::Socket::from_fd(ends[0]);
  REQUIRE(peer.recv(100) == "sleeping");
  green::sleep(0.02);  // it is in epoll_wait by now, which a stop interrupts
  REQUIRE(kill(child, SIGSTOP) == 0);
  REQUIRE(WIFSTOPPED(next_status(child)));
  green::sleep(0.4);  // all that it waits for comes due
  peer.sendall("sent meanwhile");
  REQUIRE(kill(child, SIGCONT) == 0);
  CHECK(peer.recv(100) == "first second limit third, sent meanwhile");
  CHECK(WIFEXITED(next_status(child)));
}

TEST_CASE("one that is stopped while it is busy goes on as well") {
  const pid_t child = fork();
  if (child == 0) {
    alarm(static_cast<unsigned>(test::watchdog));
    auto sleeper = green::spawn([] { green::sleep(0.01); });
    green::sleep(0);
    raise(SIGSTOP);
    sleeper.wait();
    _exit(7);
  }
  REQUIRE(WIFSTOPPED(next_status(child)));
  green::sleep(0.02);
  REQUIRE(kill(child, SIGCONT) == 0);
  const int status = next_status(child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}
