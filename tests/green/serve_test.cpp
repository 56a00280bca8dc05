#include "../standard_error.hpp"
#include "sockets.hpp"

#include <aio/sleep.hpp>
#include <green/awaitlet.hpp>
#include <green/convenience.hpp>
#include <green/event.hpp>
#include <green/socket.hpp>

#include <cerrno>
#include <exception>
#include <memory>
#include <stdexcept>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>

using green::Address;
using green::Socket;
using test::anywhere;
using test::errno_of;
using test::receive_all;

namespace {}  // namespace

TEST_CASE("serve handles connections concurrently, and an echo comes back") {
  Socket listener = green::listen(anywhere());
  auto server = green::spawn([&] {
    green::serve(listener, [](Socket socket, const Address&) {
      for (;;) {
        const std::string data = socket.recv(1000);
        if (data.empty()) return;
        socket.sendall(data);
      }
    });
  });
  std::vector<green::GreenThread<bool>> clients;
  for (int i = 0; i < 50; ++i)
    clients.push_back(green::spawn([&, i] {
      Socket socket = green::connect(listener.getsockname());
      bool right = true;
      for (int j = 0; j < 20; ++j) {
        const std::string text = std::to_string(i * 1000 + j);
        socket.sendall(text);
        right = right && socket.recv(1000) == text;
      }
      return right;
    }));
  for (auto& client : clients) CHECK(client.wait());
  server.kill();
  CHECK_THROWS_AS(server.wait(), green::GreenletExit);
  CHECK_FALSE(listener.closed());
}

TEST_CASE("StopServe ends serve, another exception is thrown by it, GreenletExit is neither") {
  Socket listener = green::listen(anywhere());
  int handled = 0;
  auto handler = [&](Socket socket, const Address&) {
    ++handled;
    const std::string what = socket.recv(10);
    if (what == "stop") throw green::StopServe();
    if (what == "fail") throw std::runtime_error("handler");
    if (what == "exit") throw green::GreenletExit();
  };
  auto say = [&](const char* what) { green::connect(listener.getsockname()).sendall(what); };
  auto stops = green::spawn([&] { green::serve(listener, handler); });
  say("exit");
  say("stop");
  stops.wait();
  CHECK(handled == 2);
  const test::Quiet quiet;
  auto fails = green::spawn([&] { green::serve(listener, handler); });
  say("fail");
  CHECK_THROWS_WITH_AS(fails.wait(), "handler", std::runtime_error);
}

TEST_CASE("at the limit serve stops accepting") {
  Socket listener = green::listen(anywhere());
  green::Event<> go;
  int handling = 0;
  auto server = green::spawn([&] {
    green::serve(
        listener,
        [&](Socket, const Address&) {
          ++handling;
          go.wait();
        },
        2);
  });
  std::vector<Socket> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(green::connect(listener.getsockname()));
  green::sleep(0.01);
  CHECK(handling == 2);
  go.send();
  green::sleep(0.01);
  CHECK(handling == 4);
  server.kill();
}

TEST_CASE("in serve each handler is a green thread of its own, and gets the peer's address") {
  Socket listener = green::listen(anywhere());
  std::vector<Address> peers;
  std::vector<green::Greenlet> handlers;
  auto server = green::spawn([&] {
    green::serve(listener, [&](Socket socket, Address peer) {
      peers.push_back(peer);
      handlers.push_back(green::getcurrent());
      socket.sendall("done");
    });
  });
  Socket a = green::connect(listener.getsockname()), b = green::connect(listener.getsockname());
  CHECK(receive_all(a) == "done");
  CHECK(receive_all(b) == "done");
  REQUIRE(peers.size() == 2);
  CHECK(peers[0] == a.getsockname());
  CHECK(peers[1] == b.getsockname());
  CHECK_FALSE(handlers[0] == handlers[1]);
  CHECK_FALSE(handlers[0] == server);
  server.kill();
}

TEST_CASE("closing the listener ends serve with EBADF, its handlers go on") {
  Socket listener = green::listen(anywhere());
  auto server = green::spawn([&] {
    return errno_of([&] {
      green::serve(listener, [](Socket socket, Address) { socket.sendall(socket.recv(10)); });
    });
  });
  Socket client = green::connect(listener.getsockname());
  green::sleep(0.002);
  listener.close();
  CHECK(server.wait() == EBADF);
  client.sendall("still");
  CHECK(client.recv(10) == "still");
}

TEST_CASE("handlers go on when serve is killed or stopped, and the listener can serve again") {
  Socket listener = green::listen(anywhere());
  auto handler = [](Socket socket, const Address&) {
    const std::string data = socket.recv(10);
    if (data == "stop") throw green::StopServe();
    socket.sendall(data);
  };
  auto server = green::spawn([&] { green::serve(listener, handler); });
  Socket first = green::connect(listener.getsockname());
  green::sleep(0.002);
  server.kill();
  CHECK(server.dead());
  first.sendall("one");
  CHECK(first.recv(10) == "one");
  auto again = green::spawn([&] { green::serve(listener, handler); });
  Socket second = green::connect(listener.getsockname());
  Socket stopper = green::connect(listener.getsockname());
  green::sleep(0.002);
  stopper.sendall("stop");
  again.wait();
  second.sendall("two");
  CHECK(second.recv(10) == "two");
}

TEST_CASE("a handler that is killed does not end serve") {
  Socket listener = green::listen(anywhere());
  green::Greenlet handler;
  auto server = green::spawn([&] {
    green::serve(listener, [&](Socket socket, const Address&) {
      handler = green::getcurrent();
      socket.sendall(socket.recv(10));
    });
  });
  Socket first = green::connect(listener.getsockname());
  green::sleep(0.002);
  handler.kill();
  CHECK(first.recv(1) == "");
  Socket second = green::connect(listener.getsockname());
  second.sendall("x");
  CHECK(second.recv(1) == "x");
  server.kill();
}

TEST_CASE("the exception of a handler in serve is the same object, and its connection is closed") {
  const test::Quiet quiet;
  Socket listener = green::listen(anywhere());
  const auto error = std::make_exception_ptr(std::runtime_error("the one"));
  auto server = green::spawn([&] {
    try {
      green::serve(listener, [&](Socket, const Address&) { std::rethrow_exception(error); });
    } catch (...) {
      return std::current_exception();
    }
    return std::exception_ptr();
  });
  Socket client = green::connect(listener.getsockname());
  CHECK(client.recv(1) == "");
  CHECK(server.wait() == error);
}

TEST_CASE("an error of a handler reaches serve while it waits for a place") {
  const test::Quiet quiet;
  Socket listener = green::listen(anywhere());
  auto server = green::spawn([&] {
    green::serve(
        listener,
        [](Socket socket, const Address&) {
          if (socket.recv(4) == "fail") throw std::runtime_error("handler");
        },
        1);
  });
  Socket client = green::connect(listener.getsockname());
  green::sleep(0.002);
  client.sendall("fail");
  CHECK_THROWS_WITH_AS(server.wait(), "handler", std::runtime_error);
}

TEST_CASE("serve waits while there are no descriptors left, and goes on when there are") {
  Socket listener = green::listen(anywhere());
  int handled = 0;
  auto server = green::spawn([&] {
    green::serve(listener, [&](Socket socket, const Address&) {
      ++handled;
      socket.sendall("served");
    });
  });
  Socket client = green::connect(listener.getsockname());
  CHECK(receive_all(client) == "served");
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  Socket waits;
  std::vector<int> taken;
  const rlimit tight{64, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  for (int fd = 0; (fd = dup(0)) >= 0;) taken.push_back(fd);
  const int error = errno;
  waits.connect(listener.getsockname());
  green::sleep(0.03);
  const int handled_without = handled;
  const bool alive = !server.dead();
  for (const int fd : taken) close(fd);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(error == EMFILE);
  CHECK(alive);
  CHECK(handled_without == 1);
  CHECK(receive_all(waits) == "served");
  server.kill();
}

TEST_CASE("a handler may be move-only, and may await") {
  Socket listener = green::listen(anywhere());
  auto reply = std::make_unique<std::string>("moved");
  auto handler = [text = std::move(reply)](Socket socket, const Address&) {
    auto answers = [](Socket& to, const std::string& what) -> aio::task<> {
      co_await aio::sleep(0.001);
      co_await to.sendall_async(what);
    };
    green::awaitlet(answers(socket, *text));
  };
  auto server =
      green::spawn([&, h = std::move(handler)]() mutable { green::serve(listener, std::move(h)); });
  Socket client = green::connect(listener.getsockname());
  CHECK(receive_all(client) == "moved");
  server.kill();
}

TEST_CASE("two handlers that stop serve at once are no error") {
  Socket listener = green::listen(anywhere());
  green::Event<> go;
  int ended = 0;
  auto server = green::spawn([&] {
    green::serve(listener, [&](Socket, const Address&) {
      go.wait();
      ++ended;
      throw green::StopServe();
    });
  });
  Socket one = green::connect(listener.getsockname()),
         other = green::connect(listener.getsockname());
  green::sleep(0.01);
  test::StandardError output;
  go.send();
  server.wait();
  green::sleep(0.01);
  CHECK(ended == 2);
  CHECK(output.text() == "");
}
