#include <aio/web/request.hpp>

#include "../http/text.hpp"
#include "exchange.hpp"

namespace aio::web {

Request::Request(detail::Exchange& exchange) : exchange_(exchange) {
  const std::string& target = exchange.parser.head().target;
  std::string_view path = target;
  const std::size_t scheme = path.front() == '/' ? std::string_view::npos : path.find("://");
  if (scheme != std::string_view::npos) {  // to a proxy: only the path counts
    path.remove_prefix(scheme + 3);
    path.remove_prefix(std::min(path.find_first_of("/?"), path.size()));
  }
  const std::size_t question = path.find('?');
  if (question != std::string_view::npos) query_string_ = path.substr(question + 1);
  path = path.substr(0, question);
  raw_path_ = path.empty() ? "/" : path;
  path_ = http::detail::decoded(raw_path_);
}

Request::~Request() = default;

const std::string& Request::method() const noexcept { return exchange_.parser.head().method; }
const std::string& Request::target() const noexcept { return exchange_.parser.head().target; }
const http::Headers& Request::headers() const noexcept { return exchange_.parser.head().headers; }
Address Request::remote() const { return exchange_.remote; }

std::vector<std::pair<std::string, std::string>> Request::query() const {
  return http::detail::parse_form(query_string_);
}

std::optional<std::string> Request::query(std::string_view name) const {
  for (auto& [key, value] : query())
    if (key == name) return std::move(value);
  return std::nullopt;
}

std::optional<std::string> Request::cookie(std::string_view name) const {
  for (const std::string& header : headers().get_all("Cookie"))
    if (auto value = http::detail::find_cookie(header, name)) return value;
  return std::nullopt;
}

Application& Request::app() const {
  if (!app_) throw std::logic_error("a request that belongs to no application");
  return *app_;
}

const detail::Value& Request::stored(const std::string& key) const {
  const auto found = storage_.find(key);
  if (found == storage_.end())
    throw std::out_of_range("the request has nothing by the name '" + key + "'");
  return found->second;
}

task<std::string> Request::read_chunk() { return exchange_.read_chunk(); }

task<std::string> Request::read() {
  const std::size_t limit = exchange_.options.client_max_size;
  const auto too_long = [limit] {
    return HTTPException(413, "a body of more than " + std::to_string(limit) + " bytes");
  };
  if (!body_) {
    if (exchange_.parser.head().content_length.value_or(0) > limit) throw too_long();
    std::string body;
    for (;;) {
      std::string chunk = co_await exchange_.read_chunk();
      if (chunk.empty()) break;
      if (body.size() + chunk.size() > limit) throw too_long();
      body = body.empty() ? std::move(chunk) : std::move(body) + chunk;
    }
    body_ = std::move(body);
  }
  co_return *body_;
}

task<http::json> Request::json() {
  const std::string body = co_await read();
  http::json value = http::json::parse(body, nullptr, false);
  if (value.is_discarded()) throw HTTPException(400, "the body is no JSON");
  co_return value;
}

task<std::vector<std::pair<std::string, std::string>>> Request::post() {
  const std::string body = co_await read();
  co_return http::detail::parse_form(body);
}

HTTPException::HTTPException(int status, std::string text)
    : std::runtime_error(std::to_string(status) + ": " +
                         (text.empty() ? std::string(http::detail::reason_of(status)) : text)),
      status_(status),
      text_(std::move(text)) {
  if (status < 100 || status > 599)
    throw std::invalid_argument("HTTPException: " + std::to_string(status) + " is no status");
}

}  // namespace aio::web
