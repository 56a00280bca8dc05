#pragma once

// Connections that are used again, each for a while.

#include <green/awaitlet.hpp>
#include <green/pools.hpp>
#include <green/timeout.hpp>
#include <uvlet/timer.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace green {

// A connection was not made within ConnectionPoolOptions::connect_timeout.
struct ConnectTimeout : std::runtime_error {
  ConnectTimeout() : std::runtime_error("no connection within the time limit") {}
};

namespace detail {

// A member function of a connection, or of what a pointer to one points to, where there is one.
template <class C>
void roll_back(C& connection) {
  if constexpr (requires { connection.rollback(); })
    connection.rollback();
  else if constexpr (requires { connection->rollback(); })
    connection->rollback();
}
template <class C>
void close_connection(C& connection) {
  if constexpr (requires { connection.close(); })
    connection.close();
  else if constexpr (requires { connection->close(); })
    connection->close();
}
// False for what converts to it: a null pointer, a connection that knows that it is dead.
template <class C>
bool is_alive(const C& connection) {
  if constexpr (std::is_constructible_v<bool, const C&> && !std::is_arithmetic_v<C>)
    return static_cast<bool>(connection);
  else
    return true;
}

}  // namespace detail

template <class Connection>
struct ConnectionPoolOptions {
  ConnectionPoolOptions() {}
  int min_size = 0;
  int max_size = 4;
  Duration max_idle = 10;  // unused for so long it is closed; 0: whenever it comes back
  Duration max_age = 30;   // so long after it was made; 0: whenever it comes back
  Duration connect_timeout = 5;
  // Called with each connection that comes back; one for which it throws is closed. May block.
  std::function<void(Connection&)> cleanup = detail::roll_back<Connection>;
};

namespace detail {

template <class C>
struct PooledConnection {
  C connection;
  uvlet::Time made;
  uvlet::Time used = made;
};

template <class C>
class ConnectionState final : public PoolState<PooledConnection<C>>,
                              public std::enable_shared_from_this<ConnectionState<C>>,
                              private uvlet::Timer {
 public:
  using Item = typename PoolState<PooledConnection<C>>::Item;
  using Cleanup = std::function<void(C&)>;

  ConnectionState(std::function<C()> connect, ConnectionPoolOptions<C> options)
      : PoolState<PooledConnection<C>>(options.max_size, true, connecting(connect, options)),
        options_(std::move(options)) {}

  const Cleanup& cleanup() const noexcept { return options_.cleanup; }

  // What comes back is cleaned and kept, or closed. Throws what `clean` throws beside
  // std::exception. May block.
  void release(Item item, const Cleanup& clean) {
    PooledConnection<C>& back = item.front();
    const uvlet::Time time = now();
    bool good = is_alive(back.connection) && !expired(back, time, time);
    try {
      if (good && clean) clean(back.connection);
    } catch (const std::exception&) {  // whatever it was: the connection is of no use any more
      good = false;
    } catch (...) {
      discard(std::move(item));
      throw;
    }
    if (!good || this->size > this->max) return discard(std::move(item));
    back.used = now();
    this->put(std::move(item));
    schedule();
  }
  // Its place is free when it is closed. May block.
  void discard(Item item) {
    const Place place(*this);
    close(item.front().connection);
  }

  // Closes those that are free. May block.
  void clear() {
    cancel_timer();
    Item all;
    all.swap(this->free);
    discard_all(std::move(all));
  }
  void close_surplus(int max_size) {
    Item surplus = this->resize(max_size);
    for (auto& one : surplus) close(one.connection);
  }

  // Has the timer expire when the first of those that are free does.
  void schedule() {
    cancel_timer();
    uvlet::Time first = uvlet::never;
    for (const auto& one : this->free) first = std::min({first, too_old_at(one), too_idle_at(one)});
    uvlet::Hub::get().timers.start(*this, first);
  }

 private:
  struct Place {
    explicit Place(ConnectionState& of) noexcept : state(of) {}
    ~Place() { state.drop_place(); }
    ConnectionState& state;
  };

  static std::function<PooledConnection<C>()> connecting(std::function<C()> connect,
                                                         const ConnectionPoolOptions<C>& options) {
    if (!connect) return nullptr;
    return [connect = std::move(connect), limit = options.connect_timeout] {
      const Timeout timeout(limit, ConnectTimeout());
      C connection = connect();
      return PooledConnection<C>{std::move(connection), now()};
    };
  }

  static uvlet::Time now() noexcept { return uvlet::Hub::get().now(); }
  uvlet::Time too_old_at(const PooledConnection<C>& one) const noexcept {
    return uvlet::deadline_after(one.made, options_.max_age);
  }
  uvlet::Time too_idle_at(const PooledConnection<C>& one) const noexcept {
    return uvlet::deadline_after(one.used, options_.max_idle);
  }
  bool expired(const PooledConnection<C>& one, uvlet::Time used, uvlet::Time time) const noexcept {
    return time >= too_old_at(one) || time >= uvlet::deadline_after(used, options_.max_idle);
  }

  static void close(C& connection) {
    try {
      if (is_alive(connection)) close_connection(connection);
    } catch (const std::exception&) {
    }
  }
  void discard_all(Item items) {
    while (!items.empty()) {
      Item one;
      one.splice(one.end(), items, items.begin());
      try {
        discard(std::move(one));
      } catch (...) {  // the others are destroyed without being closed
        for (const auto& left : items) (void)left, this->drop_place();
        throw;
      }
    }
  }

  // On the loop's own stack; closing may block.
  void expire() noexcept override {
    try {
      uvlet::Hub::get().spawn([self = this->shared_from_this()] { self->close_expired(); });
    } catch (...) {  // no stack: when the next connection comes back
    }
  }
  void close_expired() {
    const uvlet::Time time = now();
    Item old;
    for (auto one = this->free.begin(); one != this->free.end();) {
      const auto next = std::next(one);
      if (expired(*one, one->used, time)) old.splice(old.end(), this->free, one);
      one = next;
    }
    discard_all(std::move(old));
    schedule();
  }

  ConnectionPoolOptions<C> options_;
};

}  // namespace detail

// A Pool of connections that closes those that are old or were not used for long. The one that
// came back last is the next one. A Connection is anything that can be moved: its rollback() and
// close(), or those of what it points to, are called where it has them, and it counts as dead where
// it converts to false. Source: eventlet.db_pool. Destroying the pool closes the connections that
// are free now and the others when they come back.
template <class Connection>
class ConnectionPool {
  using State = detail::ConnectionState<Connection>;
  using Item = typename State::Item;

 public:
  using Options = ConnectionPoolOptions<Connection>;
  using Cleanup = std::function<void(Connection&)>;

  // A connection that goes back when this is destroyed; cleaning it up then is not interrupted.
  // Move-only.
  class Lease {
   public:
    Lease(Lease&& other) noexcept
        : state_(std::move(other.state_)), item_(std::move(other.item_)) {}
    Lease& operator=(Lease&& other) noexcept {
      if (this == &other) return *this;
      give_back();
      state_ = std::move(other.state_);
      item_ = std::move(other.item_);
      return *this;
    }
    ~Lease() { give_back(); }

    // Throw logic_error after release() and for one that was moved from.
    Connection& operator*() const { return held(); }
    Connection* operator->() const { return &held(); }
    explicit operator bool() const noexcept { return state_ != nullptr; }

    // Gives it back now, after the pool's cleanup, or this one. Throws what that throws beside
    // std::exception; the connection is closed then. Blocks the green thread. Cancel point.
    void release() {
      if (state_) release(Cleanup(state_->cleanup()));
    }
    void release(const Cleanup& cleanup) {
      if (const std::shared_ptr<State> state = std::exchange(state_, nullptr))
        state->release(std::move(item_), cleanup);
    }
    aio::task<> release_async() {
      release();
      co_return;
    }
    aio::task<> release_async(Cleanup cleanup) {
      release(cleanup);
      co_return;
    }
    // Closes it: it is of no use any more. Blocks the green thread. Cancel point.
    void discard() {
      if (const std::shared_ptr<State> state = std::exchange(state_, nullptr))
        state->discard(std::move(item_));
    }
    aio::task<> discard_async() {
      discard();
      co_return;
    }

   private:
    friend class ConnectionPool;
    Lease(std::shared_ptr<State> state, Item item) noexcept
        : state_(std::move(state)), item_(std::move(item)) {}
    Connection& held() const {
      if (!state_) throw std::logic_error("a connection that went back to its pool");
      return item_.front().connection;
    }
    void give_back() noexcept {
      if (!state_) return;
      try {
        const Shield shield;
        release();
      } catch (...) {  // it is closed
      }
    }

    std::shared_ptr<State> state_;  // null: it went back
    mutable Item item_;
  };

  // Makes `min_size` connections now. Throws as Pool does, and what `connect` throws.
  // Blocks the green thread. Cancel point.
  explicit ConnectionPool(std::function<Connection()> connect, Options options = Options())
      : state_(std::make_shared<State>(std::move(connect), options)) {
    state_->fill(options.min_size);
    state_->schedule();
  }
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;
  ~ConnectionPool() {
    try {
      const Shield shield;
      resize(0);
      clear();
    } catch (...) {
    }
  }

  // As Pool::item(); throws ConnectTimeout when a new connection takes too long.
  // Blocks the green thread. Cancel point.
  Lease get() {
    const std::shared_ptr<State> state = state_;
    return Lease(state, detail::made<detail::PooledConnection<Connection>>(
                            *state, uvlet::block(typename State::Take(state))));
  }
  aio::task<Lease> get_async() { return leasing(state_); }
  Lease item() { return get(); }
  aio::task<Lease> item_async() { return leasing(state_); }
  // Lease::release. Throws logic_error for another pool's, or none.
  // Blocks the green thread. Cancel point.
  void put(Lease lease) {
    require_own(lease);
    lease.release();
  }
  void put(Lease lease, const Cleanup& cleanup) {
    require_own(lease);
    lease.release(cleanup);
  }
  aio::task<> put_async(Lease lease) {
    put(std::move(lease));
    co_return;
  }
  aio::task<> put_async(Lease lease, Cleanup cleanup) {
    put(std::move(lease), cleanup);
    co_return;
  }

  int free() const noexcept { return state_->available(); }  // as Pool's
  int waiting() const noexcept { return state_->waiting(); }
  // Connections there are, used or not, and being made.
  int size() const noexcept { return state_->size; }
  // Closes what becomes too many. Blocks the green thread. Cancel point.
  void resize(int max_size) {
    const std::shared_ptr<State> state = state_;
    state->close_surplus(max_size);
  }
  aio::task<> resize_async(int max_size) {
    resize(max_size);
    co_return;
  }
  // Closes the connections that are free. Blocks the green thread. Cancel point.
  void clear() {
    const std::shared_ptr<State> state = state_;
    state->clear();
  }
  aio::task<> clear_async() {
    clear();
    co_return;
  }

 private:
  void require_own(const Lease& lease) const {
    if (lease.state_ != state_)
      throw std::logic_error("ConnectionPool::put: a connection that is not of this pool");
  }
  static aio::task<Lease> leasing(std::shared_ptr<State> state) {
    Item item = co_await typename State::Take(state);
    item = detail::made<detail::PooledConnection<Connection>>(*state, std::move(item));
    co_return Lease(std::move(state), std::move(item));
  }

  std::shared_ptr<State> state_;
};

}  // namespace green
