// Requests that are killed, cancelled, timed out, dropped, and answered as they should not be: the
// places of the pool, descriptors and tasks are all there afterwards.

#include "client_support.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <random>

using aio::task;
using test::receive_request;
using test::reply;
using test::Scripted;
using test::until;

namespace http = aio::http;

namespace {

using Random = std::mt19937;

int below(Random& random, int end) {
  return std::uniform_int_distribution<int>(0, end - 1)(random);
}

// A server whose answers are good as often as not.
class Moody : public Scripted {
 public:
  explicit Moody(Random& random)
      : Scripted([&random](green::Socket& socket, int) {
          while (!receive_request(socket).empty())
            if (!answer(socket, random)) break;
        }) {}

 private:
  static bool answer(green::Socket& socket, Random& random) {
    if (below(random, 2) == 0) green::sleep(0.0005 * below(random, 4));
    switch (below(random, 12)) {
      case 0: return false;
      case 1: socket.sendall("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut"); return false;
      case 2: socket.sendall("nonsense\r\n\r\n"); return true;
      case 3: socket.sendall(reply("ok") + "too much"); return true;
      case 4: socket.sendall(reply("ok")); return false;
      case 5: socket.sendall("HTTP/1.1 200 OK\r\n\r\nto the end"); return false;
      case 6: socket.sendall(reply("", "Location: /next\r\n", "302 Found")); return true;
      case 7: green::sleep(0.02); return false;
      default:
        socket.sendall(reply(std::string(static_cast<std::size_t>(below(random, 3000)), 'x')));
    }
    return true;
  }
};

task<void> ask(http::ClientSession& session, std::string url, Random& random, int& answered) {
  http::RequestOptions options;
  if (below(random, 3) == 0) options.timeout = 0.001 * below(random, 10);
  const int kind = below(random, 4);
  if (kind == 0) options.data.assign(static_cast<std::size_t>(below(random, 100'000)), 'd');
  if (kind == 1)
    options.body = [&random, left = below(random, 5)]() mutable -> task<std::string> {
      if (below(random, 10) == 0) throw std::runtime_error("no more of this body");
      co_await aio::sleep(0);
      co_return left-- > 0 ? std::string(1'000, 'p') : std::string();
    };
  http::ClientResponse response = co_await session.request(kind < 2 ? "PUT" : "GET", url, options);
  switch (below(random, 4)) {
    case 0: co_return;
    case 1: response.release(); co_return;
    case 2: {
      const std::string piece = co_await response.read_chunk();
      co_return;
    }
    default: break;
  }
  co_await response.read();
  ++answered;
}

// Whatever it ends with.
template <class F>
void try_to(F call) {
  try {
    call();
  } catch (const std::exception&) {
  } catch (const green::BaseException&) {
  }
}

void storm(http::ClientSession& session, const std::string& url, Random& random, int& answered) {
  std::vector<green::GreenThread<void>> threads;
  std::vector<aio::Future<void>> tasks;
  for (int i = 0; i < 40; ++i) {
    threads.push_back(green::spawn(
        [&] { try_to([&] { green::awaitlet(ask(session, url, random, answered)); }); }));
    tasks.push_back(aio::create_task(ask(session, url, random, answered)));
  }
  for (int i = 0; i < 20; ++i) {
    green::sleep(0.0003 * below(random, 4));
    threads[static_cast<std::size_t>(below(random, 40))].kill();
    tasks[static_cast<std::size_t>(below(random, 40))].cancel();
  }
  for (auto& thread : threads) try_to([&] { thread.wait(); });
  for (auto& one : tasks) try_to([&] { green::awaitlet(one); });
}

// The path of the request, in pieces, after a while: the reply that a client mistakes for another's
// has the wrong body.
void echo(green::Socket& socket, Random& random) {
  socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
  for (std::string request; !(request = receive_request(socket)).empty();) {
    const std::size_t path = request.find('/');
    const std::string all = reply(request.substr(path, request.find(' ', path) - path));
    if (below(random, 4) == 0) green::sleep(0.001 * below(random, 3));
    const auto cut = static_cast<std::size_t>(below(random, static_cast<int>(all.size())));
    socket.sendall(all.substr(0, cut));
    if (below(random, 2) == 0) green::sleep(0);
    socket.sendall(all.substr(cut));
  }
}

// What came back for `path`, read in one of the ways, in full or not; "" for a request cut short.
task<void> expect_own(http::ClientSession& session, std::string url, std::string path,
                      Random& random, int& answered) {
  http::RequestOptions options;
  if (below(random, 4) == 0) options.timeout = 0.0005 * below(random, 8);
  http::ClientResponse response = co_await session.get(url + path, options);
  if (below(random, 5) == 0) co_return;  // unread
  const std::string body = co_await response.read();
  CHECK(body == path);
  ++answered;
}

}  // namespace

TEST_CASE("storm: under kills each request gets its own reply") {
  int answered = 0;
  for (unsigned seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Scripted server([&](green::Socket& socket, int) { echo(socket, random); });
    http::SessionOptions options;
    options.limit = 3;
    http::ClientSession session(options);
    const std::string url = server.url("");
    std::vector<green::GreenThread<void>> threads;
    std::vector<aio::Future<void>> tasks;
    for (int n = 0; n < 200; ++n) {
      const std::string path = "/" + std::to_string(n);
      auto one = [&, path] {
        try_to([&] { green::awaitlet(expect_own(session, url, path, random, answered)); });
      };
      threads.push_back(green::spawn(std::move(one)));
      tasks.push_back(aio::create_task(expect_own(session, url, path + "x", random, answered)));
    }
    for (int i = 0; i < 80; ++i) {
      green::sleep(0.0003 * below(random, 4));
      threads[static_cast<std::size_t>(below(random, 200))].kill();
      tasks[static_cast<std::size_t>(below(random, 200))].cancel();
    }
    for (auto& thread : threads) thread.wait();
    for (auto& one : tasks) try_to([&] { green::awaitlet(one); });
  }
  CHECK(answered > 200);
}

TEST_CASE("storm: a session conserves its places, and leaves nothing behind") {
  const int fds = test::open_fds();
  for (unsigned seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Moody server(random);
    http::SessionOptions options;
    options.limit = 5;
    options.limit_per_host = static_cast<int>(seed % 2) * 3;
    options.timeout = test::watchdog;
    http::ClientSession session(options);
    int answered = 0;
    for (int round = 0; round < 3; ++round) storm(session, server.url(), random, answered);
    CHECK(answered > 0);
    until([] { return aio::all_tasks().empty(); });

    int most = 0;
    Scripted slow([&](green::Socket& socket, int) {
      receive_request(socket);
      most = std::max(most, slow.open);
      green::sleep(0.01);
      socket.sendall(reply("ok"));
    });
    green::GreenPool pool;
    for (int i = 0; i < 10; ++i)
      pool.spawn_n([&] { try_to([&] { green::awaitlet(session.get(slow.url())); }); });
    pool.waitall();
    CHECK(most == (options.limit_per_host ? options.limit_per_host : options.limit));
  }
  until([&] { return test::open_fds() == fds; });
}
