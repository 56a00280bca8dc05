// The cases of eventlet's tests of eventlet.asyncio (asyncio_test, not_asyncio_test and the
// programs they run), in their order, then what is known of its behaviour beyond them. Where we
// differ on purpose the case says how. Nothing is patched here, so asyncio_correct_patching has no
// counterpart.

#include "../support.hpp"

#include <aio/future.hpp>
#include <aio/gather.hpp>
#include <aio/getaddrinfo.hpp>
#include <aio/server.hpp>
#include <aio/shield.hpp>
#include <aio/sleep.hpp>
#include <aio/stream.hpp>
#include <aio/to_thread.hpp>
#include <aio/wait_for.hpp>
#include <green/awaitlet.hpp>
#include <green/convenience.hpp>
#include <green/greenpool.hpp>
#include <green/semaphore.hpp>
#include <green/tpool.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

struct ZeroDivisionError : std::runtime_error {
  ZeroDivisionError() : std::runtime_error("division by zero") {}
};

const aio::Address any_port("127.0.0.1", 0);

aio::task<int> sleeps_and_gives(int value) {
  co_await aio::sleep(0.0001);
  co_return value;
}

aio::task<int> doubles(int value) { co_return value * 2; }

// Waits for ever; notes how it ends.
aio::task<int> waits(test::Log& log) {
  try {
    co_await aio::sleep(test::watchdog);
    log("woke");
  } catch (const aio::CancelledError&) {
    log("cancelled");
    throw;
  }
  co_return 1;
}

// What comes up to and with `end`; less if the stream ends before.
std::string receive_until(green::Socket& socket, const std::string& end) {
  std::string all;
  while (!all.ends_with(end)) {
    const std::string byte = socket.recv(1);
    if (byte.empty()) break;
    all += byte;
  }
  return all;
}

}  // namespace

// --- CallingAsyncFunctionsFromGreenletsHighLevelTests --------------------------------------------

TEST_CASE("test_aiohttp_client: a client of coroutines talks to a green server") {
  green::Socket listener = green::listen(any_port);
  const aio::Address where = listener.getsockname();
  auto server = green::spawn([&] {
    green::serve(listener, [](green::Socket socket, const aio::Address&) {
      receive_until(socket, "\r\n\r\n");
      socket.sendall("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world");
    });
  });
  auto request = [](aio::Address server_address) -> aio::task<std::string> {
    aio::Stream stream = co_await aio::open_connection(server_address);
    stream.write("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    const std::string head = co_await stream.readuntil("\r\n\r\n");
    CHECK(head.find("Content-Length: 11") != std::string::npos);
    co_return co_await stream.readexactly(11);
  };
  CHECK(green::spawn_for_awaitable(request(where)).wait() == "hello world");
  server.kill();
}

// --- spawn_for_awaitable -------------------------------------------------------------------------

TEST_CASE("test_result: wait gives the result of the coroutine") {
  CHECK(green::spawn_for_awaitable(sleeps_and_gives(13)).wait() == 13);
}

TEST_CASE("test_exception: wait throws what the coroutine throws") {
  const test::Quiet quiet;
  auto go = []() -> aio::task<> {
    co_await aio::sleep(0.0001);
    throw ZeroDivisionError();
  };
  CHECK_THROWS_AS(green::spawn_for_awaitable(go()).wait(), ZeroDivisionError);
}

TEST_CASE("test_future_and_task: it takes a Future as well") {
  CHECK(green::spawn_for_awaitable(aio::ensure_future(doubles(8))).wait() == 16);
  CHECK(green::spawn_for_awaitable(aio::create_task(doubles(6))).wait() == 12);
}

TEST_CASE("test_asyncio_sleep: a coroutine's sleep ends on the green hub, and not early") {
  using Clock = std::chrono::steady_clock;
  auto go = []() -> aio::task<Clock::duration> {
    const auto start = Clock::now();
    co_await aio::sleep(0.07);
    co_return Clock::now() - start;
  };
  CHECK(green::spawn_for_awaitable(go()).wait() >= std::chrono::milliseconds(70));
}

TEST_CASE("test_kill_greenthread: killing the green thread cancels the Future it waits for") {
  std::optional<green::GreenThread<void>> thread;
  test::Log progress;
  auto go = [&]() -> aio::task<> {
    co_await aio::sleep(0.001);
    progress("1");
    while (!thread) co_await aio::sleep(0.001);
    progress("2");
    thread->kill();
    progress("3");
    co_await aio::sleep(test::watchdog);
    progress("4");
  };
  auto future = aio::ensure_future(go());
  thread = green::spawn_for_awaitable(future);
  CHECK_THROWS_AS(thread->wait(), green::GreenletExit);
  // There the cancellation follows some time after; here the kill waits for it.
  CHECK(future.cancelled());
  CHECK(progress.text() == "1 2 3");
}

// --- await of a green thread ---------------------------------------------------------------------

TEST_CASE("test_await_greenthread_success: co_await of a green thread gives its result") {
  for (const bool immediate : {false, true}) {
    auto green_function = [=] {
      if (!immediate) green::sleep(0.001);
      return 23;
    };
    auto go = [&]() -> aio::task<int> { co_return co_await green::spawn(green_function); };
    CHECK(green::spawn_for_awaitable(go()).wait() == 23);
  }
}

TEST_CASE("test_await_greenthread_exception: co_await of a green thread throws what it threw") {
  const test::Quiet quiet;
  for (const bool immediate : {false, true}) {
    auto green_function = [=] {
      if (!immediate) green::sleep(0.001);
      throw ZeroDivisionError();
    };
    auto go = [&]() -> aio::task<bool> {
      try {
        co_await green::spawn(green_function);
      } catch (const ZeroDivisionError&) {
        co_return true;
      }
      co_return false;
    };
    CHECK(green::spawn_for_awaitable(go()).wait());
  }
}

TEST_CASE("test_ensure_future: a green thread as a Future") {
  auto green_function = [] {
    green::sleep(0.001);
    return 27;
  };
  auto go = [&]() -> aio::task<int> {
    auto future = aio::ensure_future(green::spawn(green_function));
    co_return co_await future;
  };
  CHECK(green::spawn_for_awaitable(go()).wait() == 27);
}

// There the task starts before a green thread that was spawned earlier; here they start in the
// order in which they were made, so it is made first.
TEST_CASE("test_cancelling_future_kills_greenthread: the green thread that the Future awaits") {
  test::Log phases;
  std::optional<green::GreenThread<void>> thread;
  auto go = [&]() -> aio::task<std::string> {
    try {
      co_await *thread;
    } catch (const aio::CancelledError&) {
      co_return "good";
    }
    co_return "bad";
  };
  auto future = aio::ensure_future(go());
  thread = green::spawn([&] {
    phases("1");
    future.cancel();
    green::sleep(test::watchdog);
    phases("2");
  });
  CHECK(green::spawn_for_awaitable(future).wait() == "good");
  CHECK_THROWS_AS(thread->wait(), green::GreenletExit);
  CHECK(phases.text() == "1");
}

TEST_CASE("test_greenthread_killed_while_awaited: its awaiter sees a cancellation") {
  test::Log phases;
  auto thread = green::spawn([&] {
    phases("1");
    green::sleep(0.001);
    phases("2");
    green::getcurrent().kill();
    green::sleep(test::watchdog);
    phases("3");
  });
  auto go = [&]() -> aio::task<std::string> {
    try {
      co_await thread;
    } catch (const aio::CancelledError&) {
      co_return "cancelled";
    }
    co_return "where is my cancellation?";
  };
  CHECK(green::spawn_for_awaitable(go()).wait() == "cancelled");
  CHECK(phases.text() == "1 2");
}

// --- threads, names, hubs ------------------------------------------------------------------------

TEST_CASE("asyncio_to_thread: OS threads work for coroutines, beside those of green threads") {
  auto in_thread = [] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return 3 + 4;
  };
  auto go = [&]() -> aio::task<std::vector<int>> {
    std::vector<aio::task<int>> calls;
    for (int i = 0; i < 3; ++i) calls.push_back(aio::to_thread(in_thread));
    co_return co_await aio::gather(std::move(calls));
  };
  auto beside = green::spawn([&] { return green::tpool::execute(in_thread); });
  CHECK(green::spawn_for_awaitable(go()).wait() == std::vector<int>{7, 7, 7});
  CHECK(beside.wait() == 7);
}

// There coroutines keep the system's look-up where green code has another; here both use one, which
// does not block the hub.
TEST_CASE("asyncio_dns: names are looked up by coroutines and green threads at the same time") {
  green::Socket listener = green::listen(any_port);
  const std::uint16_t port = listener.getsockname().port();
  auto lookups = [](std::uint16_t of_port) -> aio::task<std::string> {
    const auto numeric = co_await aio::getaddrinfo("127.0.0.1", of_port);
    const auto named = co_await aio::getaddrinfo("localhost", of_port);
    CHECK_FALSE(named.empty());
    co_return numeric.at(0).str();
  };
  auto looks_up = green::spawn_for_awaitable(lookups(port));
  auto connects = green::spawn([&] { return green::connect(aio::Address("localhost", port)); });
  CHECK(looks_up.wait() == listener.getsockname().str());
  CHECK(std::move(connects).wait().getpeername().port() == port);
}

// There it is a RuntimeError on every hub but one.
TEST_CASE(
    "test_spawn_from_coroutine_errors: spawn_for_awaitable works on the hub of each OS thread") {
  std::atomic<int> sum{0};
  uvlet::run_on_threads(
      3, [&](int index) { sum += green::spawn_for_awaitable(sleeps_and_gives(index)).wait(); });
  CHECK(sum == 3);
}

TEST_CASE("sockets of coroutines and of green threads side by side, each client with each server") {
  green::Socket listener = green::listen(any_port);
  auto green_server = green::spawn([&] {
    green::serve(listener, [](green::Socket socket, const aio::Address&) {
      for (;;) {
        const std::string line = receive_until(socket, "\n");
        if (line.empty()) return;
        socket.sendall("green " + line);
      }
    });
  });
  auto handler = [](aio::Stream stream) -> aio::task<> {
    for (;;) {
      const std::string line = co_await stream.readline();
      if (line.empty()) co_return;
      stream.write("aio " + line);
      co_await stream.drain();
    }
  };
  aio::Server server = green::awaitlet(aio::start_server(handler, any_port));
  auto ask = [](aio::Address where) -> aio::task<std::string> {
    aio::Stream stream = co_await aio::open_connection(where);
    stream.write("task\n");
    co_return co_await stream.readline();
  };
  auto ask_green = [](const aio::Address& where) {
    green::Socket socket = green::connect(where);
    socket.sendall("thread\n");
    return receive_until(socket, "\n");
  };
  for (int i = 0; i < 20; ++i) {
    auto a = green::spawn_for_awaitable(ask(listener.getsockname()));
    auto b = green::spawn_for_awaitable(ask(server.getsockname()));
    auto c = green::spawn(ask_green, listener.getsockname());
    auto d = green::spawn(ask_green, server.getsockname());
    CHECK(a.wait() == "green task\n");
    CHECK(b.wait() == "aio task\n");
    CHECK(c.wait() == "green thread\n");
    CHECK(d.wait() == "aio thread\n");
  }
  green_server.kill();
  server.close();
  green::awaitlet(server.wait_closed());
}

// --- and beyond its tests ------------------------------------------------------------------------

// There only GreenletExit cancels the coroutine, and any other exception leaves it behind.
TEST_CASE("a kill with an exception of one's own cancels the coroutine as well") {
  const test::Quiet quiet;
  test::Log log;
  auto of_task = green::spawn_for_awaitable(waits(log));
  auto future = aio::create_task(waits(log));
  auto of_future = green::spawn_for_awaitable(future);
  green::sleep(0.001);
  of_task.kill(ZeroDivisionError());
  CHECK_THROWS_AS(of_task.wait(), ZeroDivisionError);
  of_future.kill(ZeroDivisionError());
  CHECK_THROWS_AS(of_future.wait(), ZeroDivisionError);
  CHECK(future.cancelled());
  CHECK(log.text() == "cancelled cancelled");
}

TEST_CASE("a Timeout around wait leaves the coroutine alone, which can be waited for again") {
  test::Log log;
  auto release = aio::Future<>::create();
  auto go = [&]() -> aio::task<int> {
    co_await release;
    log("released");
    co_return 5;
  };
  auto thread = green::spawn_for_awaitable(go());
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { thread.wait(); }), green::TimeoutExpired);
  CHECK_FALSE(thread.dead());
  release.set_result();
  CHECK(thread.wait() == 5);
  CHECK(log.text() == "released");
}

TEST_CASE("a Timeout around awaitlet cancels what is awaited") {
  test::Log log;
  auto future = aio::create_task(waits(log));
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { green::awaitlet(waits(log)); }),
                  green::TimeoutExpired);
  CHECK(log.text() == "cancelled");
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { green::awaitlet(future); }),
                  green::TimeoutExpired);
  CHECK(future.cancelled());
  CHECK(log.text() == "cancelled cancelled");
}

TEST_CASE("a coroutine that throws CancelledError, or was cancelled, is CancelledError in wait") {
  const test::Quiet quiet;
  auto throws = []() -> aio::task<> {
    throw aio::CancelledError();
    co_return;
  };
  CHECK_THROWS_AS(green::spawn_for_awaitable(throws()).wait(), aio::CancelledError);
  test::Log log;
  auto future = aio::create_task(waits(log));
  auto thread = green::spawn_for_awaitable(future);
  green::sleep(0.001);
  future.cancel();
  CHECK_THROWS_AS(thread.wait(), aio::CancelledError);
  CHECK(log.text() == "cancelled");
}

TEST_CASE("a green thread is awaited twice, in one coroutine and in two") {
  const test::Quiet quiet;
  auto thread = green::spawn([] {
    green::sleep(0.001);
    return 8;
  });
  auto twice = [&]() -> aio::task<int> {
    const int first = co_await thread;
    co_return first + co_await thread;
  };
  auto [a, b] = aio::run(aio::gather(twice(), twice()));
  CHECK(a + b == 32);
  auto failing = green::spawn([]() -> int { throw ZeroDivisionError(); });
  auto fails_twice = [&]() -> aio::task<int> {
    CHECK_THROWS_AS(co_await failing, ZeroDivisionError);
    co_return co_await failing;
  };
  CHECK_THROWS_AS(aio::run(fails_twice()), ZeroDivisionError);
}

TEST_CASE("wait_for of a green thread kills it when the time is over") {
  int alive = 0;
  auto thread = green::spawn([&] {
    const test::Counted counted(alive);
    green::sleep(test::watchdog);
  });
  CHECK_THROWS_AS(aio::run(aio::wait_for(thread, 0.001)), aio::TimeoutError);
  CHECK(thread.dead());
  CHECK(alive == 0);
  CHECK(aio::run(aio::wait_for(green::spawn([] { return 4; }), test::watchdog)) == 4);
}

TEST_CASE("shield keeps a kill from the Future that is waited for") {
  auto release = aio::Future<>::create();
  auto go = [&]() -> aio::task<int> {
    co_await release;
    co_return 6;
  };
  auto future = aio::create_task(go());
  auto thread = green::spawn_for_awaitable(aio::shield(future));
  green::sleep(0.001);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK_FALSE(future.done());
  release.set_result();
  CHECK(aio::run(future) == 6);
}

// There a coroutine runs on the hub's own greenlet: sleep and locks fail in it, and it has no name.
TEST_CASE("in a coroutine green calls block just it, and getcurrent names its green thread") {
  green::Semaphore semaphore(0);
  auto go = [&]() -> aio::task<green::Greenlet> {
    green::sleep(0.001);
    semaphore.acquire();
    co_return green::getcurrent();
  };
  auto thread = green::spawn_for_awaitable(go());
  auto other = green::spawn([&] {
    green::sleep(0.002);
    semaphore.release();
  });
  CHECK(thread.wait() == thread);
  other.wait();
}

TEST_CASE("coroutines run in a GreenPool, as many at a time as it has places") {
  int running = 0, most = 0;
  auto go = [&](int value) -> aio::task<int> {
    most = std::max(most, ++running);
    co_await aio::sleep(0.001);
    --running;
    co_return value;
  };
  green::GreenPool pool(3);
  int sum = 0;
  for (const int value : pool.imap(green::sync(go), std::vector<int>{1, 2, 3, 4, 5, 6, 7}))
    sum += value;
  CHECK(sum == 28);
  CHECK(most == 3);
}
