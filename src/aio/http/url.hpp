#pragma once

// Where a request goes: an absolute URL of http, https, ws or wss, in its parts.

#include <uvlet/config.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aio::http::detail {

// The parts are checked: each can go into a message as it is.
struct UVLET_API Url {
  std::string scheme;  // lower case
  std::string user;    // without escapes, as the password
  std::string password;
  std::string host;  // a name or an address: lower case, without brackets
  std::uint16_t port = 0;
  std::string target;  // path and query; never empty, no fragment

  // https and wss.
  bool secure() const noexcept {
    return scheme.size() > 2 && scheme.back() == 's' && scheme != "ws";
  }
  std::uint16_t default_port() const noexcept { return secure() ? 443 : 80; }
  // The target up to the query.
  std::string_view path() const noexcept;

  // The whole, with user and password.
  std::string str() const;
  // "https://example.com:8443": what is trusted alike. The default port is not in it.
  std::string origin() const;
  // What a Host header says: an address of version 6 in brackets, the default port not at all.
  std::string authority() const;
};

// Throws InvalidURL, which names the rule and the value, but not its user and password: a scheme
// that is not one of the four, no host, a blank or a control character, a host that is not ASCII
// (in IDNA's form it is), a port that is none. Bytes in path, query and user that cannot stand in a
// URL are escaped ("é" as %C3%A9), dot segments go, the fragment too.
UVLET_API Url parse_url(std::string_view text);

// What `reference`, a Location header, means at `base` (RFC 3986, 5.2, strict). Blanks in it are
// escaped. Throws InvalidURL.
UVLET_API Url join(const Url& base, std::string_view reference);

// "a=b+c&d=%C3%A9": application/x-www-form-urlencoded, as the URL standard of WHATWG has it.
UVLET_API std::string urlencode(const std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace aio::http::detail
