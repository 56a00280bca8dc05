#include <aio/web/response.hpp>

#include "exchange.hpp"

#include <algorithm>
#include <stdexcept>

namespace aio::web {
namespace {

int checked(int status) {
  if (status < 100 || status > 599)
    throw std::invalid_argument("a response: " + std::to_string(status) + " is no status");
  return status;
}

}  // namespace

Response::Response(std::string body, int status, std::string content_type)
    : status_(checked(status)), body_(std::move(body)) {
  if (!content_type.empty()) headers_.add("Content-Type", std::move(content_type));
}

Response::Response(StreamResponse stream)
    : status_(stream.stream_->status), stream_(std::move(stream.stream_)) {}

Response::Response(FileResponse file)
    : status_(file.file_->status), headers_(file.file_->headers), file_(std::move(file.file_)) {}

Response::Response(const Response&) = default;
Response& Response::operator=(const Response&) = default;
Response::Response(Response&&) noexcept = default;
Response& Response::operator=(Response&&) noexcept = default;
Response::~Response() = default;

void Response::set_status(int status) { status_ = checked(status); }

Response json_response(const http::json& value, int status) {
  return Response(value.dump(), status, "application/json; charset=utf-8");
}

void set_cookie(http::Headers& headers, std::string_view name, std::string_view value,
                const CookieOptions& options) {
  const auto fits = [](std::string_view text, std::string_view forbidden) {
    return std::none_of(text.begin(), text.end(), [&](char c) {
      return c <= ' ' || c >= 0x7f || forbidden.find(c) != std::string_view::npos;
    });
  };
  if (name.empty() || !fits(name, "()<>@,;:\\\"/[]?={}"))
    throw std::invalid_argument("no name for a cookie: '" + std::string(name) + "'");
  if (!fits(value, "\",;\\"))
    throw std::invalid_argument("no value for the cookie '" + std::string(name) + "': '" +
                                std::string(value) + "'");
  std::string text = std::string(name) + "=" + std::string(value);
  const auto add = [&](const char* attribute, const std::string& setting) {
    if (!fits(setting, ";,"))
      throw std::invalid_argument(std::string("the cookie's ") + attribute + ": '" + setting + "'");
    if (!setting.empty()) text += std::string("; ") + attribute + "=" + setting;
  };
  if (options.max_age) text += "; Max-Age=" + std::to_string(*options.max_age);
  add("Path", options.path);
  add("Domain", options.domain);
  add("SameSite", options.same_site);
  if (options.secure) text += "; Secure";
  if (options.http_only) text += "; HttpOnly";
  headers.add("Set-Cookie", std::move(text));
}

StreamResponse::StreamResponse(int status) : stream_(std::make_shared<detail::Stream>()) {
  stream_->status = checked(status);
}

http::Headers& StreamResponse::headers() { return stream_->headers; }
int StreamResponse::status() const { return stream_->status; }

task<void> StreamResponse::prepare(Request& request) { return request.exchange_.prepare(stream_); }

namespace {

detail::Exchange& prepared(const detail::Stream& stream) {
  if (!stream.exchange) throw std::logic_error("a StreamResponse that was not prepared");
  return *stream.exchange;
}

}  // namespace

task<void> StreamResponse::write(std::string_view data) {
  return prepared(*stream_).write(stream_, data);
}

task<void> StreamResponse::write_eof() { return prepared(*stream_).write_eof(stream_); }

FileResponse::FileResponse(std::string path, int status) : file_(std::make_shared<detail::File>()) {
  file_->path = std::move(path);
  file_->status = checked(status);
}

http::Headers& FileResponse::headers() { return file_->headers; }

}  // namespace aio::web
