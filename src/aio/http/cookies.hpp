#pragma once

// What servers ask to be told again: RFC 6265, as a client keeps it.

#include "url.hpp"

#include <aio/http/headers.hpp>

#include <cstddef>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aio::http::detail {

// "Wed, 09 Jun 2021 10:18:14 GMT", and what else servers write (RFC 6265, 5.1.1).
UVLET_API std::optional<std::time_t> parse_cookie_date(std::string_view text);

// The cookies of a session, in memory. A cookie goes to the host that set it, or to the domain that
// it names and that the host is in; never to a public suffix ("com", "co.uk": by libpsl's list).
// Names and values are bytes as they came. What breaks a rule is ignored, as RFC 6265 has it.
class UVLET_API CookieJar {
 public:
  using Clock = std::time_t (*)();

  static constexpr std::size_t bytes_max = 4096;  // of a Set-Cookie: RFC 6265, 6.1
  static constexpr std::size_t domain_max = 180;  // cookies of a domain, then the oldest goes
  static constexpr std::size_t total_max = 3000;

  CookieJar();
  explicit CookieJar(Clock now) : now_(now) {}

  // Takes in the Set-Cookie fields of a response from `url`.
  void store(const Url& url, const Headers& headers);
  void store(const Url& url, std::string_view set_cookie);
  // The Cookie header of a request to `url`: "a=b; c=d", longer paths and older cookies first; "":
  // none.
  std::string header_for(const Url& url) const;

  void clear() noexcept { cookies_.clear(); }
  std::size_t size() const noexcept { return cookies_.size(); }

 private:
  struct Cookie {
    std::string name;
    std::string value;
    std::string domain;
    std::string path;
    std::optional<std::time_t> expires;  // none: with the session
    bool host_only = true;
    bool secure = false;
  };

  static std::optional<Cookie> parse(const Url& url, std::string_view set_cookie, std::time_t now);
  void insert(const Url& url, Cookie cookie, std::time_t now);
  void make_room(const std::string& domain, std::time_t now);

  Clock now_;
  std::vector<Cookie> cookies_;  // the oldest first; no two alike in name, domain and path
};

}  // namespace aio::http::detail
