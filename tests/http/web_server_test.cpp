// How an application is served: connections, limits, and the end.

#include "../standard_error.hpp"
#include "served.hpp"

#include <aio/sleep.hpp>
#include <green/event.hpp>
#include <green/http.hpp>

#include <csignal>
#include <memory>
#include <regex>
#include <sys/wait.h>
#include <tuple>
#include <unistd.h>
#include <vector>

using aio::task;
using test::closed;
using test::count;
using test::get_root;
using test::header;
using test::receive_all;
using test::Served;

namespace web = aio::web;

TEST_CASE("100 Continue is sent when the body is first read, not before") {
  web::Application app;
  app.router().add_post("/read", [](web::Request& request) -> task<web::Response> {
    co_return web::Response(co_await request.read());
  });
  app.router().add_post("/refuse", [](web::Request&) { return web::Response("no", 403); });
  const Served served(app);
  green::Socket socket = served.connect();
  const std::string rest =
      " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  socket.sendall("POST /read" + rest);
  CHECK(socket.recv(1000) == "HTTP/1.1 100 Continue\r\n\r\n");
  socket.sendall("hello");
  CHECK(Served::brief(socket.recv(1000)) == "200 hello");
  socket.sendall("POST /refuse" + rest);
  const std::string refused = receive_all(socket);
  CHECK(Served::brief(refused) == "403 no");
  CHECK(header(refused, "Connection") == "close");  // the client may send the body or not
}

TEST_CASE("a connection is kept for the next request, and requests may come at once") {
  web::Application app;
  int answered = 0;
  app.router().add_get("/",
                       [&](web::Request&) { return web::Response(std::to_string(++answered)); });
  app.router().add_post("/unread", [](web::Request&) { return web::Response("unread"); });
  const Served served(app);
  const std::string responses = served.talk(get_root + get_root +
                                            "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: "
                                            "5\r\n\r\nhello" +
                                            get_root + get_root);
  CHECK(count(responses, "HTTP/1.1 200 OK\r\n") == 5);
  CHECK(responses.ends_with("\r\n\r\n4"));
  const std::string old = served.talk("GET / HTTP/1.0\r\n\r\n" + get_root);
  CHECK(count(old, "HTTP/1.1 200 OK") == 1);
  CHECK(header(old, "Connection") == "close");
  const std::string kept = served.talk("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(header(kept, "Connection") == "keep-alive");
}

TEST_CASE("a body that is too long to skip ends the connection, but not the response") {
  web::Application app;
  app.router().add_post("/", [](web::Request&) { return web::Response("unread"); });
  const Served served(app);
  CHECK(served.post("/", std::string(1'000'000, 'x')).starts_with("200 unread"));
}

TEST_CASE("what breaks the protocol is answered and closed") {
  web::Application app;
  app.router().add_get("/", [](web::Request&) { return web::Response("hello"); });
  const Served served(app);
  auto status = [&](const std::string& bytes) {
    const std::string response = served.talk(bytes + get_root);
    CHECK(count(response, "HTTP/1.1 ") == 1);
    CHECK(header(response, "Connection") == "close");
    return Served::brief(response).substr(0, 3);
  };
  CHECK(status("GET / HTTP/1.1\r\n\r\n") == "400");
  CHECK(status("nonsense\r\n\r\n") == "400");
  CHECK(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n") == "505");
  CHECK(status("GET /" + std::string(9'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n") == "414");
  CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(9'000, 'x') + "\r\n\r\n") == "431");
  CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n") == "417");
  CHECK(status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n") == "400");
  CHECK(status("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n") == "400");
}

TEST_CASE("options that make no sense are refused by name") {
  auto refuse = [](auto set, const std::string& message) {
    web::ServerOptions options;
    set(options);
    CHECK_THROWS_WITH_AS(web::Runner(web::Application(), options), message.c_str(),
                         std::invalid_argument);
    CHECK_THROWS_WITH_AS(web::run_app(web::Application(), green::Address("127.0.0.1", 0), options),
                         message.c_str(), std::invalid_argument);
    green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
    auto handler = [](web::Request&) { return web::Response(); };
    CHECK_THROWS_WITH_AS(green::http::server(listener, handler, options), message.c_str(),
                         std::invalid_argument);
  };
  refuse([](auto& options) { options.threads = 0; }, "ServerOptions: threads is 0");
  refuse([](auto& options) { options.max_connections = -1; },
         "ServerOptions: max_connections is -1");
  refuse([](auto& options) { options.max_line_size = 0; }, "ServerOptions: max_line_size is 0");
  refuse([](auto& options) { options.max_field_size = 0; }, "ServerOptions: max_field_size is 0");
  refuse([](auto& options) { options.max_headers = 0; }, "ServerOptions: max_headers is 0");
}

TEST_CASE("the access log is in the common log format") {
  web::Application app;
  app.router().add_get("/a", [](web::Request&) { return web::Response("hello"); });
  web::ServerOptions options;
  options.access_log = true;
  const Served served(app, options);
  test::StandardError log;
  served.get("/a?b");
  const std::regex line(
      R"re(127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] )re"
      R"re("GET /a\?b HTTP/1\.1" 200 5\n)re");
  const std::string text = log.text();
  CHECK_MESSAGE(std::regex_match(text, line), text);
}

TEST_CASE("hooks run at the beginning and at the end, in order") {
  test::Log log;
  web::Application app;
  app.on_startup([&](web::Application&) -> task<void> {
    co_await aio::sleep(0.001);
    log("startup 1");
  });
  app.on_startup([&] { log("startup 2"); });
  app.on_shutdown([&](web::Application&) { log("shutdown"); });
  app.on_cleanup([&]() -> task<void> {
    log("cleanup");
    co_return;
  });
  app.router().add_get("/", [&](web::Request&) {
    log("request");
    return web::Response();
  });
  {
    const Served served(app);
    served.get("/");
  }
  CHECK(log.text() == "startup 1 startup 2 request shutdown cleanup");
}

TEST_CASE("stop closes idle connections at once and lets the busy ones answer") {
  web::Application app;
  green::Event<> go;
  app.router().add_get("/", [&](web::Request&) {
    go.wait();
    return web::Response("late");
  });
  Served served(app);
  green::Socket idle = served.connect();
  green::Socket busy = served.connect();
  busy.sendall(get_root);
  green::sleep(0.01);
  auto stopping = green::spawn([&] { green::awaitlet(served.runner().stop()); });
  CHECK(closed(idle));
  CHECK_THROWS_AS(served.connect(), std::system_error);
  CHECK_FALSE(stopping.dead());
  go.send();
  const std::string response = receive_all(busy);
  CHECK(Served::brief(response) == "200 late");
  CHECK(header(response, "Connection") == "close");
  stopping.wait();
}

TEST_CASE("whoever is busy after shutdown_timeout is cancelled") {
  web::Application app;
  int unwound = 0;
  app.router().add_get("/plain", [&](web::Request&) {
    const test::Counted counted(unwound);
    green::sleep(test::watchdog);
    return web::Response();
  });
  app.router().add_get("/coroutine", [&](web::Request&) -> task<web::Response> {
    const test::Counted counted(unwound);
    co_await aio::sleep(test::watchdog);
    co_return web::Response();
  });
  web::ServerOptions options;
  options.shutdown_timeout = 0.05;
  Served served(app, options);
  green::Socket first = served.connect();
  green::Socket second = served.connect();
  first.sendall("GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
  second.sendall("GET /coroutine HTTP/1.1\r\nHost: a\r\n\r\n");
  while (unwound < 2) green::sleep(0.001);
  green::awaitlet(served.runner().stop());
  CHECK(unwound == 0);
  CHECK(closed(first));
  CHECK(closed(second));
}

TEST_CASE("a client that is slow is cut, one that is idle leaves") {
  web::Application app;
  app.router().add_get("/", [](web::Request&) { return web::Response("hello"); });
  app.router().add_post("/", [](web::Request& request) -> task<web::Response> {
    co_return web::Response(co_await request.read());
  });
  web::ServerOptions options;
  options.request_timeout = 0.1;
  options.keepalive_timeout = 0.1;
  const Served served(app, options);
  green::Socket slow_head = served.connect();
  auto dripping = green::spawn([&] {
    try {
      for (const char byte : std::string("GET / HTTP/1.1\r\nX: ") + std::string(1'000, 'x')) {
        slow_head.sendall({&byte, 1});
        green::sleep(0.01);
      }
    } catch (const std::system_error&) {
    }
  });
  CHECK(Served::brief(receive_all(slow_head)).starts_with("408 "));
  slow_head.close();
  dripping.wait();
  green::Socket slow_body = served.connect();
  slow_body.sendall("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc");
  CHECK(Served::brief(receive_all(slow_body)).starts_with("408 "));
  green::Socket silent = served.connect();
  CHECK(closed(silent));
  green::Socket idle = served.connect();
  idle.sendall(get_root);
  CHECK(Served::brief(receive_all(idle)) == "200 hello");
}

TEST_CASE("at max_connections nobody is accepted until one leaves") {
  web::Application app;
  app.router().add_get("/", [](web::Request&) { return web::Response("hello"); });
  web::ServerOptions options;
  options.max_connections = 2;
  const Served served(app, options);
  green::Socket one = served.connect();
  green::Socket two = served.connect();
  for (green::Socket* socket : {&one, &two}) {
    socket->sendall(get_root);
    CHECK(Served::brief(socket->recv(1000)) == "200 hello");
  }
  green::Socket three = served.connect();  // waits in the backlog
  three.sendall(get_root);
  three.settimeout(0.05);
  CHECK_THROWS_AS(three.recv(1000), std::system_error);
  one.close();
  three.settimeout(test::watchdog);
  CHECK(Served::brief(three.recv(1000)) == "200 hello");
}

TEST_CASE("a client that leaves in the middle takes nothing with it") {
  web::Application app;
  app.router().add_get("/big",
                       [](web::Request&) { return web::Response(std::string(8'000'000, 'x')); });
  app.router().add_get("/", [](web::Request&) { return web::Response("hello"); });
  const Served served(app);
  for (int i = 0; i < 20; ++i) {
    green::Socket socket = served.connect();
    socket.sendall("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    if (i % 2) socket.recv(1000);
  }
  CHECK(served.get("/") == "200 hello");
}

TEST_CASE("an all-green server answers until its listener is closed") {
  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  const green::Address address = listener.getsockname();
  green::Event<> asked;
  auto server = green::spawn([&] {
    green::http::server(listener, [&](web::Request& request) {
      if (request.path() == "/slow") {
        asked.send();
        green::sleep(0.02);
      }
      return web::Response(request.path());
    });
  });
  auto get = [&](const std::string& path) {
    green::Socket socket = green::connect(address);
    socket.sendall("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    return Served::brief(receive_all(socket));
  };
  CHECK(get("/a") == "200 /a");
  auto slow = green::spawn([&] { return get("/slow"); });
  asked.wait();
  listener.close();
  CHECK(slow.wait() == "200 /slow");
  server.wait();
  CHECK_THROWS_AS(get("/b"), std::system_error);
}

TEST_CASE("a green server that is killed takes what runs with it") {
  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  int running = 0;
  auto server = green::spawn([&] {
    green::http::server(listener, [&](web::Request&) -> web::Response {
      const test::Counted counted(running);
      green::sleep(test::watchdog);
      return web::Response();
    });
  });
  green::Socket client = green::connect(listener.getsockname());
  client.sendall(get_root);
  while (running == 0) green::sleep(0.001);
  server.kill();
  CHECK(closed(client));
  CHECK(running == 0);
  CHECK_FALSE(listener.closed());
}

TEST_CASE("a green server and a client serve coroutines too, and a kill of the wait ends them") {
  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  const std::string url = "http://" + listener.getsockname().str() + "/";
  auto handler = [text = std::make_unique<std::string>("hello")](web::Request&) {
    return web::Response(*text);
  };
  auto serving = aio::create_task(green::http::server_async(listener, std::move(handler)));
  auto ask = [](std::string where) -> task<std::string> {
    green::http::ClientResponse response = co_await green::http::urlopen_async(where);
    co_return co_await response.async().text();
  };
  CHECK(green::awaitlet(ask(url)) == "hello");
  CHECK(green::http::urlopen(url).text() == "hello");
  serving.cancel();
  CHECK_THROWS_AS(green::awaitlet(serving), aio::CancelledError);
  CHECK_FALSE(listener.closed());
}

TEST_CASE(
    "run_app serves until SIGTERM or SIGINT on one thread or several, and lets who is busy "
    "answer") {
  enum class How { blocking, awaited };
  const std::vector<std::tuple<int, How, int>> ways{
      {1, How::blocking, SIGTERM}, {2, How::blocking, SIGTERM}, {1, How::awaited, SIGTERM},
      {2, How::awaited, SIGTERM},  {1, How::blocking, SIGINT},  {2, How::awaited, SIGINT}};
  for (const auto& [threads, how, ending] : ways) {
    green::Socket taken = green::listen(green::Address("127.0.0.1", 0));
    const green::Address address = taken.getsockname();
    taken.close();
    const pid_t server = ::fork();
    if (server == 0) {
      alarm(static_cast<unsigned>(test::watchdog));
      web::Application app;
      app.router().add_get("/", [number = ending](web::Request&) {
        ::kill(::getpid(), number);
        green::sleep(0.05);
        return web::Response("late");
      });
      web::ServerOptions options;
      options.threads = threads;
      if (how == How::blocking)
        web::run_app(app, address, options);
      else
        green::awaitlet(web::run_app_async(app, address, options));
      ::_exit(0);
    }
    std::string response;
    while (response.empty()) {
      try {
        green::Socket socket = green::connect(address);
        socket.sendall(get_root);
        response = receive_all(socket);
      } catch (const std::system_error&) {  // it does not listen yet
        green::sleep(0.01);
      }
    }
    CHECK(Served::brief(response) == "200 late");
    int status = -1;
    CHECK(::waitpid(server, &status, 0) == server);
    CHECK(status == 0);
  }
}
