#pragma once

#include <aio/http/form.hpp>
#include <aio/http/headers.hpp>
#include <aio/http/json.hpp>
#include <aio/ssl_options.hpp>
#include <aio/task.hpp>
#include <uvlet/duration.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace aio::http {

// What a request has beside its method and URL. Its body is the one of data, json, form, multipart
// and body that is given; two are invalid_argument.
struct UVLET_API RequestOptions {
  RequestOptions();

  Headers headers;  // in place of the session's of the same names
  std::string data;
  std::optional<http::json> json;
  std::vector<std::pair<std::string, std::string>> params;  // added to the URL's query
  std::vector<std::pair<std::string, std::string>> form;
  std::optional<Duration> timeout;  // in place of the session's
  bool allow_redirects = true;
  int max_redirects = 10;  // that are followed; one more is TooManyRedirects
  std::optional<std::pair<std::string, std::string>> auth;  // user and password, as RFC 7617 has it
  std::map<std::string, std::string>
      cookies;  // beside the session's, and before those in this name
  std::vector<FormPart> multipart;
  // The body piece by piece, until "". Called in a task of its own while the response is awaited,
  // and over when the request is, whatever that ends with. Sent in chunks unless the headers give
  // a Content-Length.
  std::function<task<std::string>()> body;
  std::optional<SslOptions> ssl;  // in place of the session's
};

struct UVLET_API SessionOptions {
  SessionOptions();

  // Connections in use at a time, in all and to one host; 0: no limit. Requests wait for their
  // turn, in the order of asking. Idle connections go when they would be one too many.
  int limit = 100, limit_per_host = 0;
  Duration keepalive_timeout = 15;  // of an idle connection; 0: none is kept
  // For all of a request, its redirects, and reading its response; for a connection to be had, made
  // or waited for; and for a pause of the server's. aio::TimeoutError beyond.
  std::optional<Duration> timeout = 300, connect_timeout, read_timeout;
  Headers headers;  // of every request
  bool trust_env =
      false;             // to go through the proxies that http_proxy, https_proxy and no_proxy name
  std::string base_url;  // what the URLs of requests are relative to; empty: to nothing
  // Of https: the server has to prove who it is, unless this says otherwise. An empty
  // server_hostname is the URL's host.
  SslOptions ssl;
};

}  // namespace aio::http
