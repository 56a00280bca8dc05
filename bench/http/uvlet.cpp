// The library's, as a user writes them.

#include "servers.hpp"

#include <aio/web.hpp>
#include <green/green.hpp>
#include <green/http.hpp>

namespace {

namespace web = aio::web;

web::Response greet(web::Request&) { return web::Response(greeting); }

aio::task<web::Response> greet_task(web::Request&) { co_return web::Response(greeting); }

template <class H>
void serve_application(H handler, std::uint16_t port) {
  web::Application app;
  app.router().add_get("/", handler);
  web::run_app(app, aio::Address("127.0.0.1", port));
}

}  // namespace

void serve_function(std::uint16_t port) { serve_application(greet, port); }

void serve_coroutine(std::uint16_t port) { serve_application(greet_task, port); }

void serve_green(std::uint16_t port) {
  green::Socket listener = green::listen(green::Address("127.0.0.1", port), 1024);
  green::http::server(listener, greet);
}
