#include "client_request.hpp"

#include "client_connection.hpp"
#include "multipart.hpp"
#include "text.hpp"

#include <aio/http/errors.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace aio::http::detail {
namespace {

constexpr std::string_view codings = "gzip, deflate, br";

std::string checked_method(std::string method) {
  if (!is_token(method))
    throw std::invalid_argument("a request's method must be a token: '" + method + "'");
  for (char& c : method)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (method == "CONNECT")
    throw std::invalid_argument("CONNECT is for proxies: the environment names them");
  return method;
}

bool is_one_of(std::string_view method, std::initializer_list<std::string_view> others) {
  return std::find(others.begin(), others.end(), method) != others.end();
}

// RFC 6265, 4.1.1, but for blanks and commas, which servers are used to.
void check_cookie(const std::string& name, const std::string& value) {
  const auto bad = [](const std::string& text, std::string_view forbidden) {
    return std::any_of(text.begin(), text.end(), [&](char c) {
      return static_cast<unsigned char>(c) < ' ' || c == 0x7f ||
             forbidden.find(c) != std::string_view::npos;
    });
  };
  if (name.empty() || bad(name, " =;,\""))
    throw std::invalid_argument("no name for a cookie: '" + name + "'");
  if (bad(value, ";"))
    throw std::invalid_argument("no value for the cookie '" + name + "': '" + value + "'");
}

// Whether a field, which is a list, has this word.
bool lists(const Headers& headers, std::string_view name, std::string_view word) {
  for (const std::string& value : headers.get_all(name)) {
    std::string_view rest = value;
    while (!rest.empty())
      if (equal_ignoring_case(trimmed(take_until(rest, ',')), word)) return true;
  }
  return false;
}

}  // namespace

ClientRequest::ClientRequest(std::string verb, Url to, RequestOptions options,
                             const Headers& defaults)
    : method(checked_method(std::move(verb))),
      url(std::move(to)),
      headers(std::move(options.headers)),
      cookies(std::move(options.cookies)) {
  for (const auto& [name, value] : cookies) check_cookie(name, value);
  add_defaults(defaults);
  add_params(options);
  add_auth(options.auth);
  add_body(options);
  check_framing();
}

void ClientRequest::add_defaults(const Headers& defaults) {
  const Headers own = headers;
  for (const auto& [name, value] : defaults)
    if (!own.contains(name)) headers.add(name, value);
  if (!headers.contains("Accept")) headers.add("Accept", "*/*");
  if (!headers.contains("Accept-Encoding")) headers.add("Accept-Encoding", std::string(codings));
  if (!headers.contains("User-Agent")) headers.add("User-Agent", "uvlet");
}

void ClientRequest::add_params(const RequestOptions& options) {
  if (options.params.empty()) return;
  if (url.target.find('?') == std::string::npos)
    url.target += '?';
  else if (!url.target.ends_with('?') && !url.target.ends_with('&'))
    url.target += '&';
  url.target += urlencode(options.params);
}

void ClientRequest::add_auth(const std::optional<std::pair<std::string, std::string>>& auth) {
  const bool in_url = !url.user.empty() || !url.password.empty();
  if (auth && in_url)
    throw std::invalid_argument("both the option auth and a user in the URL of " + url.origin());
  if (!auth && !in_url) return;
  if (headers.contains("Authorization"))
    throw std::invalid_argument("both a header Authorization and a user for " + url.origin());
  headers.add("Authorization",
              auth ? basic_auth(auth->first, auth->second) : basic_auth(url.user, url.password));
  url.user.clear();
  url.password.clear();
}

void ClientRequest::add_body(RequestOptions& options) {
  const int bodies = !options.data.empty() + options.json.has_value() + !options.form.empty() +
                     !options.multipart.empty() + (options.body != nullptr);
  if (bodies > 1)
    throw std::invalid_argument("more than one of data, json, form, multipart and body");
  std::string type = "application/octet-stream";
  if (options.json) {
    body = options.json->dump();
    type = "application/json";
  } else if (!options.form.empty()) {
    body = urlencode(options.form);
    type = "application/x-www-form-urlencoded";
  } else if (!options.multipart.empty()) {
    Multipart encoded = encode_multipart(options.multipart);
    body = std::move(encoded.body);
    type = std::move(encoded.content_type);
  } else {
    body = std::move(options.data);
    produce = std::move(options.body);
  }
  if (has_body() && !headers.contains("Content-Type")) headers.add("Content-Type", type);
}

// The fields that say where the body ends are ours, so that they say what is so.
void ClientRequest::check_framing() {
  if (const std::string* coding = headers.find("Transfer-Encoding")) {
    if (!produce || !equal_ignoring_case(*coding, "chunked"))
      throw std::invalid_argument("the header Transfer-Encoding: '" + *coding +
                                  "'; the option body is sent in chunks by itself");
    headers.remove("Transfer-Encoding");
  }
  if (const std::string* text = headers.find("Content-Length")) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (text->empty() || error != std::errc() || end != text->data() + text->size() ||
        headers.get_all("Content-Length").size() > 1 || (!produce && value != body.size()))
      throw std::invalid_argument("the header Content-Length: '" + *text +
                                  "' is not that of the body");
    headers.remove("Content-Length");
    if (produce) length = value;
  }
  expects_continue = has_body() && lists(headers, "Expect", "100-continue");
  upgrades = lists(headers, "Connection", "upgrade");
  closes = lists(headers, "Connection", "close");
}

void ClientRequest::redirect(int status, const Url& next) {
  const bool becomes_get =
      (status == 303 && method != "HEAD") || ((status == 301 || status == 302) && method == "POST");
  if (becomes_get) {
    method = "GET";
    drop_body();
  } else if (produce) {
    throw ClientError(method + " " + url.str() + ": a redirect (" + std::to_string(status) +
                      ") of a body that cannot be made again");
  }
  const bool elsewhere = next.origin() != url.origin();
  if (elsewhere) {
    for (const char* secret : {"Authorization", "Cookie", "Proxy-Authorization", "Host"})
      headers.remove(secret);
    cookies.clear();
  }
  url = next;
  if (!url.user.empty() || !url.password.empty()) {
    headers.remove("Authorization");
    add_auth(std::nullopt);
  }
}

void ClientRequest::drop_body() {
  body.clear();
  produce = nullptr;
  length.reset();
  expects_continue = false;
  for (const char* field : {"Content-Type", "Content-Encoding", "Content-Language", "Expect"})
    headers.remove(field);
}

bool ClientRequest::repeatable() const noexcept {
  return !produce && is_one_of(method, {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"});
}

// The request's own first, then those of the session that it does not name.
std::string ClientRequest::cookie_header(const std::string& of_session) const {
  std::string text;
  const auto add = [&text](std::string_view cookie) {
    if (!text.empty()) text += "; ";
    text += cookie;
  };
  if (const std::string* given = headers.find("Cookie")) add(*given);
  for (const auto& [name, value] : cookies) add(name + "=" + value);
  std::string_view rest = of_session;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find("; "), rest.size());
    const std::string_view cookie = rest.substr(0, end);
    const std::string_view name = cookie.substr(0, cookie.find('='));
    if (cookies.find(std::string(name)) == cookies.end()) add(cookie);
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  return text;
}

std::string ClientRequest::head(const std::string& of_session,
                                const std::optional<Url>& forwarded) const {
  std::string text = method + " ";
  if (forwarded) text += (url.secure() ? "https://" : "http://") + url.authority();
  text += url.target + " HTTP/1.1\r\n";
  if (!headers.contains("Host")) append_field(text, "Host", url.authority());
  for (const auto& [name, value] : headers)
    if (!equal_ignoring_case(name, "Cookie")) append_field(text, name, value);
  const std::string all_cookies = cookie_header(of_session);
  if (!all_cookies.empty()) append_field(text, "Cookie", all_cookies);
  if (forwarded && (!forwarded->user.empty() || !forwarded->password.empty()) &&
      !headers.contains("Proxy-Authorization"))
    append_field(text, "Proxy-Authorization", basic_auth(forwarded->user, forwarded->password));
  if (chunked())
    append_field(text, "Transfer-Encoding", "chunked");
  else if (produce)
    append_field(text, "Content-Length", std::to_string(*length));
  else if (!body.empty() || is_one_of(method, {"POST", "PUT", "PATCH"}))
    append_field(text, "Content-Length", std::to_string(body.size()));
  return text + "\r\n";
}

}  // namespace aio::http::detail
