#pragma once

// A request as it goes out: the options of a user, checked and completed.

#include "url.hpp"

#include <aio/http/options.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace aio::http::detail {

struct ClientRequest {
  // Throws invalid_argument for options that do not go together, or that would smuggle something
  // into the message.
  ClientRequest(std::string method, Url url, RequestOptions options, const Headers& defaults);

  // Goes on to `next`, as a response with this status asks for. Throws ClientError if the body
  // cannot be sent again.
  void redirect(int status, const Url& next);

  // What stands before the body. `cookies` are those of the session; `forwarded`: to a proxy, which
  // wants the whole URL, and perhaps a user and password.
  std::string head(const std::string& cookies, const std::optional<Url>& forwarded) const;

  // Sending it twice does no more than sending it once (RFC 9110, 9.2.2), and can be done.
  bool repeatable() const noexcept;
  bool has_body() const noexcept { return produce || !body.empty(); }
  bool chunked() const noexcept { return produce && !length; }

  std::string method;
  Url url;  // without user and password
  Headers headers;
  std::map<std::string, std::string> cookies;
  std::string body;
  std::function<task<std::string>()> produce;  // in place of `body`
  std::optional<std::uint64_t> length;         // of what it produces, if the user says so
  bool expects_continue = false;
  bool upgrades = false;
  bool closes = false;  // the connection serves no other request

 private:
  void add_defaults(const Headers& defaults);
  void add_params(const RequestOptions& options);
  void add_auth(const std::optional<std::pair<std::string, std::string>>& auth);
  void add_body(RequestOptions& options);
  void check_framing();
  void drop_body();
  std::string cookie_header(const std::string& of_session) const;
};

}  // namespace aio::http::detail
