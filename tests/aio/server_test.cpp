#include <aio/server.hpp>

#include "../support.hpp"

#include <aio/gather.hpp>
#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>
#include <green/debug.hpp>

#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

const aio::Address any_port("127.0.0.1", 0);

aio::task<void> echo(aio::Stream stream) {
  for (;;) {
    const std::string line = co_await stream.readline();
    if (line.empty()) co_return;
    stream.write(line);
    co_await stream.drain();
  }
}

aio::task<std::string> ask(aio::Address address, std::string line) {
  aio::Stream stream = co_await aio::open_connection(address);
  stream.write(line + "\n");
  co_return co_await stream.readline();
}

}  // namespace

TEST_CASE("a server runs the handler for each connection, many at once") {
  auto body = []() -> aio::task<> {
    aio::Server server = co_await aio::start_server(echo, any_port);
    CHECK(server.getsockname().host() == "127.0.0.1");
    CHECK(server.getsockname().port() != 0);
    CHECK(server.is_serving());
    std::vector<aio::task<std::string>> clients;
    for (int i = 0; i < 50; ++i)
      clients.push_back(ask(server.getsockname(), "line " + std::to_string(i)));
    const auto answers = co_await aio::gather(std::move(clients));
    for (std::size_t i = 0; i < answers.size(); ++i)
      CHECK(answers[i] == "line " + std::to_string(i) + "\n");
    server.close();
    co_await server.wait_closed();
    CHECK(!server.is_serving());
  };
  aio::run(body());
}

TEST_CASE("green code uses it by awaitlet, and a handler may capture and block") {
  int served = 0;
  auto handler = [&served](aio::Stream stream) -> aio::task<void> {
    green::sleep(0.001);
    stream.write("hello\n");
    ++served;
    co_return;
  };
  aio::Server server = green::awaitlet(aio::start_server(std::move(handler), any_port));
  CHECK(green::awaitlet(ask(server.getsockname(), "x")) == "hello\n");
  CHECK(green::awaitlet(ask(server.getsockname(), "x")) == "hello\n");
  CHECK(served == 2);
}

TEST_CASE("a unix socket, and its file once more") {
  const std::string path = "/tmp/uvlet-server-" + std::to_string(getpid());
  for (int round = 0; round < 2; ++round) {
    aio::Server server = green::awaitlet(aio::start_server(echo, aio::Address::unix_path(path)));
    CHECK(server.getsockname() == aio::Address::unix_path(path));
    CHECK(green::awaitlet(ask(server.getsockname(), "unix")) == "unix\n");
  }
  ::unlink(path.c_str());
}

TEST_CASE("a handler that throws ends its connection alone") {
  test::Quiet quiet;
  auto fails = [](aio::Stream stream) -> aio::task<void> {
    const std::string line = co_await stream.readline();
    if (line == "bad\n") throw std::runtime_error("bad");
    stream.write(line);
  };
  aio::Server server = green::awaitlet(aio::start_server(fails, any_port));
  CHECK(green::awaitlet(ask(server.getsockname(), "bad")) == "");
  CHECK(green::awaitlet(ask(server.getsockname(), "good")) == "good\n");
}

TEST_CASE("close refuses new connections, wait_closed waits for the handlers") {
  auto body = []() -> aio::task<> {
    aio::Server server = co_await aio::start_server(echo, any_port);
    aio::Stream open = co_await aio::open_connection(server.getsockname());
    open.write("a\n");
    co_await open.readline();
    server.close();
    server.close();
    int error = 0;
    try {
      co_await aio::open_connection(server.getsockname());
    } catch (const std::system_error& refused) {
      error = refused.code().value();
    }
    CHECK(error == ECONNREFUSED);
    auto closed = aio::create_task(server.wait_closed());
    open.write("b\n");
    const std::string answer = co_await open.readline();
    CHECK(answer == "b\n");
    CHECK(!closed.done());
    open.close();
    co_await closed;
  };
  aio::run(body());
}

TEST_CASE("the last handle closes it") {
  aio::Address address;
  {
    aio::Server server = green::awaitlet(aio::start_server(echo, any_port));
    const aio::Server other = server;
    address = server.getsockname();
  }
  CHECK_THROWS_AS(green::awaitlet(aio::open_connection(address)), std::system_error);
}

TEST_CASE("an address that is taken is system_error") {
  aio::Server server = green::awaitlet(aio::start_server(echo, any_port));
  int error = 0;
  try {
    green::awaitlet(aio::start_server(echo, server.getsockname()));
  } catch (const std::system_error& taken) {
    error = taken.code().value();
  }
  CHECK(error == EADDRINUSE);
}

TEST_CASE("servers of several threads share a port if they say so") {
  constexpr int hubs = 2;
  const aio::Server first = green::awaitlet(aio::start_server(echo, any_port, true));
  const aio::Address shared = first.getsockname();
  CHECK_THROWS_AS(green::awaitlet(aio::start_server(echo, shared)), std::system_error);
  std::atomic<int> served[hubs] = {};
  std::atomic<int> ready{0};
  std::atomic<uvlet::Hub*> places[hubs] = {};
  std::atomic<aio::Server*> servers[hubs] = {};
  std::thread threads([&] {
    uvlet::run_on_threads(hubs, [&](int index) {
      auto handler = [&, index](aio::Stream stream) -> aio::task<> {
        ++served[index];
        stream.write("served\n");
        co_return;
      };
      aio::Server server = green::awaitlet(aio::start_server(handler, shared, true));
      places[index] = &uvlet::Hub::current();
      servers[index] = &server;
      ++ready;
      green::awaitlet(server.wait_closed());
    });
  });
  green::with_timeout(test::watchdog, [&] {
    while (ready < hubs) green::sleep(0.001);
    std::vector<aio::Stream> clients;
    while (served[0] == 0 || served[1] == 0) {
      clients.push_back(green::awaitlet(aio::open_connection(shared)));
      clients.back().write("hello\n");
      green::sleep(0.001);
    }
    for (int i = 0; i < hubs; ++i)
      places[i].load()->post([server = servers[i].load()] { server->close(); });
  });
  threads.join();
}

TEST_CASE("without a descriptor left it waits, and serves when there is one") {
  aio::Server server = green::awaitlet(aio::start_server(echo, any_port));
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int next_free = ::dup(client);
  ::close(next_free);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next_free);
  setrlimit(RLIMIT_NOFILE, &none);
  const auto raw = server.getsockname().raw();
  const int connected = ::connect(client, raw.get(), raw.length);  // the backlog answers
  green::sleep(0.03);
  CHECK(server.is_serving());
  setrlimit(RLIMIT_NOFILE, &before);
  REQUIRE(connected == 0);
  ::send(client, "late\n", 5, 0);
  char buffer[8] = {};
  green::with_timeout(test::watchdog, [&] {
    while (::recv(client, buffer, 5, MSG_DONTWAIT) != 5) green::sleep(0.001);
  });
  CHECK(std::string(buffer) == "late\n");
  ::close(client);
}

TEST_CASE("a connection that is cancelled ends, and leaves the server alone") {
  auto body = []() -> aio::task<> {
    aio::Server server = co_await aio::start_server(echo, any_port);
    bool timed_out = false;
    try {
      aio::Stream stream = co_await aio::open_connection(server.getsockname());
      co_await aio::wait_for(stream.readline(), 0.001);
    } catch (const aio::TimeoutError&) {
      timed_out = true;
    }
    CHECK(timed_out);
    const std::string answer = co_await ask(server.getsockname(), "next");
    CHECK(answer == "next\n");
  };
  aio::run(body());
}
