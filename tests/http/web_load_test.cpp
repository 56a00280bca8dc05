// Many clients at once: slow ones, and those that are there when the server stops.

#include "served.hpp"

#include <aio/sleep.hpp>
#include <green/greenpool.hpp>

#include <sys/resource.h>
#include <vector>

using aio::task;
using test::get_root;
using test::receive_all;
using test::Served;

namespace web = aio::web;

namespace {

// Both ends of every connection are in this process.
void need_descriptors(rlim_t number) {
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_cur >= number) return;
  limit.rlim_cur = number;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

// Sends a head a byte at a time, never to its end. Gives whether the server cut it: with a 408,
// with a reset where a byte came after that and took the answer with it, or without a word where it
// had no time yet to read the first byte.
bool is_cut(const Served& served) {
  green::Socket socket = served.connect();
  auto reading = green::spawn([&] {
    std::string said;
    const int error = test::errno_of([&] { said = receive_all(socket); });
    return error == ECONNRESET || said.empty() || Served::brief(said).starts_with("408 ");
  });
  try {
    for (const char byte : "GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x')) {
      socket.sendall({&byte, 1});
      green::sleep(0.1);
      if (reading.dead()) break;
    }
  } catch (const std::system_error&) {
  }
  return reading.wait();
}

// One request after the other, on connections of their own or on one. Gives how many were answered
// in full.
int ask_until_refused(const Served& served, bool keep) {
  int answered = 0;
  try {
    while (true) {
      green::Socket socket = served.connect();
      do {
        socket.sendall(get_root);
        std::string response;
        while (!response.ends_with("hello")) {
          const std::string piece = socket.recv(1000);
          if (piece.empty()) return answered;
          response += piece;
        }
        ++answered;
      } while (keep);
    }
  } catch (const std::system_error&) {  // refused, or reset before it was answered
    return answered;
  }
}

}  // namespace

TEST_CASE("a thousand slow clients are cut, and a good one is served all the while") {
  constexpr int slow_clients = 1'000;
  need_descriptors(2 * slow_clients + 100);
  web::Application app;
  app.router().add_get("/", [](web::Request&) { return web::Response("hello"); });
  web::ServerOptions options;
  options.request_timeout = 2;
  const Served served(app, options);
  int cut = 0;
  green::GreenPool pool(slow_clients);
  for (int i = 0; i < slow_clients; ++i) pool.spawn_n([&] { cut += is_cut(served); });
  int good = 0;
  while (pool.running() > 0) {
    REQUIRE(served.get("/") == "200 hello");
    ++good;
  }
  CHECK(cut == slow_clients);
  CHECK(good > 10);
}

TEST_CASE("a stop under load loses no request that a handler began") {
  web::Application app;
  int begun = 0;
  app.router().add_get("/", [&](web::Request&) -> task<web::Response> {
    ++begun;
    co_await aio::sleep(0.001);
    co_return web::Response("hello");
  });
  Served served(app);
  std::vector<green::GreenThread<int>> clients;
  for (int i = 0; i < 100; ++i)
    clients.push_back(green::spawn([&, i] { return ask_until_refused(served, i % 2 == 0); }));
  while (begun < 1'000) green::sleep(0.001);
  green::awaitlet(served.runner().stop());
  int answered = 0;
  for (auto& client : clients) answered += client.wait();
  CHECK(answered == begun);
  CHECK(answered >= 1'000);
}
