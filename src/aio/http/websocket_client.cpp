#include "client.hpp"
#include "websocket.hpp"

#include <aio/http/client.hpp>

#include <memory>
#include <utility>

namespace aio::http {
namespace {

using detail::WebSocketState;

task<WebSocket> connect(std::shared_ptr<detail::SessionState> session, std::string url,
                        WebSocketOptions options, RequestOptions request) {
  const std::string key = detail::make_websocket_key();
  detail::ask_for_websocket(request.headers, key, options);
  const ClientResponse response =
      co_await detail::SessionState::request(std::move(session), "GET", url, std::move(request));
  if (response.status() != 101)
    throw WSServerHandshakeError(response.status(), response.url() + ": no WebSocket, but " +
                                                        std::to_string(response.status()) + " " +
                                                        response.reason());
  auto state = std::make_shared<WebSocketState>(detail::WebSocketRole::client, options);
  detail::WebSocketAgreement agreement;
  try {
    agreement = detail::check_websocket_answer(response.headers(), key, options);
  } catch (const detail::ProtocolError& error) {
    throw WSServerHandshakeError(101, response.url() + ": " + error.what());
  }
  auto lease = std::make_shared<detail::Lease>(response.exchange()->take_connection());
  detail::Connection* const bytes = &(*lease)->bytes;
  state->open(std::shared_ptr<detail::Connection>(std::move(lease), bytes), std::move(agreement));
  co_return WebSocket(std::move(state));
}

}  // namespace

task<WebSocket> ClientSession::ws_connect(std::string url, WebSocketOptions options,
                                          RequestOptions request) {
  if (!state_) throw std::logic_error("a ClientSession that was moved from");
  return connect(state_, std::move(url), std::move(options), std::move(request));
}

}  // namespace aio::http
