#pragma once

// The connections of a session: at most so many in use, and idle ones kept for a while.

#include "client_connection.hpp"

#include <aio/semaphore.hpp>
#include <uvlet/timer.hpp>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace aio::http::detail {

struct PoolOptions {
  int limit = 0;           // 0: none
  int limit_per_host = 0;  // 0: none
  Duration keepalive_timeout = 0;
};

class Lease;

// Who wants a connection takes a place at its host first and one in the whole then, each in the
// order of asking. An idle connection is in no place: it goes when a new one would be one too many.
class Pool final : public std::enable_shared_from_this<Pool>, private uvlet::Timer {
 public:
  explicit Pool(const PoolOptions& options);
  ~Pool();

  // A connection to there: the idle one that was used last, or, if there is none or it shall be
  // `fresh`, a new one. Throws as open_connection() does.
  static task<Lease> acquire(std::shared_ptr<Pool> self, Endpoint to, bool fresh);

  // Closes what is idle; what is in use closes when it is given back.
  void close() noexcept;
  std::size_t idle() const noexcept { return idle_; }

 private:
  friend class Lease;
  using Owned = std::unique_ptr<ClientConnection>;
  struct Host {
    std::optional<Semaphore> places;
    std::vector<Owned> idle;  // the one used last is the last
    int users = 0;            // Leases, also those that wait
  };
  using Hosts = std::map<std::string, Host>;

  Hosts::iterator enter(const std::string& key);
  void leave(Hosts::iterator host) noexcept;
  void put(Hosts::iterator host, Owned connection);
  Owned take(Host& host) noexcept;
  void close_idle(Host& host) noexcept;
  void make_room() noexcept;
  void close_oldest() noexcept;
  Hosts::iterator oldest() noexcept;
  void expire() noexcept override;
  void set_timer();
  Purpose purpose() const noexcept override { return {"idle connections", nullptr}; }

  const PoolOptions options_;
  std::optional<Semaphore> places_;
  Hosts hosts_;
  std::size_t idle_ = 0;
  int in_use_ = 0;
  bool closed_ = false;
};

// A place in the pool, and the connection in it. Destroying it closes the connection.
class Lease {
 public:
  Lease() noexcept = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease() { close(); }

  ClientConnection* operator->() const noexcept { return connection_.get(); }
  ClientConnection& operator*() const noexcept { return *connection_; }
  explicit operator bool() const noexcept { return connection_ != nullptr; }

  // Closes the connection, and gives up the place.
  void close() noexcept;
  // Gives back both: the connection can serve another request.
  void give_back();

 private:
  friend class Pool;
  void leave() noexcept;

  std::shared_ptr<Pool> pool_;  // null: nothing is held
  Pool::Hosts::iterator host_{};
  bool at_host_ = false;  // which places it has
  bool in_whole_ = false;
  std::unique_ptr<ClientConnection> connection_;
};

}  // namespace aio::http::detail
