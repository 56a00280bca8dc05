#include <green/http.hpp>

#include "../src/aio/web/server.hpp"

#include <green/convenience.hpp>
#include <system_error>

namespace green::http {

void detail::serve(Socket& listener, aio::web::Handler handler,
                   const aio::web::ServerOptions& options) {
  auto state = std::make_shared<aio::web::detail::ServerState>(std::move(handler), options);
  try {
    for (;;) {
      while (options.max_connections > 0 && state->connections >= options.max_connections)
        uvlet::block(state->changed.wait());
      auto [connection, peer] = green::detail::accept_patiently(listener);
      std::unique_ptr<uvlet::Transport> transport = state->transport();
      if (const uvlet::Transport* own = connection.descriptor()->transport(); own && !transport)
        transport = own->accepted();
      state->begin(connection.detach(), std::move(transport), std::move(peer));
    }
  } catch (const std::system_error&) {
    if (!listener.closed()) {
      state->cancel_all();
      throw;
    }
  } catch (...) {
    state->cancel_all();
    throw;
  }
  awaitlet(state->finish());
}

}  // namespace green::http
