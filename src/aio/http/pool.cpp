#include "pool.hpp"

#include <uvlet/hub.hpp>

#include <utility>

namespace aio::http::detail {

Pool::Pool(const PoolOptions& options) : options_(options) {
  if (options.limit > 0) places_.emplace(options.limit);
}

Pool::~Pool() { close(); }

task<Lease> Pool::acquire(std::shared_ptr<Pool> self, Endpoint to, bool fresh) {
  Lease lease;
  lease.host_ = self->enter(to.key);
  lease.pool_ = self;
  if (lease.host_->second.places) {
    co_await lease.host_->second.places->acquire();
    lease.at_host_ = true;
  }
  if (self->places_) co_await self->places_->acquire();
  lease.in_whole_ = true;
  ++self->in_use_;
  if (fresh)
    self->close_idle(lease.host_->second);
  else
    lease.connection_ = self->take(lease.host_->second);
  if (!lease.connection_) {
    self->make_room();
    lease.connection_ = co_await open_connection(std::move(to));
  }
  co_return lease;
}

Pool::Hosts::iterator Pool::enter(const std::string& key) {
  const auto [host, is_new] = hosts_.try_emplace(key);
  if (is_new && options_.limit_per_host > 0) host->second.places.emplace(options_.limit_per_host);
  ++host->second.users;
  return host;
}

void Pool::leave(Hosts::iterator host) noexcept {
  if (--host->second.users == 0 && host->second.idle.empty()) hosts_.erase(host);
}

void Pool::put(Hosts::iterator host, Owned connection) {
  if (closed_ || !(options_.keepalive_timeout > Duration(0))) return;
  connection->reused = true;
  connection->idle_until =
      uvlet::deadline_after(uvlet::Hub::get().now(), options_.keepalive_timeout);
  host->second.idle.push_back(std::move(connection));
  ++idle_;
  if (!pending()) set_timer();
}

// Null: none that is of use.
Pool::Owned Pool::take(Host& host) noexcept {
  const uvlet::Time now = uvlet::Hub::get().now();
  while (!host.idle.empty()) {
    Owned connection = std::move(host.idle.back());
    host.idle.pop_back();
    --idle_;
    if (connection->idle_until > now && connection->alive()) return connection;
  }
  return nullptr;
}

// One has died: so may have the others.
void Pool::close_idle(Host& host) noexcept {
  idle_ -= host.idle.size();
  host.idle.clear();
}

// For a connection that is about to be made: its place is taken already.
void Pool::make_room() noexcept {
  if (options_.limit == 0) return;
  while (idle_ > 0 &&
         idle_ + static_cast<std::size_t>(in_use_) > static_cast<std::size_t>(options_.limit))
    close_oldest();
}

// The host with the connection that has been idle for longest, of which there must be one.
Pool::Hosts::iterator Pool::oldest() noexcept {
  auto found = hosts_.end();
  for (auto host = hosts_.begin(); host != hosts_.end(); ++host) {
    if (host->second.idle.empty()) continue;
    if (found == hosts_.end() ||
        host->second.idle.front()->idle_until < found->second.idle.front()->idle_until)
      found = host;
  }
  return found;
}

void Pool::close_oldest() noexcept {
  const auto host = oldest();
  host->second.idle.erase(host->second.idle.begin());
  --idle_;
  if (host->second.users == 0 && host->second.idle.empty()) hosts_.erase(host);
}

void Pool::set_timer() {
  if (idle_ > 0) uvlet::Hub::get().timers.start(*this, oldest()->second.idle.front()->idle_until);
}

void Pool::expire() noexcept {
  const uvlet::Time now = uvlet::Hub::get().now();
  while (idle_ > 0 && oldest()->second.idle.front()->idle_until <= now) close_oldest();
  set_timer();
}

void Pool::close() noexcept {
  closed_ = true;
  if (pending()) cancel_timer();
  while (idle_ > 0) close_oldest();
}

// --- Lease -------------------------------------------------------------------------------------

Lease::Lease(Lease&& other) noexcept
    : pool_(std::move(other.pool_)),
      host_(other.host_),
      at_host_(std::exchange(other.at_host_, false)),
      in_whole_(std::exchange(other.in_whole_, false)),
      connection_(std::move(other.connection_)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  close();
  pool_ = std::move(other.pool_);
  host_ = other.host_;
  at_host_ = std::exchange(other.at_host_, false);
  in_whole_ = std::exchange(other.in_whole_, false);
  connection_ = std::move(other.connection_);
  return *this;
}

void Lease::close() noexcept {
  connection_.reset();
  leave();
}

void Lease::give_back() {
  if (pool_ && connection_) pool_->put(host_, std::move(connection_));
  close();
}

void Lease::leave() noexcept {
  if (!pool_) return;
  const std::shared_ptr<Pool> pool = std::move(pool_);
  if (std::exchange(in_whole_, false)) {
    --pool->in_use_;
    if (pool->places_) pool->places_->release();
  }
  if (std::exchange(at_host_, false)) host_->second.places->release();
  pool->leave(host_);
}

}  // namespace aio::http::detail
