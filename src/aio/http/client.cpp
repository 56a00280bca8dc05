#include "client.hpp"

#include "proxy.hpp"

#include <aio/http/client.hpp>
#include <aio/wait_for.hpp>

#include <stdexcept>
#include <utility>

namespace aio::http {

RequestOptions::RequestOptions() = default;
SessionOptions::SessionOptions() = default;

namespace detail {
namespace {

PoolOptions pool_options(const SessionOptions& options) {
  if (options.limit < 0 || options.limit_per_host < 0)
    throw std::invalid_argument("SessionOptions: a limit below 0: " +
                                std::to_string(std::min(options.limit, options.limit_per_host)));
  PoolOptions pool;
  pool.limit = options.limit;
  pool.limit_per_host = options.limit_per_host;
  pool.keepalive_timeout = options.keepalive_timeout;
  return pool;
}

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

SessionState::SessionState(const SessionOptions& how)
    : options(how), pool(std::make_shared<Pool>(pool_options(how))), hub_(&uvlet::Hub::get()) {
  if (!how.base_url.empty()) base_ = parse_url(how.base_url);
}

void SessionState::close() noexcept {
  closed = true;
  pool->close();
}

Url SessionState::resolve(const std::string& url) const {
  return base_ ? join(*base_, url) : parse_url(url);
}

SessionState::Plan SessionState::plan(const RequestOptions& how) const {
  Plan made;
  made.ssl = how.ssl.value_or(options.ssl);
  made.allow_redirects = how.allow_redirects;
  made.max_redirects = how.max_redirects;
  made.limits.pause = options.read_timeout;
  made.limits.total = how.timeout ? how.timeout : options.timeout;
  if (made.limits.total)
    made.limits.deadline = uvlet::deadline_after(uvlet::Hub::get().now(), *made.limits.total);
  return made;
}

task<ClientResponse> SessionState::request(std::shared_ptr<SessionState> self, std::string method,
                                           std::string url, RequestOptions how) {
  if (self->hub_ != &uvlet::Hub::get())
    throw std::logic_error("a ClientSession is used on the thread of its hub");
  if (self->closed) throw std::logic_error("the ClientSession is closed");
  const Plan plan = self->plan(how);
  const Request request = std::make_shared<const ClientRequest>(
      std::move(method), self->resolve(url), std::move(how), self->options.headers);
  task<ClientResponse> work = follow(self, request, plan);
  if (plan.limits.deadline == uvlet::never) co_return co_await std::move(work);
  try {
    co_return co_await wait_for(std::move(work), *plan.limits.total);
  } catch (const TimeoutError&) {
    if (uvlet::Hub::get().now() < plan.limits.deadline) throw;
  }
  throw TimeoutError(request->method + " " + request->url.str() + ": no response within " +
                     text_of(*plan.limits.total));
}

task<ClientResponse> SessionState::follow(std::shared_ptr<SessionState> self, Request request,
                                          Plan plan) {
  for (int redirects = 0;; ++redirects) {
    const Exchange exchange = co_await send(self, request, plan);
    self->cookies.store(request->url, exchange->headers);
    const std::string* location = exchange->headers.find("Location");
    if (!plan.allow_redirects || !is_redirect(exchange->status) || !location)
      co_return ClientResponse(exchange);
    if (redirects >= plan.max_redirects)
      throw TooManyRedirects(exchange->status, request->method + " " + request->url.str() +
                                                   ": more than " + std::to_string(redirects) +
                                                   " redirects, to '" + *location + "'");
    auto next = std::make_shared<ClientRequest>(*request);
    next->redirect(exchange->status, join(request->url, *location));
    co_await ClientExchange::skip(exchange);
    request = std::move(next);
  }
}

// An idle connection may have died unnoticed: then once more, on a new one.
task<SessionState::Exchange> SessionState::send(std::shared_ptr<SessionState> self, Request request,
                                                Plan plan) {
  Exchange first = co_await send_once(self, request, plan, false);
  if (first->has_begun()) co_return first;
  co_return co_await send_once(self, request, plan, true);
}

task<SessionState::Exchange> SessionState::send_once(std::shared_ptr<SessionState> self,
                                                     Request request, Plan plan, bool fresh) {
  std::optional<Url> proxy;
  if (self->options.trust_env) proxy = proxy_from_environment(request->url);
  const Endpoint to(request->url, std::move(proxy), plan.ssl);
  std::string head = request->head(self->cookies.header_for(request->url),
                                   to.forwarded() ? to.proxy : std::nullopt);
  Lease lease = co_await connect(self, to, fresh);
  auto exchange = std::make_shared<ClientExchange>(std::move(lease), request, plan.limits);
  try {
    co_await ClientExchange::begin(exchange, std::move(head));
  } catch (const ServerDisconnectedError&) {
    if (fresh || !exchange->was_stale() || !request->repeatable()) throw;
  }
  co_return exchange;
}

task<Lease> SessionState::connect(std::shared_ptr<SessionState> self, Endpoint to, bool fresh) {
  const std::optional<Duration>& limit = self->options.connect_timeout;
  const std::string name = to.name;
  task<Lease> work = Pool::acquire(self->pool, std::move(to), fresh);
  if (!limit) co_return co_await std::move(work);
  const uvlet::Time deadline = uvlet::deadline_after(uvlet::Hub::get().now(), *limit);
  try {
    co_return co_await wait_for(std::move(work), *limit);
  } catch (const TimeoutError&) {
    if (uvlet::Hub::get().now() < deadline) throw;
  }
  throw TimeoutError("no connection to " + name + " within " + text_of(*limit));
}

}  // namespace detail

// --- ClientSession -----------------------------------------------------------------------------

using detail::SessionState;

ClientSession::ClientSession(SessionOptions options)
    : state_(std::make_shared<SessionState>(options)) {}

ClientSession::ClientSession(ClientSession&&) noexcept = default;

ClientSession& ClientSession::operator=(ClientSession&& other) noexcept {
  if (state_ && state_ != other.state_) state_->close();
  state_ = std::move(other.state_);
  return *this;
}

ClientSession::~ClientSession() {
  if (state_) state_->close();
}

task<ClientResponse> ClientSession::request(std::string method, std::string url,
                                            RequestOptions options) {
  if (!state_) throw std::logic_error("a ClientSession that was moved from");
  return SessionState::request(state_, std::move(method), std::move(url), std::move(options));
}

task<ClientResponse> ClientSession::get(std::string url, RequestOptions options) {
  return request("GET", std::move(url), std::move(options));
}
task<ClientResponse> ClientSession::post(std::string url, RequestOptions options) {
  return request("POST", std::move(url), std::move(options));
}
task<ClientResponse> ClientSession::put(std::string url, RequestOptions options) {
  return request("PUT", std::move(url), std::move(options));
}
task<ClientResponse> ClientSession::patch(std::string url, RequestOptions options) {
  return request("PATCH", std::move(url), std::move(options));
}
task<ClientResponse> ClientSession::delete_(std::string url, RequestOptions options) {
  return request("DELETE", std::move(url), std::move(options));
}
task<ClientResponse> ClientSession::head(std::string url, RequestOptions options) {
  return request("HEAD", std::move(url), std::move(options));
}
task<ClientResponse> ClientSession::options(std::string url, RequestOptions options) {
  return request("OPTIONS", std::move(url), std::move(options));
}

namespace {

task<void> closing(std::shared_ptr<SessionState> state) {
  if (state) state->close();
  co_return;
}

}  // namespace

task<void> ClientSession::close() { return closing(state_); }

bool ClientSession::closed() const noexcept { return !state_ || state_->closed; }

}  // namespace aio::http
