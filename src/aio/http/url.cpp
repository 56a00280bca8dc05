#include "url.hpp"

#include "text.hpp"

#include <aio/http/errors.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <new>
#include <uriparser/Uri.h>

// uriparser knows the grammar of RFC 3986 and resolves references. It knows nothing of schemes and
// their ports, does not escape what people write all the same, takes any name for a host (escapes,
// "!$&"), and knows no zones of addresses ("%eth0", RFC 6874): those are refused.

namespace aio::http::detail {
namespace {

constexpr std::size_t host_max = 255;
constexpr std::size_t shown_max = 200;
constexpr std::string_view unreserved_marks = "-._~";
constexpr std::string_view path_marks = "-._~!$&'()*+,;=:@/";
constexpr std::string_view query_marks = "-._~!$&'()*+,;=:@/?";

bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }

bool is_plain(char c, std::string_view marks) noexcept {
  return is_letter(c) || is_digit(c) || marks.find(c) != std::string_view::npos;
}

bool is_escape(std::string_view text) noexcept {
  return text.size() >= 3 && text[0] == '%' && is_hex(text[1]) && is_hex(text[2]);
}

void add_escape(std::string& text, char c) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  text += '%';
  text += digits[byte >> 4];
  text += digits[byte & 15];
}

std::string escaped(std::string_view text, std::string_view marks, bool keep_escapes) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (is_plain(text[at], marks) || (keep_escapes && is_escape(text.substr(at)))) {
      result += text[at];
    } else {
      add_escape(result, text[at]);
    }
  }
  return result;
}

// Where path and query begin, in an absolute URL or a reference.
std::size_t end_of_authority(std::string_view text) noexcept {
  const std::size_t mark = text.find_first_of(":/?");
  const std::size_t begin = mark != std::string_view::npos && text[mark] == ':' ? mark + 1 : 0;
  if (!text.substr(begin).starts_with("//")) return begin;
  return std::min(text.find_first_of("/?", begin + 2), text.size());
}

// In a message: one line, not too long, without user and password.
std::string shown(std::string_view text) {
  std::string one_line;
  const auto add = [&](std::string_view part) {
    for (const char c : part.substr(0, shown_max)) {
      if (is_control(c)) {
        add_escape(one_line, c);
      } else {
        one_line += c;
      }
    }
  };
  const std::string_view authority = text.substr(0, end_of_authority(text));
  const std::size_t user = authority.find("//");
  const std::size_t at = authority.rfind('@');
  if (user != std::string_view::npos && at != std::string_view::npos) {
    add(text.substr(0, user + 2));
    one_line += "...";
    text.remove_prefix(at);
  }
  add(text);
  if (text.size() > shown_max) one_line += "...";
  return one_line;
}

[[noreturn]] void fail(const std::string& rule, std::string_view text) {
  throw InvalidURL(rule + ": '" + shown(text) + "'");
}

// --- uriparser ---------------------------------------------------------------------------------

// Owns what uriparser allocates, not the text.
struct Parts {
  Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() { uriFreeUriMembersA(&uri); }

  UriUriA uri{};
};

std::string_view view(const UriTextRangeA& range) noexcept {
  return range.first ? std::string_view(range.first,
                                        static_cast<std::size_t>(range.afterLast - range.first))
                     : std::string_view();
}

void parse_into(Parts& parts, std::string_view text, std::string_view original) {
  const char* error = nullptr;
  const int code = uriParseSingleUriExA(&parts.uri, text.data(), text.data() + text.size(), &error);
  if (code == URI_ERROR_MALLOC) throw std::bad_alloc();
  if (code != URI_SUCCESS) fail("a URL must keep to RFC 3986", original);
}

// Path and query with what cannot stand in them escaped; no fragment.
std::string tidied(std::string_view text) {
  text = text.substr(0, text.find('#'));
  const std::size_t path = end_of_authority(text);
  const std::size_t query = std::min(text.find('?', path), text.size());
  return std::string(text.substr(0, path)) +
         escaped(text.substr(path, query - path), path_marks, true) +
         escaped(text.substr(query), query_marks, true);
}

// --- parts ---------------------------------------------------------------------------------------

std::string host_of(const UriUriA& uri, std::string_view original) {
  if (const UriIp6* address = uri.hostData.ip6) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(AF_INET6, address->data, text.data(), text.size());
    return text.data();
  }
  const std::string_view host = view(uri.hostText);
  if (host.empty()) fail("a URL must have a host", original);
  if (view(uri.hostData.ipFuture).data())
    fail("a host in brackets must be an address of version 6", original);
  if (host.size() > host_max) fail("a host must have 255 bytes at most", original);
  if (!std::all_of(host.begin(), host.end(), [](char c) { return is_plain(c, "-._"); }))
    fail("a host must be of letters, digits, '-', '.' and '_'", original);
  return lower_case(host);
}

std::uint16_t port_of(std::string_view text, std::uint16_t otherwise, std::string_view original) {
  if (text.empty()) return otherwise;
  std::uint32_t port = 0;
  for (const char digit : text)
    port = std::min<std::uint32_t>(port * 10 + static_cast<std::uint32_t>(digit - '0'), 65536);
  if (port == 0 || port > 65535) fail("a port must be from 1 to 65535", original);
  return static_cast<std::uint16_t>(port);
}

std::string target_of(const UriUriA& uri) {
  std::string target;
  for (const UriPathSegmentA* segment = uri.pathHead; segment; segment = segment->next) {
    target += '/';
    target += view(segment->text);
  }
  if (target.empty()) target = "/";
  if (uri.query.first) {
    target += '?';
    target += view(uri.query);
  }
  return target;
}

Url url_of(const UriUriA& uri, std::string_view original) {
  Url url;
  url.scheme = lower_case(view(uri.scheme));
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "ws" && url.scheme != "wss")
    fail("a URL's scheme must be http, https, ws or wss", original);
  url.host = host_of(uri, original);
  url.port = port_of(view(uri.portText), url.default_port(), original);
  const std::string_view user = view(uri.userInfo);
  const std::size_t colon = std::min(user.find(':'), user.size());
  url.user = decoded(user.substr(0, colon));
  url.password = decoded(user.substr(std::min(colon + 1, user.size())));
  url.target = target_of(uri);
  return url;
}

Url resolve(const std::string& base, const std::string& reference, std::string_view original) {
  Parts parsed_base;
  Parts parsed;
  Parts result;
  parse_into(parsed_base, base, base);
  parse_into(parsed, reference, original);
  const int code = uriAddBaseUriA(&result.uri, &parsed.uri, &parsed_base.uri);
  if (code == URI_ERROR_MALLOC) throw std::bad_alloc();
  if (code != URI_SUCCESS) fail("a URL must keep to RFC 3986", original);
  return url_of(result.uri, original);
}

}  // namespace

Url parse_url(std::string_view text) {
  if (std::any_of(text.begin(), text.end(), [](char c) { return c == ' ' || is_control(c); }))
    fail("a URL must have no blanks and no control characters", text);
  // Absolute already; resolving takes the dot segments out.
  static const std::string any_base = "none://";
  return resolve(any_base, tidied(text), text);
}

Url join(const Url& base, std::string_view reference) {
  const std::string_view text = trimmed(reference);
  if (std::any_of(text.begin(), text.end(), is_control))
    fail("a URL must have no control characters", reference);
  return resolve(base.str(), tidied(text), text);
}

std::string_view Url::path() const noexcept {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != default_port()) text += ":" + std::to_string(port);
  return text;
}

std::string Url::origin() const { return scheme + "://" + authority(); }

std::string Url::str() const {
  std::string text = scheme + "://";
  if (!user.empty() || !password.empty()) {
    text += escaped(user, unreserved_marks, false);
    if (!password.empty()) text += ":" + escaped(password, unreserved_marks, false);
    text += "@";
  }
  return text + authority() + target;
}

std::string urlencode(const std::vector<std::pair<std::string, std::string>>& pairs) {
  const auto add = [](std::string& text, std::string_view part) {
    for (const char c : part) {
      if (c == ' ') {
        text += '+';
      } else if (is_plain(c, "*-._")) {
        text += c;
      } else {
        add_escape(text, c);
      }
    }
  };
  std::string text;
  for (const auto& [name, value] : pairs) {
    if (!text.empty()) text += '&';
    add(text, name);
    text += '=';
    add(text, value);
  }
  return text;
}

}  // namespace aio::http::detail
