#include "text.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <llhttp/llhttp.h>

namespace aio::http::detail {
namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Where llhttp's name does not read as the RFCs write it.
constexpr std::pair<int, std::string_view> other_reasons[] = {
    {200, "OK"},
    {203, "Non-Authoritative Information"},
    {207, "Multi-Status"},
    {226, "IM Used"},
    {414, "URI Too Long"},
    {418, "I'm a teapot"},
    {505, "HTTP Version Not Supported"},
};

// llhttp's "NOT_FOUND" as "Not Found".
std::string readable(std::string_view name) {
  std::string text(name);
  bool first = true;
  for (char& c : text) {
    if (c == '_') {
      c = ' ';
    } else if (!first) {
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    first = c == ' ';
  }
  return text;
}

std::vector<std::string> make_reasons() {
  std::vector<std::string> reasons(600);
#define UVLET_REASON(number, name, text) \
  if ((number) < 600) reasons[number] = readable(#text);
  HTTP_STATUS_MAP(UVLET_REASON)
#undef UVLET_REASON
  for (const auto& [status, reason] : other_reasons)
    reasons[static_cast<std::size_t>(status)] = reason;
  return reasons;
}

constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

std::string_view reason_of(int status) noexcept {
  static const std::vector<std::string> reasons = make_reasons();
  return status >= 0 && status < 600 ? std::string_view(reasons[static_cast<std::size_t>(status)])
                                     : std::string_view();
}

std::string decoded(std::string_view text, bool form) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int high = text[at] == '%' && at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[at + 2]) : -1;
    if (low >= 0) {
      result += static_cast<char>(high * 16 + low);
      at += 2;
    } else {
      result += form && text[at] == '+' ? ' ' : text[at];
    }
  }
  return result;
}

std::vector<std::pair<std::string, std::string>> parse_form(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!text.empty()) {
    std::string_view value = take_until(text, '&');
    if (value.empty()) continue;
    const std::string_view name = take_until(value, '=');
    pairs.emplace_back(decoded(name, true), decoded(value, true));
  }
  return pairs;
}

void append_field(std::string& output, std::string_view name, std::string_view value) {
  output += name;
  output += ": ";
  output += value;
  output += "\r\n";
}

std::string base64(std::string_view bytes) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i)
      text += at + i <= bytes.size() ? digits[group >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view take_until(std::string_view& text, char mark) noexcept {
  const std::size_t end = std::min(text.find(mark), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::optional<std::string> find_cookie(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const std::string_view one = trimmed(take_until(header, ';'));
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos || trimmed(one.substr(0, equals)) != name) continue;
    std::string_view value = trimmed(one.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    return std::string(value);
  }
  return std::nullopt;
}

std::string format_date(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  char text[64];  // not strftime's names, which are those of a locale
  const int size = std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                 days[parts.tm_wday], parts.tm_mday, months[parts.tm_mon],
                                 parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return {text, static_cast<std::size_t>(size)};
}

std::string format_log_date(std::time_t time) {
  std::tm parts;
  gmtime_r(&time, &parts);
  char text[40];
  const int size = std::snprintf(text, sizeof text, "%02d/%s/%04d:%02d:%02d:%02d +0000",
                                 parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900,
                                 parts.tm_hour, parts.tm_min, parts.tm_sec);
  return {text, static_cast<std::size_t>(size)};
}

std::optional<std::time_t> parse_date(const std::string& text) {
  std::tm parts{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (!end || *end) return std::nullopt;
  return timegm(&parts);
}

std::string_view date_now() {
  // Not a string: who is unwound with the thread may still answer.
  static thread_local std::time_t made_at = 0;
  static thread_local char text[32];
  static thread_local std::size_t size = 0;
  timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != made_at) {
    size = format_date(now.tv_sec).copy(text, sizeof text);
    made_at = now.tv_sec;
  }
  return {text, size};
}

}  // namespace aio::http::detail
