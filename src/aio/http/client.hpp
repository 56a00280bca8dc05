#pragma once

// What the requests of a session share, and how one is made: redirects, cookies, proxies, retries.

#include "client_exchange.hpp"
#include "cookies.hpp"
#include "pool.hpp"
#include "url.hpp"

#include <aio/http/options.hpp>
#include <aio/http/response.hpp>

#include <memory>
#include <optional>
#include <string>

namespace aio::http::detail {

struct SessionState {
  explicit SessionState(const SessionOptions& how);

  // See ClientSession::request. For another protocol, its headers have Connection: Upgrade, and
  // ClientExchange::take_connection() of the response goes on from there.
  static task<ClientResponse> request(std::shared_ptr<SessionState> self, std::string method,
                                      std::string url, RequestOptions options);
  void close() noexcept;

  const SessionOptions options;
  const std::shared_ptr<Pool> pool;
  CookieJar cookies;
  bool closed = false;

 private:
  using Exchange = std::shared_ptr<ClientExchange>;
  using Request = std::shared_ptr<const ClientRequest>;
  // What is the same for all requests that the redirects of one lead to.
  struct Plan {
    Plan() {}
    SslOptions ssl;
    bool allow_redirects = true;
    int max_redirects = 0;
    ExchangeLimits limits;
  };

  Url resolve(const std::string& url) const;
  Plan plan(const RequestOptions& how) const;
  static task<ClientResponse> follow(std::shared_ptr<SessionState> self, Request request,
                                     Plan plan);
  static task<Exchange> send(std::shared_ptr<SessionState> self, Request request, Plan plan);
  static task<Exchange> send_once(std::shared_ptr<SessionState> self, Request request, Plan plan,
                                  bool fresh);
  static task<Lease> connect(std::shared_ptr<SessionState> self, Endpoint to, bool fresh);

  const uvlet::Hub* const hub_;
  std::optional<Url> base_;
};

}  // namespace aio::http::detail
