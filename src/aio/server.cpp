#include <aio/server.hpp>

#include "listener.hpp"

#include <aio/getaddrinfo.hpp>
#include <uvlet/descriptor.hpp>
#include <uvlet/handshake.hpp>
#include <uvlet/signal.hpp>

#include <system_error>

namespace aio {
namespace {

constexpr int backlog = 128;
constexpr double handshake_seconds = 60;

}  // namespace

namespace detail {

// An accepted connection, until its handler has ended.
struct Connection : uvlet::Link {
  explicit Connection(const Stream& accepted) noexcept : stream(accepted) {}
  WeakStream stream;
  Future<void> handler;
};

struct ServerState {
  ServerState(int fd, StreamHandler to_call) : listener(fd, false), handler(std::move(to_call)) {}

  bool open() const noexcept { return listener.fd() >= 0; }
  void close() noexcept { listener.close(); }

  uvlet::Descriptor listener;
  StreamHandler handler;
  Address address;
  bool stopping = false;
  int running = 0;  // handlers, and who accepts
  uvlet::List<Connection> connections;
  uvlet::Signal changed{"a server to close"};
};

struct ServerOwner {
  explicit ServerOwner(std::shared_ptr<ServerState> owned) noexcept : state(std::move(owned)) {}
  ~ServerOwner() { state->close(); }
  std::shared_ptr<ServerState> state;
};

namespace {

using Shared = std::shared_ptr<ServerState>;

// Counts what wait_closed() waits for, also if it never starts.
class Running {
 public:
  explicit Running(Shared state) : state_(std::move(state)) { ++state_->running; }
  Running(Running&&) noexcept = default;
  ~Running() {
    if (!state_) return;
    --state_->running;
    state_->changed.notify_all();
  }
  const Shared& state() const noexcept { return state_; }

 private:
  Shared state_;
};

// False: the peer does not get that far, which is its own affair.
task<bool> shakes_hands(Stream stream) {
  try {
    uvlet::Handshake handshaking(&stream.descriptor(), Duration(handshake_seconds));
    co_await std::move(handshaking);
    co_return true;
  } catch (const std::system_error&) {
    co_return false;
  }
}

task<void> handle(Running running, std::shared_ptr<Connection>, Stream stream) {
  try {
    if (stream.descriptor().transport()) {
      const bool shook = co_await shakes_hands(stream);
      if (!shook) co_return;
    }
    co_await running.state()->handler(std::move(stream));
  } catch (const CancelledError&) {
    throw;
  } catch (...) {
    uvlet::report_exception(*uvlet::Hub::get().running(), std::current_exception());
  }
}

void start_handler(const Shared& state, Stream stream) {
  auto connection = std::make_shared<Connection>(stream);
  state->connections.push_back(connection.get());
  if (state->stopping) connection->stream.end_reading();
  connection->handler = create_task(handle(Running(state), connection, std::move(stream)));
}

task<void> accept_all(Running running) {
  ServerState& server = *running.state();
  struct Close {
    ServerState& state;
    ~Close() { state.close(); }
  } close{server};
  for (;;) {
    Accepted accepted = co_await accept_patiently(server.listener);
    if (accepted.fd < 0) break;
    start_handler(running.state(), Stream::from_fd(accepted.fd, std::move(accepted.transport)));
  }
}

task<void> closed(Shared state) {
  while (state->open() || state->running > 0) co_await state->changed.wait();
}

task<void> stopped(Shared state, Duration timeout) {
  state->stopping = true;
  state->close();
  for (const Connection* connection : state->connections) connection->stream.end_reading();
  const uvlet::Deadline deadline(state->changed, timeout);
  while ((state->open() || state->running > 0) && !deadline.passed())
    co_await state->changed.wait();
  std::vector<Future<void>> handlers;
  for (const Connection* connection : state->connections) handlers.push_back(connection->handler);
  for (Future<void>& handler : handlers) handler.cancel();
  co_await closed(state);
}

}  // namespace

task<Server> serve_on(StreamHandler handler, Address address, bool reuse_port,
                      std::unique_ptr<uvlet::Transport> transport) {
  const std::vector<Address> found = co_await resolve(std::move(address));
  const int fd = listen_on(found.front(), backlog, reuse_port);
  auto state = std::make_shared<ServerState>(fd, std::move(handler));
  state->listener.set_transport(std::move(transport));
  state->address = name_of(fd);
  Server server(state);
  create_task(accept_all(Running(state)), "server " + state->address.str());
  co_return server;
}

}  // namespace detail

Server::Server(std::shared_ptr<detail::ServerState> state)
    : owner_(std::make_shared<detail::ServerOwner>(std::move(state))) {}

detail::ServerState& Server::state() const {
  if (!owner_) throw std::logic_error("a Server that was moved from");
  return *owner_->state;
}

Address Server::getsockname() const { return state().address; }
bool Server::is_serving() const { return state().open(); }
void Server::close() { state().close(); }
task<void> Server::wait_closed() {
  state();
  return detail::closed(owner_->state);
}
task<void> Server::stop(Duration timeout) {
  state();
  return detail::stopped(owner_->state, timeout);
}

}  // namespace aio
