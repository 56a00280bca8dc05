#pragma once

#include "url.hpp"

#include <optional>

namespace aio::http::detail {

// The proxy that the environment names for `url`: http_proxy for http and ws, https_proxy for https
// and wss, else all_proxy; each in lower case, then in upper case. HTTP_PROXY is what a CGI server
// makes of a request's Proxy header: it is ignored where REQUEST_METHOD is set. A value without a
// scheme is one of http.
//
// no_proxy lists, between commas or blanks, what goes without: "*" is everything, "example.com" and
// ".example.com" that host and those below it, an address that address; with ":port", that port
// alone. Ranges ("10.0.0.0/8") are addresses of version 4 or 6 and a number of bits.
//
// Throws InvalidURL for a proxy that is no URL of http or https. Reads the environment: no other
// thread may change it meanwhile.
UVLET_API std::optional<Url> proxy_from_environment(const Url& url);

}  // namespace aio::http::detail
