#pragma once

#include <aio/ssl_options.hpp>
#include <aio/web/application.hpp>
#include <uvlet/address.hpp>
#include <uvlet/duration.hpp>

#include <cstddef>
#include <memory>
#include <optional>

namespace aio::web {

using uvlet::Duration;

struct UVLET_API ServerOptions {
  ServerOptions();
  Duration keepalive_timeout = 75;        // between two requests of a connection
  Duration request_timeout = 60;          // for a head, and between two pieces of a body
  Duration shutdown_timeout = 60;         // for requests that run when it stops
  std::size_t client_max_size = 1 << 20;  // of a body that Request::read() reads
  std::size_t max_line_size = 8190, max_field_size = 8190, max_headers = 100;
  int max_connections = 0;  // 0: no limit; at the limit nothing is accepted
  int threads = 1;          // run_app: hubs, one an OS thread, each with a listener of its own
  bool access_log = false;  // a line a request on stderr, in the common log format
  std::optional<SslOptions> ssl;  // https; logic_error where uvlet was built without OpenSSL
};

// Serves an application on this hub, beside whatever else runs. Destroying it closes everything at
// once.
class UVLET_API Runner {
 public:
  explicit Runner(Application app, ServerOptions options = ServerOptions());
  Runner(Runner&&) noexcept;
  Runner& operator=(Runner&&) noexcept;
  ~Runner();

  // Runs on_startup, then listens. Throws system_error, gaierror, logic_error if it was started
  // before.
  task<void> start(Address address);
  // Where it listens, with the port that the system chose.
  Address address() const;
  // No new connections; idle ones are closed, busy ones answer what they read and close; whoever is
  // busy after shutdown_timeout is cancelled. Then on_cleanup runs. Again: nothing.
  task<void> stop();

 private:
  struct State;
  static task<void> start(std::shared_ptr<State> state, Address address);
  static task<void> stop(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

// Serves until the process gets SIGINT or SIGTERM, then stops as Runner::stop() does. With several
// threads handlers run on all of them at once.
// Blocks the green thread. Cancel point.
UVLET_API void run_app(Application app, Address address, ServerOptions options = ServerOptions());
// Cancelling it closes everything at once; several threads end as by the signal then, in the
// background. Until they have, one thread of libuv's pool is theirs.
UVLET_API task<void> run_app_async(Application app, Address address,
                                   ServerOptions options = ServerOptions());

}  // namespace aio::web
