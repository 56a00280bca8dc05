#pragma once

// A server that can be stopped without cutting anybody off. Source: gevent.server.StreamServer.

#include <green/greenpool.hpp>
#include <green/socket.hpp>

#include <functional>
#include <memory>
#include <utility>

namespace green {

namespace detail {
struct StreamServerState;
}

// Accepts connections in the background and handles each in a green thread of its own, at most
// `concurrency` at once: at the limit it stops accepting. What a handler throws is reported as that
// of any green thread, and ends its connection alone. Where the process has no descriptor left it
// waits for one. The destructor is stop(0).
class UVLET_API StreamServer {
 public:
  // handle(Socket, Address); the listener is the server's from now on. Throws invalid_argument for
  // a negative concurrency.
  template <class H>
  StreamServer(Socket listener, H handle, int concurrency = 1000)
      : StreamServer(std::move(listener), shared(std::move(handle)), concurrency, 0) {}
  StreamServer(const StreamServer&) = delete;
  StreamServer& operator=(const StreamServer&) = delete;
  ~StreamServer();

  Address address() const;  // where it listens, or listened
  int connections() const noexcept;
  // Never switches. Throws logic_error the second time.
  void start();
  // Starts it, if nobody has, and waits until it accepts no more and the last connection has ended.
  // Throws what accepting failed with. Interrupted, it stops accepting.
  // Blocks the green thread. Cancel point.
  void serve_forever() { detail::drive(serve_forever_async()); }
  aio::task<void> serve_forever_async();

  // No new connections: closes the listener. Those that were accepted go on. Never switches; also
  // for handlers.
  void stop_accepting() noexcept;
  // Stops accepting, lets each connection finish what it has begun, and waits for that; kills those
  // that go on after `timeout`, and waits for their end. For a handler a stop looks like a client
  // that sends no more: what has come already it can still read, then comes the end of the stream;
  // and it can send as before. So who waits for the next request ends at once, and who works on one
  // can reply. Cut short, it leaves the rest running. Throws logic_error in a handler.
  // Blocks the green thread. Cancel point.
  void stop(Duration timeout = 1) { detail::drive(stop_async(timeout)); }
  aio::task<void> stop_async(Duration timeout = 1);

 private:
  using Handler = std::function<void(Socket, Address)>;
  StreamServer(Socket listener, Handler handle, int concurrency, int);
  template <class H>
  static Handler shared(H handle) {  // it may be move-only
    return [handle = std::make_shared<H>(std::move(handle))](Socket socket, Address peer) {
      std::invoke(*handle, std::move(socket), std::move(peer));
    };
  }

  std::shared_ptr<detail::StreamServerState> state_;
};

}  // namespace green
