#include <green/websocket.hpp>

#include <green/awaitlet.hpp>
#include <green/http.hpp>

namespace green::http {

using green::detail::drive;

void WebSocket::send_str(std::string text) { drive(socket_.send_str(std::move(text))); }
void WebSocket::send_bytes(std::string data) { drive(socket_.send_bytes(std::move(data))); }
void WebSocket::send_json(const json& value) { drive(socket_.send_json(value)); }
void WebSocket::ping(std::string data) { drive(socket_.ping(std::move(data))); }
void WebSocket::pong(std::string data) { drive(socket_.pong(std::move(data))); }
Message WebSocket::receive(std::optional<Duration> timeout) {
  return drive(socket_.receive(timeout));
}
std::optional<Message> WebSocket::next() { return drive(socket_.next()); }
std::string WebSocket::receive_str(std::optional<Duration> timeout) {
  return drive(socket_.receive_str(timeout));
}
std::string WebSocket::receive_bytes(std::optional<Duration> timeout) {
  return drive(socket_.receive_bytes(timeout));
}
json WebSocket::receive_json(std::optional<Duration> timeout) {
  return drive(socket_.receive_json(timeout));
}
bool WebSocket::close(int code, std::string reason) {
  return drive(socket_.close(code, std::move(reason)));
}

void WebSocketResponse::prepare(aio::web::Request& request) { drive(response_.prepare(request)); }

WebSocket ClientSession::ws_connect(std::string url, WebSocketOptions options,
                                    RequestOptions request) {
  return drive(ws_connect_async(std::move(url), std::move(options), std::move(request)));
}

namespace {

aio::task<WebSocket> blocking(aio::task<aio::http::WebSocket> socket) {
  co_return WebSocket(co_await std::move(socket));
}

}  // namespace

aio::task<WebSocket> ClientSession::ws_connect_async(std::string url, WebSocketOptions options,
                                                     RequestOptions request) {
  return blocking(session_.ws_connect(std::move(url), std::move(options), std::move(request)));
}

}  // namespace green::http
