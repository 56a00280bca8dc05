#pragma once

// The HTTP server of a program that is all green. In the library uvlet-http.

#include <aio/web/application.hpp>
#include <aio/web/runner.hpp>
#include <green/socket.hpp>

#include <memory>
#include <utility>

namespace green::http {
namespace detail {

UVLET_API void serve(Socket& listener, aio::web::Handler handler,
                     const aio::web::ServerOptions& options);

}  // namespace detail

// Answers every request with handler(aio::web::Request&), which may block, until the listener is
// closed; idle connections are closed then, and it returns after the last request, or after
// shutdown_timeout, when what still runs is cancelled. A kill cancels what runs at once. The
// listener stays the caller's. Throws what accepting fails with.
// Blocks the green thread. Cancel point. Source: eventlet.wsgi.server.
template <class H>
void server(Socket& listener, H handler,
            aio::web::ServerOptions options = aio::web::ServerOptions()) {
  auto any = std::make_shared<aio::web::detail::AnyHandler>(
      aio::web::detail::make_handler(std::move(handler)));
  aio::web::Handler call = [any](aio::web::Request& request) { return (*any)(request); };
  detail::serve(listener, std::move(call), options);
}

}  // namespace green::http
