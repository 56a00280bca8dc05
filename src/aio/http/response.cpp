#include <aio/http/response.hpp>

#include "client_exchange.hpp"
#include "text.hpp"

#include <utility>

namespace aio::http {

using detail::ClientExchange;

ClientResponse::ClientResponse(std::shared_ptr<ClientExchange> exchange) noexcept
    : exchange_(std::move(exchange)) {}

int ClientResponse::status() const noexcept { return exchange_->status; }
const std::string& ClientResponse::reason() const noexcept { return exchange_->reason; }
const Headers& ClientResponse::headers() const noexcept { return exchange_->headers; }
const std::string& ClientResponse::url() const noexcept { return exchange_->url; }

task<std::string> ClientResponse::read() { return ClientExchange::read(exchange_); }
task<std::string> ClientResponse::read_chunk() { return ClientExchange::read_chunk(exchange_); }

namespace {

task<json> parsed(std::shared_ptr<ClientExchange> exchange) {
  const std::string body = co_await ClientExchange::read(exchange);
  json value = json::parse(body, nullptr, false);
  if (value.is_discarded())
    throw ClientPayloadError(exchange->url + ": the body is no JSON: '" + body.substr(0, 40) + "'");
  co_return value;
}

}  // namespace

task<json> ClientResponse::json() { return parsed(exchange_); }

void ClientResponse::raise_for_status() const {
  if (status() < 400) return;
  throw ClientResponseError(status(), std::to_string(status()) + " " + reason() + ": " + url());
}

void ClientResponse::release() { exchange_->release(); }

}  // namespace aio::http
