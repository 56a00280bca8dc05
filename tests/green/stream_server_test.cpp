#include <green/stream_server.hpp>

#include "sockets.hpp"

#include <aio/server.hpp>
#include <aio/sleep.hpp>
#include <aio/stream.hpp>
#include <green/convenience.hpp>
#include <green/event.hpp>

#include <atomic>
#include <cerrno>
#include <future>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using green::Address;
using green::Socket;
using green::StreamServer;
using test::receive_all;

namespace {

Socket any_port() { return green::listen(Address("127.0.0.1", 0)); }

// A line at a time: who waits for the next one is idle.
void answer_lines(Socket socket, const Address&) {
  std::string text;
  for (;;) {
    const std::string more = socket.recv(1000);
    if (more.empty()) return;
    text += more;
    for (std::size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1))
      socket.sendall("<" + text.substr(0, end) + ">");
  }
}

bool refused(const Address& address) {
  try {
    green::connect(address);
  } catch (const std::system_error& error) {
    return error.code().value() == ECONNREFUSED;
  }
  return false;
}

template <class F>
void under_watchdog(F body) {
  green::with_timeout(test::watchdog, body);
}

}  // namespace

TEST_CASE("what has been received can be read after the reading side is shut down, then the end") {
  for (const bool unix_socket : {false, true}) {
    const std::string path = "/tmp/uvlet-shutdown-" + std::to_string(getpid());
    Socket listener = unix_socket ? green::listen(Address::unix_path(path)) : any_port();
    Socket client = green::connect(listener.getsockname());
    auto [peer, address] = listener.accept();
    client.sendall("came before");
    peer.shutdown(SHUT_RD);
    CHECK(peer.recv(1000) == "came before");
    CHECK(peer.recv(1000) == "");
    peer.sendall("reply");
    CHECK(client.recv(1000) == "reply");
    unlink(path.c_str());
  }
}

TEST_CASE("it serves until it is stopped, and then nobody is left") {
  StreamServer server(any_port(), answer_lines);
  server.start();
  CHECK_THROWS_AS(server.start(), std::logic_error);
  Socket client = green::connect(server.address());
  client.sendall("one\n");
  CHECK(client.recv(100) == "<one>");
  CHECK(server.connections() == 1);
  auto serving = green::spawn([&] { server.serve_forever(); });
  green::sleep(0);
  server.stop();
  CHECK(server.connections() == 0);
  CHECK(client.recv(100) == "");
  CHECK(refused(server.address()));
  serving.wait();
  server.stop();
  CHECK_THROWS_AS(server.start(), std::logic_error);
}

TEST_CASE("idle connections end at once, busy ones reply first, all before the deadline") {
  green::Event<> may_reply;
  int replied = 0;
  StreamServer server(any_port(), [&](Socket socket, const Address&) {
    while (!socket.recv(1000).empty()) {
      may_reply.wait();
      socket.sendall("reply");
      ++replied;
    }
  });
  server.start();
  std::vector<Socket> idle;
  std::vector<Socket> busy;
  for (int i = 0; i < 10; ++i) {
    idle.push_back(green::connect(server.address()));
    busy.push_back(green::connect(server.address()));
    busy.back().sendall("request");
  }
  under_watchdog([&] {
    while (server.connections() < 20) green::sleep(0.001);
    green::sleep(0.01);  // the requests are received
    auto stopping = green::spawn([&] { server.stop(test::watchdog); });
    for (Socket& socket : idle) CHECK(socket.recv(100) == "");
    CHECK(server.connections() == 10);
    CHECK(!stopping.dead());
    may_reply.send();
    for (Socket& socket : busy) CHECK(receive_all(socket) == "reply");
    stopping.wait();
  });
  CHECK(replied == 10);
}

TEST_CASE("a request that has come, but was not read yet, is answered") {
  StreamServer server(any_port(), answer_lines);
  Socket client = green::connect(server.address());
  client.sendall("early\n");
  server.start();
  Socket other = green::connect(server.address());
  under_watchdog([&] {
    while (server.connections() < 2) green::sleep(0);
    server.stop(test::watchdog);
    CHECK(receive_all(client) == "<early>");
    CHECK(receive_all(other) == "");
  });
}

TEST_CASE("what goes on after the deadline is killed, and waited for") {
  int alive = 0;
  bool cleaned = false;
  StreamServer server(any_port(), [&](Socket, const Address&) {
    const test::Counted counted(alive);
    try {
      green::sleep(1000);
    } catch (const green::GreenletExit&) {
      green::sleep(0.01);  // takes its time
      cleaned = true;
      throw;
    }
  });
  server.start();
  Socket client = green::connect(server.address());
  under_watchdog([&] {
    while (alive == 0) green::sleep(0.001);
    const uvlet::Time start = uvlet::Hub::get().now();
    server.stop(0.05);
    CHECK(uvlet::Hub::get().now() - start >= 50'000'000);
  });
  CHECK(alive == 0);
  CHECK(cleaned);
  CHECK(client.recv(1) == "");
}

TEST_CASE("a stop that is killed leaves the connections, and can be made again") {
  StreamServer server(any_port(), [](Socket socket, const Address&) {
    green::sleep(0.05);
    socket.sendall("late");
  });
  server.start();
  Socket client = green::connect(server.address());
  under_watchdog([&] {
    while (server.connections() == 0) green::sleep(0.001);
    auto stopping = green::spawn([&] { server.stop(1000); });
    green::sleep(0);
    stopping.kill();
    CHECK(stopping.dead());
    CHECK(refused(server.address()));
    server.stop(1000);
    CHECK(receive_all(client) == "late");
  });
}

TEST_CASE("a handler may stop accepting, not stop; what it throws ends its connection alone") {
  test::Quiet quiet;
  std::unique_ptr<StreamServer> server;
  bool refused_in_handler = false;
  auto handle = [&](Socket socket, const Address&) {
    const std::string command = socket.recv(100);
    if (command == "throw") throw std::runtime_error("thrown");
    try {
      server->stop();
    } catch (const std::logic_error&) {
      refused_in_handler = true;
    }
    server->stop_accepting();
    green::sleep(0.01);
    socket.sendall("bye");
  };
  server = std::make_unique<StreamServer>(any_port(), handle, 10);
  const Address address = server->address();
  auto client = green::spawn([address] {
    Socket bad = green::connect(address);
    bad.sendall("throw");
    CHECK(receive_all(bad) == "");
    Socket good = green::connect(address);
    good.sendall("stop");
    return receive_all(good);
  });
  under_watchdog([&] { server->serve_forever(); });
  CHECK(client.wait() == "bye");
  CHECK(refused_in_handler);
}

TEST_CASE("at the limit it accepts no more, and can still be stopped") {
  int handled = 0;
  StreamServer server(
      any_port(),
      [&](Socket socket, const Address&) {
        ++handled;
        socket.recv(1);
      },
      2);
  server.start();
  std::vector<Socket> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(green::connect(server.address()));
  green::sleep(0.02);
  CHECK(handled == 2);
  under_watchdog([&] { server.stop(test::watchdog); });
  CHECK(handled == 2);
}

TEST_CASE("stopped before it began, killed while it serves, destroyed while it works") {
  int alive = 0;
  auto handle = [&](Socket socket, const Address&) {
    const test::Counted counted(alive);
    socket.recv(1);
    green::sleep(1000);
  };
  {
    StreamServer server(any_port(), handle);
    server.start();
    server.stop();
    StreamServer never(any_port(), handle);
    { const auto dropped = never.serve_forever_async(); }
    StreamServer stopped(any_port(), handle);
    stopped.stop_accepting();
    stopped.serve_forever();
  }
  Socket client;
  Address address;
  {
    StreamServer server(any_port(), handle);
    address = server.address();
    auto serving = green::spawn([&] { server.serve_forever(); });
    client = green::connect(address);
    under_watchdog([&] {
      while (alive == 0) green::sleep(0.001);
    });
    serving.kill();
    CHECK(serving.dead());
    CHECK(refused(address));
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
  CHECK(client.recv(1) == "");
}

TEST_CASE("one port for the hubs of several threads, each stopped gracefully from outside") {
  constexpr int hubs = 2;
  std::promise<Address> listening;
  std::shared_future<Address> address = listening.get_future().share();
  std::atomic<int> served[hubs] = {};
  std::atomic<int> ready{0};
  std::atomic<StreamServer*> servers[hubs] = {};
  std::atomic<uvlet::Hub*> places[hubs] = {};
  std::thread threads([&] {
    uvlet::run_on_threads(hubs, [&](int index) {
      const Address where = index == 0 ? Address("127.0.0.1", 0) : address.get();
      StreamServer server(green::listen(where, 128, true, true),
                          [&, index](Socket socket, const Address&) {
                            ++served[index];
                            while (!socket.recv(10).empty()) socket.sendall("served");
                          });
      if (index == 0) listening.set_value(server.address());
      places[index] = &uvlet::Hub::current();
      servers[index] = &server;
      ++ready;
      server.serve_forever();
    });
  });
  under_watchdog([&] {
    while (ready < hubs) green::sleep(0.001);
    std::vector<Socket> clients;
    while (served[0] == 0 || served[1] == 0) {
      clients.push_back(green::connect(address.get()));
      clients.back().sendall("x");
      CHECK(clients.back().recv(100) == "served");
    }
    for (int i = 0; i < hubs; ++i)
      places[i].load()->post([server = servers[i].load()] { server->stop(10); });
    for (Socket& client : clients) CHECK(client.recv(100) == "");
  });
  threads.join();
}

TEST_CASE("aio::Server stops in the same way") {
  green::Event<> may_reply;
  bool cancelled = false;
  auto handler = [&](aio::Stream stream) -> aio::task<void> {
    for (;;) {
      const std::string line = co_await stream.readline();
      if (line.empty()) co_return;
      try {
        if (line == "stuck\n") co_await aio::sleep(1000);
      } catch (const aio::CancelledError&) {
        cancelled = true;
        throw;
      }
      may_reply.wait();
      stream.write("reply\n");
      co_await stream.drain();
    }
  };
  aio::Server server = green::awaitlet(aio::start_server(handler, Address("127.0.0.1", 0)));
  Socket idle = green::connect(server.getsockname());
  Socket busy = green::connect(server.getsockname());
  Socket stuck = green::connect(server.getsockname());
  busy.sendall("request\n");
  stuck.sendall("stuck\n");
  green::sleep(0.01);
  under_watchdog([&] {
    auto stopping = aio::create_task(server.stop(0.2));
    CHECK(receive_all(idle) == "");
    CHECK(refused(server.getsockname()));
    may_reply.send();
    CHECK(receive_all(busy) == "reply\n");
    CHECK(!cancelled);
    CHECK(!stopping.done());
    green::awaitlet(stopping);
    CHECK(cancelled);
    CHECK(receive_all(stuck) == "");
  });
}
