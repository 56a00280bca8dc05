#pragma once

#include <green/greenpool.hpp>
#include <green/socket.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace green {

// A connected TCP or unix socket, bound to the address `bind` first if there is one. A name's
// addresses are tried as by aio::open_connection. Throws system_error if none can be connected to,
// gaierror. Blocks the green thread. Cancel point.
UVLET_API Socket connect(const Address& address);
UVLET_API Socket connect(const Address& address, const Address& bind);
UVLET_API aio::task<Socket> connect_async(Address address, std::optional<Address> bind = {});

// A bound, listening socket. reuse_port nullopt: on for a fixed port, off for port 0 and unix.
// A name is looked up. Blocks the green thread. Cancel point.
UVLET_API Socket listen(const Address& address, int backlog = 128, bool reuse_addr = true,
                        std::optional<bool> reuse_port = {});
UVLET_API aio::task<Socket> listen_async(Address address, int backlog = 128, bool reuse_addr = true,
                                         std::optional<bool> reuse_port = {});

// Thrown by a handler to end serve() without an error.
struct StopServe {};

namespace detail {

// The next connection; waits out what will pass: EMFILE, ENFILE, ENOBUFS, ENOMEM.
UVLET_API std::pair<Socket, Address> accept_patiently(Socket& listener);

// One call of serve, for as long as it runs. The first handler that fails interrupts it; later ones
// are reported as those of any green thread.
class UVLET_API Serving {
 public:
  struct State {
    uvlet::Handle<uvlet::Identity> server;
    uvlet::Interrupt failure;
    bool over = false;
  };

  Serving();
  ~Serving();
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  // In a handler's catch block: serve() throws its exception, or it goes on.
  static void handler_failed(State& state);
  const std::shared_ptr<State>& state() const noexcept { return state_; }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace detail

// Accepts connections for ever, each handled by handle(Socket, Address) in a green thread of its
// own, at most `concurrency` at once: at the limit it stops accepting. An exception of a handler
// ends it, but for GreenletExit; StopServe makes it return. Handlers that run go on. The listener
// stays the caller's; closing it ends serve with EBADF.
// Blocks the green thread. Cancel point. Source: eventlet.serve.
template <class H>
void serve(Socket& listener, H handle, int concurrency = 1000) {
  GreenPool pool(concurrency);
  const auto shared = std::make_shared<H>(std::move(handle));
  const detail::Serving serving;
  auto handle_one = [shared, state = serving.state()](Socket connection, Address peer) {
    try {
      std::invoke(*shared, std::move(connection), std::move(peer));
    } catch (const GreenletExit&) {
    } catch (...) {
      detail::Serving::handler_failed(*state);
    }
  };
  try {
    for (;;) {
      pool.wait_for_room();
      auto [connection, peer] = detail::accept_patiently(listener);
      pool.spawn_n(handle_one, std::move(connection), std::move(peer));
    }
  } catch (const StopServe&) {
  }
}

// The same on a green thread of its own: cancelling the wait stops it.
template <class H>
aio::task<void> serve_async(Socket& listener, H handle, int concurrency = 1000) {
  auto serving = [&listener, handle = std::move(handle), concurrency]() mutable {
    serve(listener, std::move(handle), concurrency);
  };
  return aio::async_def(std::move(serving));
}

}  // namespace green
