#pragma once

#include <aio/http/options.hpp>
#include <aio/http/response.hpp>
#include <aio/http/websocket.hpp>
#include <aio/task.hpp>

#include <memory>
#include <string>

namespace aio::http {

namespace detail {
struct SessionState;
}  // namespace detail

// aiohttp's client: requests that share a pool of connections, and cookies. Of one hub, on whose
// thread it is used. Destroying it closes idle connections; requests in flight, and responses, live
// on. Source: aiohttp.ClientSession.
//
// A request throws InvalidURL, ClientConnectorError, ServerDisconnectedError, ClientResponseError
// for what is no HTTP, TooManyRedirects, aio::TimeoutError, what options.body throws;
// invalid_argument for options that do not go together, or that would smuggle something into the
// message; logic_error after close(). A status of 400 and above is no error. Cut short, by whatever
// it is, it closes its connection.
//
// One that may be repeated (GET, HEAD, PUT, DELETE, OPTIONS, TRACE, without `body`) is sent a
// second time if an idle connection turns out to be dead. Redirects are followed as aiohttp does:
// 303, and 301 and 302 of a POST, become a GET; Authorization and cookies of the request's own stay
// behind when the origin changes. gzip, deflate and br are asked for, and undone.
class UVLET_API ClientSession {
 public:
  // Throws invalid_argument for a negative limit, InvalidURL for a bad base_url.
  explicit ClientSession(SessionOptions options = SessionOptions());
  ClientSession(ClientSession&&) noexcept;
  ClientSession& operator=(ClientSession&&) noexcept;
  ~ClientSession();

  task<ClientResponse> get(std::string url, RequestOptions options = RequestOptions());
  task<ClientResponse> post(std::string url, RequestOptions options = RequestOptions());
  task<ClientResponse> put(std::string url, RequestOptions options = RequestOptions());
  task<ClientResponse> patch(std::string url, RequestOptions options = RequestOptions());
  task<ClientResponse> delete_(std::string url, RequestOptions options = RequestOptions());
  task<ClientResponse> head(std::string url, RequestOptions options = RequestOptions());
  task<ClientResponse> options(std::string url, RequestOptions options = RequestOptions());
  task<ClientResponse> request(std::string method, std::string url,
                               RequestOptions options = RequestOptions());

  // A WebSocket at a URL of ws, wss, http or https. `request` has what else goes with the request
  // for it: headers, such as Origin; auth; the timeout, which is for the handshake alone. Throws
  // WSServerHandshakeError, and as request() does. Where uvlet was built with wslay and OpenSSL.
  task<WebSocket> ws_connect(std::string url, WebSocketOptions options = WebSocketOptions(),
                             RequestOptions request = RequestOptions());

  // Closes idle connections; what is in flight goes on, later requests are logic_error. Again:
  // nothing.
  task<void> close();
  bool closed() const noexcept;

  // For the rest of the library.
  const std::shared_ptr<detail::SessionState>& state() const noexcept { return state_; }

 private:
  std::shared_ptr<detail::SessionState> state_;
};

}  // namespace aio::http
