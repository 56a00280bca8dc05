#pragma once

// Connections accepted, and each given to an Exchange.

#include "exchange.hpp"

#include <aio/future.hpp>
#include <aio/web/runner.hpp>
#include <uvlet/descriptor.hpp>
#include <uvlet/list.hpp>
#include <uvlet/signal.hpp>

#include <memory>

namespace aio::web::detail {

// A connection from its being accepted to its end.
struct OpenConnection : uvlet::Link {
  Future<void> task;
  Exchange* exchange = nullptr;  // null: it has not begun
};

struct UVLET_API ServerState : std::enable_shared_from_this<ServerState> {
  // Throws as check().
  ServerState(Respond to_call, const ServerOptions& how);
  // Throws invalid_argument, naming the option and its value.
  static void check(const ServerOptions& options);

  // Takes over a listening socket, and accepts in the background.
  void listen(int fd);
  // Serves a connection that was accepted, in the background.
  void begin(int fd, std::unique_ptr<uvlet::Transport> transport, Address peer);
  // Of a new connection, as the options say; null: none. Throws as Runner::start() does.
  std::unique_ptr<uvlet::Transport> transport() const;
  // No new connections; idle ones end, busy ones after their response, or cancelled at the
  // deadline.
  task<void> finish();
  void close_listener() noexcept;
  void cancel_all();

  Respond respond;
  const ServerOptions options;
  std::unique_ptr<uvlet::Descriptor> listener;
  Address address;
  uvlet::List<OpenConnection> open;
  int connections = 0;
  bool stopping = false;
  uvlet::Signal changed{"a server's connections"};
};

}  // namespace aio::web::detail
