#include <green/stream_server.hpp>

#include <green/convenience.hpp>
#include <green/shared_descriptor.hpp>
#include <uvlet/signal.hpp>
#include <uvlet/timeout.hpp>

#include <stdexcept>
#include <sys/socket.h>
#include <vector>

namespace green {
namespace detail {
namespace {

using Shared = std::shared_ptr<StreamServerState>;

// An accepted connection, until its handler has ended.
struct Connection : uvlet::Link {
  Connection(Shared owner, const Socket& accepted);
  Connection(const Connection&) = delete;
  ~Connection();
  // Its handler may have closed it, or passed it on.
  void end_reading() const noexcept {
    const auto open = socket.lock();
    if (open && open->fd() >= 0) open->shutdown(SHUT_RD);
  }

  Shared server;
  std::weak_ptr<SharedDescriptor> socket;
  Greenlet handler;
};

}  // namespace

struct StreamServerState {
  StreamServerState(Socket socket, std::function<void(Socket, Address)> function, int concurrency)
      : listener(std::move(socket)),
        address(listener.getsockname()),
        handle(std::move(function)),
        pool(concurrency) {}

  bool ended() const noexcept { return !accepting && connections.empty(); }
  void stop_accepting() noexcept {
    stopping = true;
    listener.close();
    if (accepting) acceptor.identity()->root->kill();  // it may wait for room
  }

  Socket listener;
  Address address;
  std::function<void(Socket, Address)> handle;
  GreenPool pool;
  uvlet::List<Connection> connections;
  int count = 0;  // of them
  Greenlet acceptor;
  bool accepting = false;  // the acceptor has not ended
  bool stopping = false;
  std::exception_ptr failure;
  uvlet::Signal changed{"a server to end"};
};

namespace {

Connection::Connection(Shared owner, const Socket& accepted)
    : server(std::move(owner)), socket(accepted.shared()) {
  server->connections.push_back(this);
  ++server->count;
}
Connection::~Connection() {
  unlink();
  --server->count;
  server->changed.notify_all();
}

void accept_one(const Shared& state) {
  state->pool.wait_for_room();
  auto [socket, peer] = accept_patiently(state->listener);
  auto connection = std::make_shared<Connection>(state, socket);
  if (state->stopping) connection->end_reading();
  auto handle = [connection](Socket accepted, Address from) {
    connection->server->handle(std::move(accepted), std::move(from));
  };
  connection->handler = state->pool.spawn(std::move(handle), std::move(socket), std::move(peer));
}

void accept_all(const Shared& state) {
  try {
    while (!state->stopping) accept_one(state);
  } catch (const GreenletExit&) {
  } catch (...) {
    if (!state->stopping) state->failure = uvlet::caught_exception();
  }
}

void acceptor_ended(StreamServerState& state) {
  state.accepting = false;
  state.stop_accepting();
  state.changed.notify_all();
}

aio::task<void> ended(Shared state) {
  while (!state->ended()) co_await state->changed.wait();
}

void start_accepting(const Shared& state) {
  GreenThread<void> acceptor = spawn([state] { accept_all(state); });
  state->acceptor = acceptor;
  state->accepting = true;
  // Also if it is stopped before it has begun.
  acceptor.link([state](const GreenThread<void>&) { acceptor_ended(*state); });
}

aio::task<void> serve(Shared state) {
  if (!state->accepting && !state->stopping) start_accepting(state);
  try {
    co_await ended(state);
  } catch (...) {
    state->stop_accepting();
    throw;
  }
  if (state->failure) uvlet::rethrow(std::exchange(state->failure, nullptr));
}

void kill_connections(const StreamServerState& state) {
  std::vector<Greenlet> handlers;
  for (const Connection* connection : state.connections) handlers.push_back(connection->handler);
  for (const Greenlet& handler : handlers)
    if (!handler.dead()) handler.identity()->root->kill();
}

aio::task<void> stop(Shared state, Duration timeout) {
  const Greenlet self = getcurrent();
  for (const Connection* connection : state->connections)
    if (connection->handler == self)
      throw std::logic_error("StreamServer::stop in a handler, which it would wait for");
  state->stop_accepting();
  for (const Connection* connection : state->connections) connection->end_reading();
  const uvlet::Deadline deadline(state->changed, timeout);
  while (!state->ended() && !deadline.passed()) co_await state->changed.wait();
  kill_connections(*state);
  co_await ended(state);
}

}  // namespace
}  // namespace detail

StreamServer::StreamServer(Socket listener, Handler handle, int concurrency, int)
    : state_(std::make_shared<detail::StreamServerState>(std::move(listener), std::move(handle),
                                                         concurrency)) {}

StreamServer::~StreamServer() {
  state_->stop_accepting();
  uvlet::Hub* hub = uvlet::Hub::existing();
  if (state_->ended() || !hub || !hub->running()->may_wait()) return;
  try {
    const uvlet::Shield shield;
    stop(0);
  } catch (const std::logic_error&) {  // in a handler: the others go on
  }
}

Address StreamServer::address() const { return state_->address; }
int StreamServer::connections() const noexcept { return state_->count; }

void StreamServer::start() {
  if (state_->accepting || state_->stopping)
    throw std::logic_error("a StreamServer is started once");
  detail::start_accepting(state_);
}

aio::task<void> StreamServer::serve_forever_async() { return detail::serve(state_); }
void StreamServer::stop_accepting() noexcept { state_->stop_accepting(); }
aio::task<void> StreamServer::stop_async(Duration timeout) { return detail::stop(state_, timeout); }

}  // namespace green
