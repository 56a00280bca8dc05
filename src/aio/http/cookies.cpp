#include "cookies.hpp"

#include "text.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <libpsl.h>
#include <limits>

namespace aio::http::detail {
namespace {

constexpr std::size_t attribute_max = 1024;  // bytes; what is longer is not looked at

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// --- dates: RFC 6265, 5.1.1 ----------------------------------------------------------------------

bool is_delimiter(char c) noexcept {
  return c == 0x09 || (c >= 0x20 && c <= 0x2f) || (c >= 0x3b && c <= 0x40) ||
         (c >= 0x5b && c <= 0x60) || (c >= 0x7b && c <= 0x7e);
}

// At the front, of `least` to `most` digits and no more.
std::optional<int> take_number(std::string_view& text, std::size_t least, std::size_t most) {
  std::size_t digits = 0;
  int value = 0;
  while (digits < text.size() && digits <= most && is_digit(text[digits]))
    value = value * 10 + (text[digits++] - '0');
  if (digits < least || digits > most) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

// "10:18:14", and anything that is no digit.
bool read_time(std::string_view token, std::tm& date) {
  const std::optional<int> hour = take_number(token, 1, 2);
  if (!hour || !token.starts_with(':')) return false;
  token.remove_prefix(1);
  const std::optional<int> minute = take_number(token, 1, 2);
  if (!minute || !token.starts_with(':')) return false;
  token.remove_prefix(1);
  const std::optional<int> second = take_number(token, 1, 2);
  if (!second) return false;
  date.tm_hour = *hour;
  date.tm_min = *minute;
  date.tm_sec = *second;
  return true;
}

bool read_month(std::string_view token, std::tm& date) {
  constexpr std::string_view months = "janfebmaraprmayjunjulaugsepoctnovdec";
  if (token.size() < 3) return false;
  for (std::size_t month = 0; month < 12; ++month)
    if (equal_ignoring_case(token.substr(0, 3), months.substr(month * 3, 3))) {
      date.tm_mon = static_cast<int>(month);
      return true;
    }
  return false;
}

// Which of them it has.
struct Found {
  bool time = false, day = false, month = false, year = false;
};

// Each token is the first of what it can be that was not found before.
void read_token(std::string_view token, std::tm& date, Found& found) {
  if (!found.time && (found.time = read_time(token, date))) return;
  std::string_view rest = token;
  if (!found.day) {
    if (const std::optional<int> day = take_number(rest, 1, 2)) {
      date.tm_mday = *day;
      found.day = true;
      return;
    }
  }
  if (!found.month && (found.month = read_month(token, date))) return;
  if (found.year) return;
  if (std::optional<int> year = take_number(rest, 2, 4)) {
    if (*year < 70) *year += 2000;
    if (*year < 100) *year += 1900;
    date.tm_year = *year - 1900;
    found.year = true;
  }
}

// --- hosts and paths -----------------------------------------------------------------------------

bool is_address(const std::string& host) noexcept {
  in_addr unused;
  return host.find(':') != std::string::npos || inet_pton(AF_INET, host.c_str(), &unused) == 1;
}

// Where anybody may have a name. What the list does not know is one if it has no dot.
bool is_public_suffix(const std::string& domain) {
  return psl_is_public_suffix(psl_builtin(), domain.c_str()) != 0;
}

// 5.1.3
bool in_domain(const std::string& host, const std::string& domain) noexcept {
  if (host == domain) return true;
  return host.size() > domain.size() && host.ends_with(domain) &&
         host[host.size() - domain.size() - 1] == '.' && !is_address(host);
}

// 5.1.4
std::string default_path(std::string_view path) {
  const std::size_t last = path.rfind('/');
  return last == 0 || last == std::string_view::npos ? "/" : std::string(path.substr(0, last));
}

bool in_path(std::string_view request, std::string_view path) noexcept {
  return request.starts_with(path) &&
         (request.size() == path.size() || path.ends_with('/') || request[path.size()] == '/');
}

// --- attributes: 5.2 -----------------------------------------------------------------------------

struct Attributes {
  std::string domain;
  std::string path;
  std::optional<std::time_t> max_age;  // when that is
  std::optional<std::time_t> expires;
  bool secure = false;
};

// 5.2.2; nothing where it is no number.
std::optional<std::time_t> end_of_age(std::string_view text, std::time_t now) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  constexpr std::time_t longest = std::numeric_limits<std::int32_t>::max();  // 68 years
  std::time_t seconds = 0;
  for (const char digit : text) seconds = std::min(seconds * 10 + (digit - '0'), longest);
  return negative || seconds == 0 ? std::numeric_limits<std::time_t>::min() : now + seconds;
}

Attributes read_attributes(std::string_view text, std::time_t now) {
  Attributes found;
  while (!text.empty()) {
    std::string_view value = take_until(text, ';');
    const std::string_view name = trimmed(take_until(value, '='));
    value = trimmed(value);
    if (value.size() > attribute_max) continue;
    if (equal_ignoring_case(name, "Secure")) {
      found.secure = true;
    } else if (equal_ignoring_case(name, "Path")) {
      found.path = value;
    } else if (equal_ignoring_case(name, "Domain")) {
      if (value.starts_with('.')) value.remove_prefix(1);
      if (!value.empty()) found.domain = lower_case(value);
    } else if (equal_ignoring_case(name, "Max-Age")) {
      if (const auto end = end_of_age(value, now)) found.max_age = end;
    } else if (equal_ignoring_case(name, "Expires")) {
      if (const auto end = parse_cookie_date(value)) found.expires = end;
    }
  }
  return found;
}

}  // namespace

std::optional<std::time_t> parse_cookie_date(std::string_view text) {
  std::tm date{};
  Found found;
  while (!text.empty()) {
    const auto* const begin = std::find_if_not(text.begin(), text.end(), is_delimiter);
    const auto* const end = std::find_if(begin, text.end(), is_delimiter);
    if (begin != end) read_token({begin, end}, date, found);
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  }
  if (!found.time || !found.day || !found.month || !found.year) return std::nullopt;
  if (date.tm_mday < 1 || date.tm_mday > 31 || date.tm_year < 1601 - 1900 || date.tm_hour > 23 ||
      date.tm_min > 59 || date.tm_sec > 59)
    return std::nullopt;
  const int day = date.tm_mday;
  const std::time_t time = timegm(&date);
  if (date.tm_mday != day) return std::nullopt;  // no such day in that month
  return time;
}

// --- the jar -------------------------------------------------------------------------------------

CookieJar::CookieJar() : CookieJar([] { return std::time(nullptr); }) {}

void CookieJar::store(const Url& url, const Headers& headers) {
  for (const auto& [name, value] : headers)
    if (equal_ignoring_case(name, "Set-Cookie")) store(url, value);
}

void CookieJar::store(const Url& url, std::string_view set_cookie) {
  const std::time_t now = now_();
  if (std::optional<Cookie> cookie = parse(url, set_cookie, now))
    insert(url, *std::move(cookie), now);
}

// 5.2 and the first steps of 5.3.
std::optional<CookieJar::Cookie> CookieJar::parse(const Url& url, std::string_view set_cookie,
                                                  std::time_t now) {
  if (std::any_of(set_cookie.begin(), set_cookie.end(), [](char c) {
        return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f;
      }))
    return std::nullopt;
  std::string_view pair = take_until(set_cookie, ';');
  const bool has_value = pair.find('=') != std::string_view::npos;
  Cookie cookie;
  cookie.name = trimmed(take_until(pair, '='));
  cookie.value = trimmed(pair);
  if (!has_value || cookie.name.empty() || cookie.name.size() + cookie.value.size() > bytes_max)
    return std::nullopt;
  const Attributes attributes = read_attributes(set_cookie, now);
  cookie.expires = attributes.max_age ? attributes.max_age : attributes.expires;
  cookie.secure = attributes.secure;
  cookie.path = attributes.path.starts_with('/') ? attributes.path : default_path(url.path());
  cookie.domain = url.host;
  if (attributes.domain.empty()) return cookie;
  if (!in_domain(url.host, attributes.domain)) return std::nullopt;
  if (is_public_suffix(attributes.domain)) {
    if (attributes.domain != url.host) return std::nullopt;
    return cookie;
  }
  cookie.domain = attributes.domain;
  cookie.host_only = is_address(cookie.domain);
  return cookie;
}

void CookieJar::insert(const Url& url, Cookie cookie, std::time_t now) {
  // What came over a connection that anybody can change neither makes nor replaces a secure cookie
  // (RFC 6265bis, 5.7).
  if (!url.secure() &&
      (cookie.secure || std::any_of(cookies_.begin(), cookies_.end(), [&](const Cookie& other) {
         return other.secure && other.name == cookie.name && in_path(cookie.path, other.path) &&
                (in_domain(other.domain, cookie.domain) || in_domain(cookie.domain, other.domain));
       })))
    return;
  const auto same = std::find_if(cookies_.begin(), cookies_.end(), [&](const Cookie& other) {
    return other.name == cookie.name && other.domain == cookie.domain && other.path == cookie.path;
  });
  const bool expired = cookie.expires && *cookie.expires <= now;
  if (same != cookies_.end()) {
    if (expired) {
      cookies_.erase(same);
    } else {
      *same = std::move(cookie);
    }
  } else if (!expired) {
    make_room(cookie.domain, now);
    cookies_.push_back(std::move(cookie));
  }
}

void CookieJar::make_room(const std::string& domain, std::time_t now) {
  const auto of_domain = [&](const Cookie& cookie) { return cookie.domain == domain; };
  const auto in_its_domain = std::count_if(cookies_.begin(), cookies_.end(), of_domain);
  if (static_cast<std::size_t>(in_its_domain) < domain_max && cookies_.size() < total_max) return;
  const auto gone = std::erase_if(
      cookies_, [&](const Cookie& cookie) { return cookie.expires && *cookie.expires <= now; });
  if (gone != 0) return make_room(domain, now);
  cookies_.erase(static_cast<std::size_t>(in_its_domain) >= domain_max
                     ? std::find_if(cookies_.begin(), cookies_.end(), of_domain)
                     : cookies_.begin());
}

// 5.4
std::string CookieJar::header_for(const Url& url) const {
  const std::time_t now = now_();
  std::vector<const Cookie*> sent;
  for (const Cookie& cookie : cookies_)
    if ((cookie.host_only ? url.host == cookie.domain : in_domain(url.host, cookie.domain)) &&
        in_path(url.path(), cookie.path) && (url.secure() || !cookie.secure) &&
        (!cookie.expires || *cookie.expires > now))
      sent.push_back(&cookie);
  std::stable_sort(sent.begin(), sent.end(), [](const Cookie* one, const Cookie* other) {
    return one->path.size() > other->path.size();
  });
  std::string text;
  for (const Cookie* cookie : sent) {
    if (!text.empty()) text += "; ";
    text += cookie->name + "=" + cookie->value;
  }
  return text;
}

}  // namespace aio::http::detail
