#include <green/http.hpp>

#include "../src/aio/web/server.hpp"

#include <green/awaitlet.hpp>
#include <green/convenience.hpp>
#include <system_error>

namespace green::http {

std::string ClientResponse::read() { return green::detail::drive(response_.read()); }
http::json ClientResponse::json() { return green::detail::drive(response_.json()); }
std::string ClientResponse::read_chunk() { return green::detail::drive(response_.read_chunk()); }

namespace {

aio::task<ClientResponse> blocking(aio::task<aio::http::ClientResponse> response) {
  co_return ClientResponse(co_await std::move(response));
}

}  // namespace

aio::task<ClientResponse> ClientSession::request_async(std::string method, std::string url,
                                                       RequestOptions options) {
  return blocking(session_.request(std::move(method), std::move(url), std::move(options)));
}
ClientResponse ClientSession::request(std::string method, std::string url, RequestOptions options) {
  return green::detail::drive(request_async(std::move(method), std::move(url), std::move(options)));
}
ClientResponse ClientSession::get(std::string url, RequestOptions options) {
  return request("GET", std::move(url), std::move(options));
}
ClientResponse ClientSession::post(std::string url, RequestOptions options) {
  return request("POST", std::move(url), std::move(options));
}
ClientResponse ClientSession::put(std::string url, RequestOptions options) {
  return request("PUT", std::move(url), std::move(options));
}
ClientResponse ClientSession::patch(std::string url, RequestOptions options) {
  return request("PATCH", std::move(url), std::move(options));
}
ClientResponse ClientSession::delete_(std::string url, RequestOptions options) {
  return request("DELETE", std::move(url), std::move(options));
}
ClientResponse ClientSession::head(std::string url, RequestOptions options) {
  return request("HEAD", std::move(url), std::move(options));
}
ClientResponse ClientSession::options(std::string url, RequestOptions options) {
  return request("OPTIONS", std::move(url), std::move(options));
}

void ClientSession::close() { green::detail::drive(session_.close()); }

ClientResponse urlopen(std::string url) {
  return green::detail::drive(urlopen_async(std::move(url)));
}

aio::task<ClientResponse> urlopen_async(std::string url) {
  SessionOptions options;
  options.trust_env = true;
  options.keepalive_timeout = 0;
  aio::http::ClientSession session(options);
  co_return ClientResponse(co_await session.get(std::move(url)));
}

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
