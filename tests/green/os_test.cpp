#include "sockets.hpp"

#include <aio/gather.hpp>
#include <green/os.hpp>

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/wait.h>

using green::OwnedFd;
using test::errno_of;
namespace os = green::os;

namespace {

struct Pipe {
  Pipe() {
    const auto ends = os::pipe();
    r = OwnedFd(ends.first);
    w = OwnedFd(ends.second);
  }
  OwnedFd r, w;
};

// A pseudo-terminal in raw mode: its two ends.
struct Terminal {
  Terminal() {
    master = OwnedFd(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(master.get() >= 0);
    REQUIRE(grantpt(master.get()) == 0);
    REQUIRE(unlockpt(master.get()) == 0);
    slave = OwnedFd(open(ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(slave.get() >= 0);
  }
  OwnedFd master, slave;
};

pid_t child_that(int (*body)()) {
  const pid_t pid = fork();
  if (pid == 0) {
    std::signal(SIGTERM, SIG_DFL);  // not the test framework's
    _exit(body());
  }
  REQUIRE(pid > 0);
  return pid;
}

}  // namespace

TEST_CASE("a pipe that blocks, blocks the green thread alone: reading") {
  Pipe pipe;
  CHECK((fcntl(pipe.r.get(), F_GETFL) & O_NONBLOCK) == 0);
  CHECK((fcntl(pipe.r.get(), F_GETFD) & FD_CLOEXEC) != 0);
  auto reader = green::spawn([&] { return os::read(pipe.r.get(), 4096); });
  green::sleep(0.002);
  CHECK_FALSE(reader.dead());
  CHECK(os::write(pipe.w.get(), "hello") == 5);
  CHECK(reader.wait() == "hello");
  CHECK((fcntl(pipe.r.get(), F_GETFL) & O_NONBLOCK) == 0);
  os::write(pipe.w.get(), "abc");
  CHECK(os::read(pipe.r.get(), 2) == "ab");
  CHECK(os::read(pipe.r.get(), 0) == "");
  CHECK(os::read(pipe.r.get(), 10) == "c");
  pipe.w = OwnedFd();
  CHECK(os::read(pipe.r.get(), 10) == "");
}

TEST_CASE("a pipe that blocks, blocks the green thread alone: writing, however much") {
  Pipe pipe;
  std::size_t written = 0;
  auto writer = green::spawn([&] {
    const std::string block(100'000, 'x');
    for (int i = 0; i < 20; ++i) {
      std::string_view left = block;
      while (!left.empty()) {
        const std::size_t put = os::write(pipe.w.get(), left);
        written += put;
        left.remove_prefix(put);
      }
    }
  });
  green::sleep(0.002);
  CHECK_FALSE(writer.dead());
  CHECK(written > 0);
  std::size_t got = 0;
  while (got < 2'000'000) got += os::read(pipe.r.get(), 1 << 20).size();
  writer.wait();
  CHECK(written == 2'000'000);
  CHECK((fcntl(pipe.w.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("one byte at a time into a full pipe never blocks the hub") {
  Pipe pipe;
  auto writer = green::spawn([&] {
    for (int i = 0; i < 1'000'000; ++i) os::write(pipe.w.get(), std::string_view("\0", 1));
  });
  green::sleep(0.02);
  writer.kill();
  CHECK(writer.dead());
}

TEST_CASE("os::read and os::write: terminals, sockets, devices and event counters") {
  const Terminal terminal;
  auto line = green::spawn([&] { return os::read(terminal.slave.get(), 100); });
  green::sleep(0.001);
  CHECK_FALSE(line.dead());
  CHECK(os::write(terminal.master.get(), "typed\n") == 6);
  CHECK(line.wait() == "typed\n");
  CHECK((fcntl(terminal.slave.get(), F_GETFL) & O_NONBLOCK) == 0);

  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const OwnedFd a(ends[0]), b(ends[1]);
  auto reader = green::spawn([&] { return os::read(b.get(), 100); });
  green::sleep(0.001);
  os::write(a.get(), "through a socket");
  CHECK(reader.wait() == "through a socket");

  const OwnedFd zero(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  CHECK(os::read(zero.get(), 3) == std::string(3, '\0'));
  const OwnedFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK(os::read(null.get(), 3) == "");
  CHECK(os::write(null.get(), "gone") == 4);

  const OwnedFd counter(eventfd(0, EFD_CLOEXEC));
  auto woken = green::spawn([&] { return os::read(counter.get(), 8); });
  green::sleep(0.001);
  CHECK_FALSE(woken.dead());
  REQUIRE(eventfd_write(counter.get(), 5) == 0);
  CHECK(woken.wait()[0] == 5);
}

TEST_CASE("a terminal that nobody reads does not block the hub") {
  const Terminal terminal;
  std::size_t written = 0;
  auto writer = green::spawn([&] {
    for (;;) written += os::write(terminal.slave.get(), std::string(100'000, 'x'));
  });
  green::sleep(0.02);
  CHECK(written > 0);
  writer.kill();
  CHECK(writer.dead());
}

TEST_CASE("files are read and written at their position, on the thread pool") {
  const test::Folder folder;
  const OwnedFd file(open((folder / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  CHECK(os::write(file.get(), "0123456789") == 10);
  CHECK(lseek(file.get(), 0, SEEK_SET) == 0);
  CHECK(os::read(file.get(), 4) == "0123");
  CHECK(os::read(file.get(), SIZE_MAX) == "456789");
  CHECK(os::read(file.get(), 4) == "");
  const std::string big(1 << 20, 'x');
  CHECK(os::write(file.get(), big) == big.size());
  lseek(file.get(), 10, SEEK_SET);
  CHECK((os::read(file.get(), big.size()) == big));
  const OwnedFd unwritable(open((folder / "file").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(errno_of([&] { os::write(unwritable.get(), "x"); }) == EBADF);
  const OwnedFd directory(open((folder / ".").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(errno_of([&] { os::read(directory.get(), 1); }) == EISDIR);
}

TEST_CASE("errors of descriptors: closed, the wrong end, the other end closed") {
  Pipe pipe;
  CHECK(errno_of([] { os::read(-1, 1); }) == EBADF);
  CHECK(errno_of([] { os::write(123'456, "x"); }) == EBADF);
  CHECK(errno_of([&] { os::write(pipe.r.get(), "x"); }) == EBADF);
  CHECK(errno_of([&] { os::read(pipe.w.get(), 1); }) == EBADF);
  pipe.r = OwnedFd();
  CHECK(errno_of([&] { os::write(pipe.w.get(), "x"); }) == EPIPE);
}

TEST_CASE("a second simultaneous os::read is a logic_error; a killed one loses nothing") {
  Pipe pipe;
  auto first = green::spawn([&] { return os::read(pipe.r.get(), 10); });
  green::sleep(0.001);
  CHECK_THROWS_AS(os::read(pipe.r.get(), 10), std::logic_error);
  first.kill();
  CHECK(first.dead());
  os::write(pipe.w.get(), "kept");
  CHECK(os::read(pipe.r.get(), 10) == "kept");
}

TEST_CASE("waitpid: the end of a child, in whatever way, is an event") {
  const int before = test::open_fds();
  const pid_t ends = child_that([] { return 3; });
  auto [pid, status] = os::waitpid(ends);
  CHECK(pid == ends);
  CHECK(WEXITSTATUS(status) == 3);
  const pid_t sleeps = child_that([] { return pause(); });
  CHECK(os::waitpid(sleeps, WNOHANG) == std::pair<pid_t, int>(0, 0));
  auto waiter = green::spawn([=] { return os::waitpid(sleeps); });
  green::sleep(0.002);
  CHECK_FALSE(waiter.dead());
  const std::uint64_t polls = uvlet::Hub::current().stats().polls;
  green::sleep(0.05);
  CHECK(uvlet::Hub::current().stats().polls - polls < 20);  // nobody looks again and again
  kill(sleeps, SIGTERM);
  std::tie(pid, status) = waiter.wait();
  CHECK(pid == sleeps);
  CHECK(WTERMSIG(status) == SIGTERM);
  CHECK(errno_of([=] { os::waitpid(sleeps); }) == ECHILD);
  CHECK(errno_of([] { os::waitpid(getpid()); }) == ECHILD);
  CHECK(errno_of([=] { os::waitpid(sleeps, 0x1234567); }) == EINVAL);
  CHECK(test::open_fds() == before);
}

TEST_CASE("waitpid that is killed leaves the child to the next") {
  const pid_t child = child_that([] { return pause(); });
  auto waiter = green::spawn([=] { return os::waitpid(child); });
  green::sleep(0.001);
  waiter.kill();
  CHECK(waiter.dead());
  CHECK_THROWS_AS(green::with_timeout(0.002, [=] { os::waitpid(child); }), green::TimeoutExpired);
  kill(child, SIGKILL);
  CHECK(os::waitpid(child).first == child);
}

TEST_CASE("waitpid for any child, for a group, and for stops") {
  CHECK(errno_of([] { os::waitpid(-1); }) == ECHILD);
  const pid_t stops = child_that([] { return raise(SIGSTOP) == 0 ? 5 : 6; });
  auto [pid, status] = os::waitpid(stops, WUNTRACED);
  CHECK(pid == stops);
  CHECK(WIFSTOPPED(status));
  auto ended = green::spawn([] { return os::waitpid(-1); });
  green::sleep(0.002);
  CHECK_FALSE(ended.dead());
  kill(stops, SIGCONT);
  std::tie(pid, status) = ended.wait();
  CHECK(pid == stops);
  CHECK(WEXITSTATUS(status) == 5);
  const pid_t grouped = child_that([] {
    setpgid(0, 0);
    return pause();
  });
  setpgid(grouped, grouped);
  auto group = green::spawn([=] { return os::waitpid(-grouped); });
  green::sleep(0.001);
  kill(-grouped, SIGKILL);
  CHECK(group.wait().first == grouped);
}

TEST_CASE("a hundred children, waited for at once, each its own status") {
  std::vector<pid_t> children;
  for (int i = 0; i < 100; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      usleep(static_cast<useconds_t>(i % 7) * 1000);
      _exit(i);
    }
    children.push_back(pid);
  }
  std::vector<green::GreenThread<int>> waiters;
  for (const pid_t child : children)
    waiters.push_back(green::spawn([child] { return WEXITSTATUS(os::waitpid(child).second); }));
  for (int i = 0; i < 100; ++i) CHECK(waiters[static_cast<std::size_t>(i)].wait() == i);
}

TEST_CASE("everything in os has a twin for coroutines") {
  Pipe pipe;
  const pid_t child = child_that([] { return 4; });
  auto reads = [](int fd) -> aio::task<std::string> { co_return co_await os::read_async(fd, 10); };
  auto writes = [](int fd) -> aio::task<std::size_t> {
    co_return co_await os::write_async(fd, "hello");
  };
  auto waits = [](pid_t pid) -> aio::task<int> {
    const auto ended = co_await os::waitpid_async(pid);
    co_return WEXITSTATUS(ended.second);
  };
  const auto [data, bytes, status] =
      aio::run(aio::gather(reads(pipe.r.get()), writes(pipe.w.get()), waits(child)));
  CHECK(data == "hello");
  CHECK(bytes == 5);
  CHECK(status == 4);
}
