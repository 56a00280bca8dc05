#include <aio/web.hpp>

#include "../green/sockets.hpp"
#include "../ssl_support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>
#include <green/ssl.hpp>

namespace web = aio::web;
using test::receive_all;

TEST_CASE("an application is served over TLS, files and large bodies too") {
  web::Application app;
  const std::string large(3'000'000, 'x');
  app.router().add_get("/large", [&](web::Request&) { return web::Response(large); });
  app.router().add_static("/files", test::certificates().folder());
  web::ServerOptions options;
  options.ssl = test::server_options();
  web::Runner runner(app, options);
  green::awaitlet(runner.start(green::Address("127.0.0.1", 0)));
  auto get = [&](const std::string& path) {
    green::Socket socket =
        green::wrap_ssl(green::connect(runner.address()), test::client_options());
    socket.sendall("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const std::string response = receive_all(socket);
    return response.substr(response.find("\r\n\r\n") + 4);
  };
  CHECK(get("/large") == large);
  CHECK(get("/files/server.pem").find("BEGIN CERTIFICATE") != std::string::npos);
  green::Socket stalls = green::connect(runner.address());  // shakes no hands
  green::Socket idle = green::wrap_ssl(green::connect(runner.address()), test::client_options());
  idle.sendall("GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(idle.recv(1000).starts_with("HTTP/1.1 404"));
  green::awaitlet(runner.stop());
  CHECK(receive_all(stalls).empty());
  CHECK(receive_all(idle).empty());
}

TEST_CASE("certificates that are not there are an error when it starts") {
  web::ServerOptions options;
  options.ssl.emplace();
  options.ssl->certfile = "/no/such.pem";
  web::Runner runner{web::Application(), options};
  CHECK_THROWS(green::awaitlet(runner.start(green::Address("127.0.0.1", 0))));
}
