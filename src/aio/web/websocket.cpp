#include <aio/web/websocket.hpp>

#include "../http/websocket.hpp"
#include "exchange.hpp"

#include <aio/future.hpp>

#include <stdexcept>
#include <utility>

namespace aio::web {
namespace {

using http::detail::WebSocketState;

constexpr int going_away = 1001;
constexpr int internal_error = 1011;

task<void> close_quietly(std::shared_ptr<WebSocketState> state, int code, std::string reason) {
  try {
    co_await WebSocketState::close(std::move(state), code, std::move(reason));
  } catch (const std::exception& error) {
    uvlet::report_exception(*uvlet::Hub::get().running(), std::current_exception());
  }
}

// A WebSocket as its Exchange knows it. Destroying it ends it.
class Upgraded final : public detail::Upgrade {
 public:
  explicit Upgraded(std::shared_ptr<WebSocketState> state) noexcept : state_(std::move(state)) {}
  ~Upgraded() override { state_->abandon(); }

  task<void> finish(std::exception_ptr error) override { return finish(state_, std::move(error)); }

  void stop() override { create_task(close_quietly(state_, going_away, "the server stops")); }

 private:
  static task<void> finish(std::shared_ptr<WebSocketState> state, std::exception_ptr error) {
    if (error) {
      try {
        std::rethrow_exception(error);
      } catch (const http::WebSocketError&) {  // the client has gone
      } catch (...) {
        uvlet::report_exception(*uvlet::Hub::get().running(), std::current_exception());
      }
    }
    co_await WebSocketState::close(std::move(state), error ? internal_error : 1000, {});
  }

  std::shared_ptr<WebSocketState> state_;
};

// The fields of the answer, completed. Throws HTTPException.
http::detail::WebSocketAgreement accept(const detail::Exchange& exchange,
                                        const WebSocketOptions& options, http::Headers& headers) {
  if (!exchange.body_ended) throw HTTPException(400, "a request for a WebSocket that has a body");
  try {
    return http::detail::accept_websocket(exchange.parser.head(), options, headers);
  } catch (const http::detail::ProtocolError& error) {
    HTTPException refusal(error.status, error.what());
    refusal.headers() = headers;
    throw refusal;
  }
}

task<void> begin(std::shared_ptr<WebSocketState> state, http::Headers headers,
                 detail::Exchange& exchange) {
  http::detail::WebSocketAgreement agreement = accept(exchange, state->options(), headers);
  co_await exchange.switch_protocols(std::move(headers));
  state->open(exchange.shared, std::move(agreement));
  exchange.hand_over(std::make_unique<Upgraded>(std::move(state)));
}

}  // namespace

WebSocketResponse::WebSocketResponse(WebSocketOptions options)
    : WebSocket(std::make_shared<WebSocketState>(http::detail::WebSocketRole::server,
                                                 std::move(options))),
      headers_(std::make_shared<http::Headers>()) {}

bool WebSocketResponse::can_prepare(const Request& request) const {
  http::Headers headers;
  try {
    accept(request.exchange_, state_->options(), headers);
    return true;
  } catch (const HTTPException&) {
    return false;
  }
}

task<void> WebSocketResponse::prepare(Request& request) {
  if (state_->is_open()) throw std::logic_error("a WebSocketResponse that was prepared before");
  return begin(state_, *headers_, request.exchange_);
}

Response::Response(WebSocketResponse) : status_(101), websocket_(true) {}

}  // namespace aio::web
