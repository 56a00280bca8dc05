#include "http.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace http {
namespace {

constexpr std::size_t head_bytes_max = 64 * 1024;

template <class Number>
Number parse_number(std::string_view text, int base, const char* what) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    throw Error("bad " + std::string(what) + ": '" + std::string(text) + "'");
  return number;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

Url parse_url(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  if (!text.starts_with(scheme))
    throw Error("only http:// is supported: '" + std::string(text) + "'");
  text.remove_prefix(scheme.size());
  const std::size_t slash = std::min(text.find('/'), text.size());
  std::string_view authority = text.substr(0, slash);
  Url url{"", 80, slash < text.size() ? std::string(text.substr(slash)) : "/"};
  const std::size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    url.port = parse_number<std::uint16_t>(authority.substr(colon + 1), 10, "port");
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']'))
    authority = authority.substr(1, authority.size() - 2);
  if (authority.empty()) throw Error("a URL without a host");
  url.host = authority;
  return url;
}

std::string get_request(const Url& url) {
  return "GET " + url.path + " HTTP/1.1\r\nHost: " + url.host + ":" + std::to_string(url.port) +
         "\r\nConnection: close\r\nAccept: */*\r\n\r\n";
}

void Response::feed(std::string_view data) {
  input_.append(data);
  if (!has_head_) {
    const std::size_t end = input_.find("\r\n\r\n");
    if (end == std::string::npos) {
      if (input_.size() > head_bytes_max) throw Error("the head of the response is too long");
      return;
    }
    parse_head(std::string_view(input_).substr(0, end));
    input_.erase(0, end + 4);
    has_head_ = true;
  }
  parse_body();
}

void Response::parse_head(std::string_view head) {
  std::size_t end = std::min(head.find("\r\n"), head.size());
  const std::string_view status_line = head.substr(0, end);
  if (!status_line.starts_with("HTTP/1.") || status_line.size() < 12)
    throw Error("not an HTTP/1.x response: '" + std::string(status_line.substr(0, 40)) + "'");
  status_ = parse_number<int>(status_line.substr(9, 3), 10, "status");
  while (end < head.size()) {
    const std::size_t start = end + 2;
    end = std::min(head.find("\r\n", start), head.size());
    const std::string_view line = head.substr(start, end - start);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) throw Error("bad header: '" + std::string(line) + "'");
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (same_name(name, "content-length")) {
      expected_ = parse_number<std::size_t>(value, 10, "Content-Length");
      has_length_ = true;
    } else if (same_name(name, "transfer-encoding")) {
      chunked_ = same_name(value, "chunked");
    }
  }
}

void Response::parse_body() {
  if (chunked_) {
    while (!complete_ && parse_chunk()) {
    }
    return;
  }
  body_.append(input_);
  input_.clear();
  complete_ = has_length_ && body_.size() >= expected_;
  if (complete_) body_.resize(expected_);
}

bool Response::parse_chunk() {
  const std::size_t line_end = input_.find("\r\n");
  if (line_end == std::string::npos) return false;
  const std::string_view line = std::string_view(input_).substr(0, line_end);
  const auto size = parse_number<std::size_t>(line.substr(0, line.find(';')), 16, "chunk size");
  if (input_.size() < line_end + 2 + size + 2) return false;
  body_.append(input_, line_end + 2, size);
  input_.erase(0, line_end + 2 + size + 2);
  complete_ = size == 0;
  return true;
}

void Response::end_of_stream() {
  if (complete_) return;
  if (!has_head_) throw Error("the connection was closed before the response");
  if (has_length_)
    throw Error("truncated body: " + std::to_string(body_.size()) + " of " +
                std::to_string(expected_) + " bytes");
  if (chunked_) throw Error("truncated body: the last chunk is missing");
  complete_ = true;  // without a length the end of the stream is the end of the body
}

}  // namespace http
