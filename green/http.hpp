#pragma once

// HTTP for a program that is all green: a client, and a server. In the library uvlet-http.

#include <aio/http.hpp>
#include <aio/web/application.hpp>
#include <aio/web/runner.hpp>
#include <green/awaitlet.hpp>
#include <green/socket.hpp>
#include <green/websocket.hpp>

#include <memory>
#include <string>
#include <utility>

namespace green::http {

using aio::http::ClientConnectorError;
using aio::http::ClientError;
using aio::http::ClientPayloadError;
using aio::http::ClientResponseError;
using aio::http::FormPart;
using aio::http::Headers;
using aio::http::InvalidURL;
using aio::http::json;
using aio::http::RequestOptions;
using aio::http::ServerDisconnectedError;
using aio::http::SessionOptions;
using aio::http::TooManyRedirects;

// aio::http::ClientResponse, blocking: its members say what they do and throw.
// x_async() is awaitable, and what x() waits for.
class UVLET_API ClientResponse {
 public:
  explicit ClientResponse(aio::http::ClientResponse response) noexcept
      : response_(std::move(response)) {}

  int status() const noexcept { return response_.status(); }
  const std::string& reason() const noexcept { return response_.reason(); }
  const Headers& headers() const noexcept { return response_.headers(); }
  const std::string& url() const noexcept { return response_.url(); }

  // All of the body; again, the same.
  // Blocks the green thread. Cancel point.
  std::string read();
  aio::task<std::string> read_async() { return response_.read(); }
  // Blocks the green thread. Cancel point.
  std::string text() { return read(); }
  aio::task<std::string> text_async() { return response_.text(); }
  // Blocks the green thread. Cancel point.
  http::json json();
  aio::task<http::json> json_async() { return response_.json(); }
  // The next bytes of the body; "" at its end.
  // Blocks the green thread. Cancel point.
  std::string read_chunk();
  aio::task<std::string> read_chunk_async() { return response_.read_chunk(); }

  void raise_for_status() const { response_.raise_for_status(); }
  void release() { response_.release(); }

  // The same response for coroutines.
  aio::http::ClientResponse& async() noexcept { return response_; }

 private:
  aio::http::ClientResponse response_;
};

// aio::http::ClientSession, blocking: see there for what a request does, and throws.
// x_async() is awaitable, and what x() waits for.
class UVLET_API ClientSession {
 public:
  explicit ClientSession(SessionOptions options = SessionOptions())
      : session_(std::move(options)) {}

  // Sends a request, and gives the response once its head is there.
  // Blocks the green thread. Cancel point.
  ClientResponse request(std::string method, std::string url,
                         RequestOptions options = RequestOptions());
  aio::task<ClientResponse> request_async(std::string method, std::string url,
                                          RequestOptions options = RequestOptions());
  // Blocks the green thread. Cancel point.
  ClientResponse get(std::string url, RequestOptions options = RequestOptions());
  aio::task<ClientResponse> get_async(std::string url, RequestOptions options = RequestOptions()) {
    return request_async("GET", std::move(url), std::move(options));
  }
  // Blocks the green thread. Cancel point.
  ClientResponse post(std::string url, RequestOptions options = RequestOptions());
  aio::task<ClientResponse> post_async(std::string url, RequestOptions options = RequestOptions()) {
    return request_async("POST", std::move(url), std::move(options));
  }
  // Blocks the green thread. Cancel point.
  ClientResponse put(std::string url, RequestOptions options = RequestOptions());
  aio::task<ClientResponse> put_async(std::string url, RequestOptions options = RequestOptions()) {
    return request_async("PUT", std::move(url), std::move(options));
  }
  // Blocks the green thread. Cancel point.
  ClientResponse patch(std::string url, RequestOptions options = RequestOptions());
  aio::task<ClientResponse> patch_async(std::string url,
                                        RequestOptions options = RequestOptions()) {
    return request_async("PATCH", std::move(url), std::move(options));
  }
  // Blocks the green thread. Cancel point.
  ClientResponse delete_(std::string url, RequestOptions options = RequestOptions());
  aio::task<ClientResponse> delete_async(std::string url,
                                         RequestOptions options = RequestOptions()) {
    return request_async("DELETE", std::move(url), std::move(options));
  }
  // Blocks the green thread. Cancel point.
  ClientResponse head(std::string url, RequestOptions options = RequestOptions());
  aio::task<ClientResponse> head_async(std::string url, RequestOptions options = RequestOptions()) {
    return request_async("HEAD", std::move(url), std::move(options));
  }
  // Blocks the green thread. Cancel point.
  ClientResponse options(std::string url, RequestOptions options = RequestOptions());
  aio::task<ClientResponse> options_async(std::string url,
                                          RequestOptions options = RequestOptions()) {
    return request_async("OPTIONS", std::move(url), std::move(options));
  }

  // Blocks the green thread. Cancel point.
  WebSocket ws_connect(std::string url, WebSocketOptions options = WebSocketOptions(),
                       RequestOptions request = RequestOptions());
  aio::task<WebSocket> ws_connect_async(std::string url,
                                        WebSocketOptions options = WebSocketOptions(),
                                        RequestOptions request = RequestOptions());

  // Closes idle connections; later requests are logic_error.
  // Blocks the green thread. Cancel point.
  void close();
  aio::task<void> close_async() { return session_.close(); }
  bool closed() const noexcept { return session_.closed(); }

  // The same session for coroutines.
  aio::http::ClientSession& async() noexcept { return session_; }

 private:
  aio::http::ClientSession session_;
};

// A GET on a connection of its own, through the proxies that the environment names. Throws as
// ClientSession::get() does. Source: urllib.request.urlopen, but for a status of 400 and above,
// which is the caller's to look at.
// Blocks the green thread. Cancel point.
UVLET_API ClientResponse urlopen(std::string url);
UVLET_API aio::task<ClientResponse> urlopen_async(std::string url);

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

// The same on a green thread of its own: cancelling the wait stops it.
template <class H>
aio::task<void> server_async(Socket& listener, H handler,
                             aio::web::ServerOptions options = aio::web::ServerOptions()) {
  auto serving = [&listener, handler = std::move(handler), options]() mutable {
    server(listener, std::move(handler), options);
  };
  return aio::async_def(std::move(serving));
}

}  // namespace green::http
