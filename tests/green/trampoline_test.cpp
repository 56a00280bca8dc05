#include "sockets.hpp"

#include <aio/wait_for.hpp>
#include <green/debug.hpp>
#include <green/os.hpp>
#include <green/select.hpp>
#include <green/trampoline.hpp>

#include <fcntl.h>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <sys/wait.h>

using green::OwnedFd;
using green::trampoline;
using test::errno_of;

namespace {

struct Pipe {
  Pipe() {
    const auto ends = green::os::pipe();
    r = OwnedFd(ends.first);
    w = OwnedFd(ends.second);
  }
  void put(std::string_view data) {
    REQUIRE(::write(w.get(), data.data(), data.size()) == static_cast<ssize_t>(data.size()));
  }
  void fill() {
    const int flags = fcntl(w.get(), F_GETFL);
    fcntl(w.get(), F_SETFL, flags | O_NONBLOCK);
    while (::write(w.get(), "x", 1) == 1) continue;
    fcntl(w.get(), F_SETFL, flags);
  }
  OwnedFd r, w;
};

}  // namespace

TEST_CASE("trampoline waits until a blocking descriptor can be read, and leaves its flags") {
  Pipe pipe;
  const int flags = fcntl(pipe.r.get(), F_GETFL);
  CHECK((flags & O_NONBLOCK) == 0);
  auto waiter = green::spawn([&] { trampoline(pipe.r.get(), true, false); });
  green::sleep(0.002);
  CHECK_FALSE(waiter.dead());
  CHECK(fcntl(pipe.r.get(), F_GETFL) == flags);
  pipe.put("x");
  waiter.wait();
  CHECK(fcntl(pipe.r.get(), F_GETFL) == flags);
  trampoline(pipe.r.get(), true, false);  // there is still something
}

TEST_CASE("trampoline waits until there is room to write") {
  Pipe pipe;
  trampoline(pipe.w.get(), false, true);
  pipe.fill();
  auto waiter = green::spawn([&] { trampoline(pipe.w.get(), false, true); });
  green::sleep(0.002);
  CHECK_FALSE(waiter.dead());
  std::string rest(1 << 20, '\0');
  CHECK(::read(pipe.r.get(), rest.data(), rest.size()) > 0);
  waiter.wait();
}

TEST_CASE("trampoline for both or neither is a logic_error") {
  Pipe pipe;
  CHECK_THROWS_AS(trampoline(pipe.r.get(), true, true), std::logic_error);
  CHECK_THROWS_AS(trampoline(pipe.r.get(), false, false), std::logic_error);
}

TEST_CASE("a trampoline whose time is over is a timeout, also at once; it is not early") {
  Pipe pipe;
  for (const double seconds : {0.0, 0.003}) {
    const uvlet::Time start = uvlet::Hub::current().now();
    bool timeout = false;
    try {
      trampoline(pipe.r.get(), true, false, seconds);
    } catch (...) {
      timeout = green::is_timeout(std::current_exception());
    }
    CHECK(timeout);
    CHECK(static_cast<double>(uvlet::Hub::current().now() - start) >= seconds * 1e9);
  }
  pipe.put("x");
  trampoline(pipe.r.get(), true, false, 0);
}

TEST_CASE("trampoline: a closed or negative descriptor is EBADF, a hang-up is ready") {
  Pipe pipe;
  const int gone = pipe.r.release();
  close(gone);
  CHECK(errno_of([&] { trampoline(gone, true, false); }) == EBADF);
  CHECK(errno_of([] { trampoline(-1, true, false); }) == EBADF);
  trampoline(pipe.w.get(), false, true);  // writing will fail at once
  Pipe other;
  auto waiter = green::spawn([&] { trampoline(other.r.get(), true, false); });
  green::sleep(0.001);
  other.w = OwnedFd();
  waiter.wait();
}

TEST_CASE("files and devices that cannot be watched are always ready") {
  const test::Folder folder;
  std::ofstream(folder / "file") << "x";
  const OwnedFd file(open((folder / "file").c_str(), O_RDWR | O_CLOEXEC));
  trampoline(file.get(), true, false);
  trampoline(file.get(), false, true);
  const OwnedFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  trampoline(null.get(), true, false);
  trampoline(null.get(), false, true);
}

TEST_CASE("a second simultaneous trampoline in one direction is a logic_error, in the other not") {
  test::UnixPair pair;
  const int fd = pair.a.fileno();
  const std::string text = "descriptor " + std::to_string(fd) + ": a second simultaneous reader";
  auto first = green::spawn([&] { trampoline(fd, true, false); });
  green::sleep(0.001);
  CHECK_THROWS_WITH_AS(trampoline(fd, true, false), doctest::Contains(text.c_str()),
                       std::logic_error);
  trampoline(fd, false, true);
  pair.b.sendall("x");
  first.wait();
  trampoline(fd, true, false);
}

TEST_CASE("killed trampolines leave no descriptor behind, and let the next one wait") {
  Pipe pipe;
  const int before = test::open_fds();
  for (int i = 0; i < 100; ++i) {
    auto waiter = green::spawn([&] { trampoline(pipe.r.get(), true, false); });
    green::sleep(0);
    waiter.kill();
    CHECK(waiter.dead());
    CHECK_THROWS_AS(green::with_timeout(0.0001, [&] { trampoline(pipe.r.get(), true, false); }),
                    green::TimeoutExpired);
  }
  CHECK(test::open_fds() == before);
}

TEST_CASE("a trampoline beside a Socket's own reader: both are woken") {
  test::UnixPair pair;
  auto reader = green::spawn([&] { return pair.a.recv(10); });
  green::sleep(0.001);
  auto watcher = green::spawn([&] { trampoline(pair.a.fileno(), true, false); });
  green::sleep(0.001);
  pair.b.sendall("x");
  CHECK(reader.wait() == "x");
  pair.b.sendall("y");
  watcher.wait();
  CHECK(pair.a.recv(1) == "y");
}

TEST_CASE("listeners show what a trampoline waits for by its number") {
  Pipe pipe;
  auto waiter = green::spawn([&] { trampoline(pipe.r.get(), true, false); });
  green::sleep(0.001);
  const std::string listeners = green::debug::format_hub_listeners();
  CHECK(listeners.find("descriptor " + std::to_string(pipe.r.get()) + ": reader ") !=
        std::string::npos);
  waiter.kill();
  CHECK(green::debug::format_hub_listeners() == "");
}

TEST_CASE("coroutines wait for plain descriptors too") {
  Pipe pipe;
  auto body = [](int fd) -> aio::task<> { co_await green::trampoline_async(fd, true, false); };
  auto task = aio::create_task(body(pipe.r.get()));
  green::sleep(0.001);
  CHECK_FALSE(task.done());
  pipe.put("x");
  aio::run(task);
  Pipe silent;
  CHECK_THROWS_AS(aio::run(aio::wait_for(body(silent.r.get()), 0.002)), aio::TimeoutError);
}

TEST_CASE("many trampolines at once, each woken for its own") {
  std::vector<Pipe> pipes(150);
  int woken = 0;
  std::vector<green::GreenThread<void>> waiters;
  for (Pipe& pipe : pipes)
    waiters.push_back(green::spawn([&] {
      trampoline(pipe.r.get(), true, false);
      ++woken;
    }));
  green::sleep(0.001);
  for (std::size_t i = 0; i < pipes.size(); i += 2) pipes[i].put("x");
  for (std::size_t i = 0; i < pipes.size(); i += 2) waiters[i].wait();
  green::sleep(0.001);
  CHECK(woken == 75);
  for (std::size_t i = 1; i < pipes.size(); i += 2) waiters[i].kill();
  CHECK(woken == 75);
}

TEST_CASE("a hub that ends under those who wait leaves no descriptor behind") {
  Pipe pipe;
  const auto wait_in_every_way = [&] {
    green::spawn_n([&] { trampoline(pipe.r.get(), true, false); });
    green::spawn_n([&] { green::select::select({pipe.r.get()}, {}, {}); });
    green::spawn_n([pair = std::make_shared<test::UnixPair>()] { pair->a.makefile().readline(); });
    green::spawn_n([pair = std::make_shared<test::UnixPair>()] { pair->b.recvmsg(1, 1); });
    green::sleep(0.001);
  };
  uvlet::run_on_threads(1, [](int) { green::sleep(0.001); });
  const int before = test::open_fds();
  uvlet::run_on_threads(1, [&](int) { wait_in_every_way(); });
  CHECK(test::open_fds() == before);
}

TEST_CASE("after a fork the child waits for what somebody in the parent waits for") {
  Pipe pipe;
  auto parent = green::spawn([&] { trampoline(pipe.r.get(), true, false); });
  green::sleep(0.001);
  const pid_t child = fork();
  if (child == 0) {
    trampoline(pipe.r.get(), true, false);
    _exit(5);
  }
  green::sleep(0.001);
  pipe.put("x");
  parent.wait();
  CHECK(WEXITSTATUS(green::os::waitpid(child).second) == 5);
}
