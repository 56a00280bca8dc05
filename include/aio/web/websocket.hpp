#pragma once

#include <aio/http/websocket.hpp>
#include <aio/web/request.hpp>
#include <aio/web/response.hpp>

#include <memory>

namespace aio::web {

using http::Message;
using http::MsgType;
using http::WebSocketError;
using http::WebSocketOptions;
using http::WSMsgType;

// The server's end of a WebSocket: a handler prepares it, converses, and returns it (or anything,
// which is not looked at then). What is still open then is closed with 1000; with 1011 if the
// handler throws; and with 1001 when the server stops. Of use while its Request lives: after that
// it is closed. No origin is refused: a server for browsers looks at the header Origin itself.
// Source: aiohttp.web.WebSocketResponse.
class UVLET_API WebSocketResponse : public http::WebSocket {
 public:
  explicit WebSocketResponse(WebSocketOptions options = WebSocketOptions());

  // To be sent with the answer.
  http::Headers& headers() noexcept { return *headers_; }
  // Whether prepare() would accept the request.
  bool can_prepare(const Request& request) const;
  // Accepts what the client asks for (RFC 6455, 4.2). Throws HTTPException: 400, 426 for who asks
  // for no WebSocket or for another version of it, 503 while the server stops; logic_error if that
  // was done before.
  task<void> prepare(Request& request);

 private:
  std::shared_ptr<http::Headers> headers_;
};

}  // namespace aio::web
