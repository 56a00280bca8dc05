#include "server.hpp"

#include "../listener.hpp"

#include <aio/wait_for.hpp>

#include <stdexcept>
#include <utility>

namespace aio::web::detail {
namespace {

using State = std::shared_ptr<ServerState>;

// Counts a connection, also if its task never starts.
class Counted {
 public:
  Counted(State state, std::shared_ptr<OpenConnection> open)
      : state_(std::move(state)), open_(std::move(open)) {
    ++state_->connections;
    state_->open.push_back(open_.get());
  }
  Counted(Counted&&) noexcept = default;
  ~Counted() {
    if (!state_) return;
    open_->unlink();
    --state_->connections;
    state_->changed.notify_all();
  }
  ServerState& state() const noexcept { return *state_; }
  OpenConnection& open() const noexcept { return *open_; }

 private:
  State state_;
  std::shared_ptr<OpenConnection> open_;
};

task<void> serve(Counted counted, std::shared_ptr<http::detail::Connection> connection,
                 Address peer) {
  ServerState& server = counted.state();
  Exchange exchange(connection, std::move(peer), server.options);
  counted.open().exchange = &exchange;
  if (server.stopping) exchange.stop();
  struct Gone {
    OpenConnection& open;
    http::detail::Connection& connection;  // which others may keep
    ~Gone() {
      open.exchange = nullptr;
      connection.descriptor.close();
    }
  } gone{counted.open(), *connection};
  try {
    co_await exchange.serve(server.respond);
  } catch (const CancelledError&) {
    throw;
  } catch (...) {
    uvlet::report_exception(*uvlet::Hub::get().running(), std::current_exception());
  }
}

task<void> accept_all(State server) {
  while (server->listener->fd() >= 0) {
    if (server->options.max_connections > 0 &&
        server->connections >= server->options.max_connections) {
      co_await server->changed.wait();
      continue;
    }
    aio::detail::Accepted accepted = co_await aio::detail::accept_patiently(*server->listener);
    if (accepted.fd < 0) break;
    Address peer = Address::from_sockaddr(accepted.peer.get(), accepted.peer.length);
    server->begin(accepted.fd, std::move(accepted.transport), std::move(peer));
  }
}

task<void> all_closed(State server) {
  while (server->connections > 0) co_await server->changed.wait();
}

}  // namespace

ServerState::ServerState(Respond to_call, const ServerOptions& how)
    : respond(std::move(to_call)), options(how) {
  check(how);
}

void ServerState::check(const ServerOptions& options) {
  const auto refuse = [](const char* name, std::string value) {
    throw std::invalid_argument(std::string("ServerOptions: ") + name + " is " + std::move(value));
  };
  if (options.threads < 1) refuse("threads", std::to_string(options.threads));
  if (options.max_connections < 0)
    refuse("max_connections", std::to_string(options.max_connections));
  if (options.max_line_size == 0) refuse("max_line_size", "0");
  if (options.max_field_size == 0) refuse("max_field_size", "0");
  if (options.max_headers == 0) refuse("max_headers", "0");
}

void ServerState::listen(int fd) {
  listener = std::make_unique<uvlet::Descriptor>(fd, false);
  listener->set_transport(transport());
  address = aio::detail::name_of(fd);
  create_task(accept_all(shared_from_this()), "web server " + address.str());
}

void ServerState::begin(int fd, std::unique_ptr<uvlet::Transport> transport, Address peer) {
  auto connection = std::make_shared<http::detail::Connection>(fd, std::move(transport));
  auto opened = std::make_shared<OpenConnection>();
  Counted counted(shared_from_this(), opened);
  opened->task = create_task(serve(std::move(counted), std::move(connection), std::move(peer)));
}

std::unique_ptr<uvlet::Transport> ServerState::transport() const {
  if (!options.ssl) return nullptr;
#if defined(UVLET_HTTP_TLS)
  SslOptions ssl = *options.ssl;
  ssl.server_side = true;
  return aio::detail::ssl_transport(ssl);
#else
  throw std::logic_error("ServerOptions: ssl, but uvlet was built without OpenSSL");
#endif
}

void ServerState::close_listener() noexcept {
  if (listener) listener->close();
}

void ServerState::cancel_all() {
  std::vector<Future<void>> tasks;
  for (const OpenConnection* connection : open) {
    if (connection->exchange) connection->exchange->cancel();
    tasks.push_back(connection->task);
  }
  for (Future<void>& one : tasks) one.cancel();
}

task<void> ServerState::finish() {
  stopping = true;
  close_listener();
  for (const OpenConnection* connection : open)
    if (connection->exchange) connection->exchange->stop();
  changed.notify_all();
  bool in_time = true;
  try {
    co_await wait_for(all_closed(shared_from_this()), options.shutdown_timeout);
  } catch (const TimeoutError&) {
    in_time = false;
  }
  if (in_time) co_return;
  cancel_all();
  co_await all_closed(shared_from_this());
}

}  // namespace aio::web::detail
