// What is left of a hub when its OS thread has ended: nothing, whatever it did.

#include "sockets.hpp"

#include <aio/fs.hpp>
#include <aio/signal_receiver.hpp>
#include <green/os.hpp>
#include <green/subprocess.hpp>
#include <green/tpool.hpp>

#include <atomic>
#include <csignal>
#include <dlfcn.h>
#include <functional>
#include <memory>
#include <thread>
#include <uv.h>

namespace {

std::atomic<int> loops_closed = 0;
std::atomic<int> loops_open = 0;  // made and not closed

// Handles of the user's own that are open as their thread ends: closed then, and the user's to
// free.
std::vector<std::unique_ptr<uv_timer_t>> forgotten;

void on_own_thread(const std::function<void()>& body) { std::thread(body).join(); }

// A hub that has waited for descriptors, timers, processes, files, names and threads.
void do_all_kinds() {
  auto [ours, theirs] = test::connected();
  auto reader = green::spawn([&socket = ours] { return socket.recv(10); });
  green::sleep(0.0005);
  theirs.sendall("x");
  CHECK(reader.wait() == "x");
  const auto [r, w] = green::os::pipe();
  const green::OwnedFd read_end(r), write_end(w);
  green::os::write(w, "y");
  CHECK(green::os::read(r, 1) == "y");
  CHECK(green::check_output({"echo", "hello"}) == "hello\n");
  CHECK(green::awaitlet(aio::fs::stat("/")).is_dir());
  CHECK(green::tpool::execute([] { return 3; }) == 3);
}

// What is still waited for as the thread ends is unwound.
void leave_all_kinds() {
  const auto [ours, theirs] = test::connected();
  const auto local = std::make_shared<test::UnixPair>();
  const auto tcp = std::make_shared<test::TcpPair>();
  const auto listener = std::make_shared<green::Socket>(green::listen(test::anywhere()));
  const auto full = std::make_shared<test::FullListener>();
  green::spawn_n([local] { local->a.recv(1); });
  green::spawn_n([tcp] { tcp->a.recv(1); });
  green::spawn_n([tcp] { tcp->b.sendall(std::string(8 << 20, 'x')); });
  green::spawn_n([listener] { listener->accept(); });
  green::spawn_n([full] { green::connect(full->listener.getsockname()); });
  green::spawn_n([] { green::call({"sleep", "100"}); });
  green::spawn_n([] { green::sleep(test::watchdog); });
  green::spawn_n([] { green::awaitlet(aio::SignalReceiver(SIGUSR1).receive()); });
  green::spawn_n([] { green::tpool::execute([] { usleep(1'000); }); });
  uv_timer_t* timer = forgotten.emplace_back(std::make_unique<uv_timer_t>()).get();
  uv_timer_init(uvlet::Hub::current().loop(), timer);
  uv_timer_start(
      timer, [](uv_timer_t*) {}, 100'000, 0);
  green::sleep(0.002);
}

}  // namespace

// Of this program. libuv says 0 where no handle and no request is left.
extern "C" int uv_loop_init(uv_loop_t* loop) {
  static const auto real =
      reinterpret_cast<decltype(&::uv_loop_init)>(dlsym(RTLD_NEXT, "uv_loop_init"));
  const int error = real(loop);
  if (error == 0) ++loops_open;
  return error;
}
extern "C" int uv_loop_close(uv_loop_t* loop) {
  static const auto real =
      reinterpret_cast<decltype(&::uv_loop_close)>(dlsym(RTLD_NEXT, "uv_loop_close"));
  const int error = real(loop);
  if (error == 0) {
    ++loops_closed;
    --loops_open;
  }
  return error;
}

TEST_CASE("a hub's loop is closed with its thread, and every descriptor, whatever it has done") {
  for (void (*body)() : {do_all_kinds, leave_all_kinds}) {
    on_own_thread(body);  // what the process makes once
    const int fds = test::open_fds();
    const int open_before = loops_open;
    const int closed_before = loops_closed;
    for (int i = 0; i < 20; ++i) {
      on_own_thread(body);
      CAPTURE(i);
      CAPTURE((body == leave_all_kinds));
      CHECK(loops_open.load() == open_before);
      CHECK(loops_closed.load() == closed_before + i + 1);
      CHECK(test::open_fds() == fds);
    }
  }
}

TEST_CASE("a thousand hubs that come and go leave no descriptor") {
  on_own_thread([] { green::sleep(0); });
  const int fds = test::open_fds();
  const int open_before = loops_open;
  for (int i = 0; i < 1'000; ++i)
    on_own_thread([] {
      test::UnixPair pair;
      auto reader = green::spawn([&] { return pair.a.recv(1); });
      green::sleep(0);
      pair.b.sendall("x");
      CHECK(reader.wait() == "x");
    });
  CHECK(loops_open.load() == open_before);
  CHECK(test::open_fds() == fds);
}
