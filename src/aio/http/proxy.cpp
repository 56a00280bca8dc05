#include "proxy.hpp"

#include "text.hpp"

#include <aio/http/errors.hpp>
#include <aio/http/headers.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstdlib>

namespace aio::http::detail {
namespace {

// Null also where it is empty.
const char* variable(const char* name) noexcept {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

const char* variable(const char* lower_case, const char* upper_case) noexcept {
  const char* value = variable(lower_case);
  return value ? value : variable(upper_case);
}

const char* proxy_for(const Url& url) noexcept {
  const char* value = url.secure()                    ? variable("https_proxy", "HTTPS_PROXY")
                      : std::getenv("REQUEST_METHOD") ? variable("http_proxy")
                                                      : variable("http_proxy", "HTTP_PROXY");
  return value ? value : variable("all_proxy", "ALL_PROXY");
}

// --- no_proxy ------------------------------------------------------------------------------------

struct Bits {
  std::array<unsigned char, 16> bytes{};
  int count = 0;  // 0: no address
};

Bits address_of(std::string_view text) {
  const std::string terminated(text);
  Bits address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1)
    address.count = 32;
  else if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1)
    address.count = 128;
  return address;
}

bool in_range(const Bits& address, const Bits& range, int bits) noexcept {
  if (address.count == 0 || address.count != range.count || bits > address.count) return false;
  for (int bit = 0; bit < bits; ++bit) {
    const auto byte = static_cast<std::size_t>(bit / 8);
    if (((address.bytes[byte] ^ range.bytes[byte]) >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

// -1: no number.
int number(std::string_view text) noexcept {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

bool matches_name(std::string_view host, std::string_view entry) noexcept {
  while (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.empty() || host.size() < entry.size()) return false;
  const std::size_t above = host.size() - entry.size();
  return equal_ignoring_case(host.substr(above), entry) && (above == 0 || host[above - 1] == '.');
}

// "[::1]:80", "::1", "example.com:80": the port off, 0 where there is none, -1 where it is no
// number.
int take_port(std::string_view& entry) noexcept {
  const std::size_t bracket = entry.rfind(']');
  const std::size_t colon = entry.rfind(':');
  int port = 0;
  const bool has_port =
      colon != std::string_view::npos &&
      (bracket != std::string_view::npos ? colon == bracket + 1 : entry.find(':') == colon);
  if (has_port) {
    port = number(entry.substr(colon + 1));
    entry = entry.substr(0, colon);
  }
  if (entry.size() >= 2 && entry.front() == '[' && entry.back() == ']')
    entry = entry.substr(1, entry.size() - 2);
  return port;
}

bool matches(const Url& url, std::string_view entry) {
  if (entry == "*") return true;
  if (const std::size_t slash = entry.find('/'); slash != std::string_view::npos) {
    const int bits = number(entry.substr(slash + 1));
    return bits >= 0 && in_range(address_of(url.host), address_of(entry.substr(0, slash)), bits);
  }
  const int port = take_port(entry);
  if (port != 0 && port != url.port) return false;
  const Bits address = address_of(url.host);
  return address.count != 0 ? in_range(address, address_of(entry), address.count)
                            : matches_name(url.host, entry);
}

bool goes_without(const Url& url, std::string_view list) {
  constexpr std::string_view separators = ", \t";
  for (;;) {
    list.remove_prefix(std::min(list.find_first_not_of(separators), list.size()));
    if (list.empty()) return false;
    const std::size_t end = std::min(list.find_first_of(separators), list.size());
    if (matches(url, list.substr(0, end))) return true;
    list.remove_prefix(end);
  }
}

}  // namespace

std::optional<Url> proxy_from_environment(const Url& url) {
  const char* value = proxy_for(url);
  if (!value) return std::nullopt;
  const char* without = variable("no_proxy", "NO_PROXY");
  if (without && goes_without(url, without)) return std::nullopt;
  const std::string text(value);
  Url proxy = parse_url(text.find("://") == std::string::npos ? "http://" + text : text);
  if (proxy.scheme != "http" && proxy.scheme != "https")
    throw InvalidURL("a proxy's scheme must be http or https: '" + proxy.origin() + "'");
  return proxy;
}

}  // namespace aio::http::detail
