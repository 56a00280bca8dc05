#pragma once

#include <aio/future.hpp>
#include <aio/stream.hpp>
#include <aio/task.hpp>
#include <uvlet/address.hpp>
#include <uvlet/duration.hpp>

#include <functional>
#include <memory>
#include <utility>

namespace aio {

using uvlet::Duration;

namespace detail {

struct ServerState;
struct ServerOwner;
using StreamHandler = std::function<task<void>(Stream)>;

}  // namespace detail

// A socket that listens, and accepts in the background. A shared handle; the last one closes it.
// Source: asyncio.Server.
class UVLET_API Server {
 public:
  // Where it listens, with the port that the system chose; also after close().
  Address getsockname() const;
  bool is_serving() const;
  // No new connections; those that were accepted go on. Never switches.
  void close();
  // Waits until it is closed and the handlers of all connections have ended.
  task<void> wait_closed();
  // Closes, lets each connection finish what it has begun, and waits for that; cancels the handlers
  // that go on after `timeout`, and waits for their end. For a handler a stop looks like a client
  // that sends no more: what has come already it can still read, then comes the end of the stream;
  // and it can write as before. Not from a handler, which it would wait for.
  task<void> stop(Duration timeout = 1);

  // For start_server.
  explicit Server(std::shared_ptr<detail::ServerState> state);

 private:
  detail::ServerState& state() const;

  std::shared_ptr<detail::ServerOwner> owner_;
};

namespace detail {

UVLET_API task<Server> serve_on(StreamHandler handler, Address address, bool reuse_port,
                                std::unique_ptr<uvlet::Transport> transport = nullptr);

template <class H>
StreamHandler stream_handler(H handler) {
  auto shared = std::make_shared<H>(std::move(handler));
  return [shared](Stream stream) -> task<void> { return (*shared)(std::move(stream)); };
}

}  // namespace detail

// Listens on a TCP or unix address, and runs handler(Stream) -> task<void> for each connection,
// each as create_task does. What a handler throws is reported on stderr and ends its connection
// alone, as does returning from it, once no handle to the Stream is left. Where the process has no
// descriptor left it waits for one. The file of a unix socket that nobody removed is replaced.
// `reuse_port`: several servers, of other threads or processes, share a port that all of them
// reuse, as run_on_threads wants. Throws system_error, gaierror. Source: asyncio.start_server.
template <class H>
task<Server> start_server(H handler, Address address, bool reuse_port = false) {
  return detail::serve_on(detail::stream_handler(std::move(handler)), std::move(address),
                          reuse_port);
}

}  // namespace aio
