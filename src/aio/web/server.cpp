#include "server.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <stdexcept>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace aio::web::detail {
namespace {

using State = std::shared_ptr<ServerState>;

constexpr int backlog = 1024;
constexpr double accept_pause_seconds = 0.01;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Others may give back what is missing.
bool passes(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

struct Accepted {
  int fd = -1;  // or minus the errno
  Address peer;
};

class Accept final : public uvlet::Operation<Accept, uvlet::IoWait> {
 public:
  explicit Accept(uvlet::Descriptor& listener) noexcept
      : Operation(&listener, uvlet::Direction::read, std::nullopt) {}
  Accept(Accept&&) = default;
  ~Accept() {
    if (fd_ >= 0) ::close(fd_);
  }
  Accepted result() {
    Accepted accepted;
    accepted.fd = error_number != 0 ? -error_number : std::exchange(fd_, -1);
    accepted.peer = std::move(peer_);
    return accepted;
  }

 private:
  bool attempt() noexcept override {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    fd_ = ::accept4(fd(), address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd_ < 0) return failed(errno);
    try {
      peer_ = Address::from_sockaddr(address, length);
    } catch (...) {
      error_number = ENOMEM;
    }
    return true;
  }

  int fd_ = -1;
  Address peer_;
};

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

task<void> serve(Counted counted, std::unique_ptr<http::detail::Connection> connection,
                 Address peer) {
  ServerState& server = counted.state();
  Exchange exchange(*connection, std::move(peer), server.options);
  counted.open().exchange = &exchange;
  if (server.stopping) exchange.stop();
  struct Gone {
    OpenConnection& open;
    ~Gone() { open.exchange = nullptr; }
  } gone{counted.open()};
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
    Accept accept(*server->listener);
    Accepted accepted = co_await std::move(accept);
    if (accepted.fd >= 0) {
      const uvlet::Transport* listening = server->listener->transport();
      server->begin(accepted.fd, listening ? listening->accepted() : nullptr,
                    std::move(accepted.peer));
    } else if (passes(-accepted.fd)) {
      co_await sleep(accept_pause_seconds);
    } else if (server->listener->fd() >= 0 && accepted.fd != -ECONNABORTED) {
      throw std::system_error(-accepted.fd, std::generic_category(), "accept");
    }
  }
}

task<void> all_closed(State server) {
  while (server->connections > 0) co_await server->changed.wait();
}

// The file of a socket that nobody listens on any more, or that the caller means to replace.
void remove_stale(const Address& address) noexcept {
  if (address.family() != AF_UNIX || address.host().empty() || address.host()[0] == '\0') return;
  struct stat status;
  if (::stat(address.host().c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
    ::unlink(address.host().c_str());
}

}  // namespace

Address name_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(fd, address, &length) != 0) fail("getsockname");
  return Address::from_sockaddr(address, length);
}

int listen_on(const Address& address, bool shared) {
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  struct Close {
    int fd;
    ~Close() {
      if (fd >= 0) ::close(fd);
    }
  } close{fd};
  const int on = 1;
  if (address.family() != AF_UNIX) {
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  remove_stale(address);
  const Address::Raw raw = address.raw();
  if (::bind(fd, raw.get(), raw.length) != 0) fail("bind to " + address.str());
  if (::listen(fd, backlog) != 0) fail("listen on " + address.str());
  close.fd = -1;
  return fd;
}

void ServerState::listen(int fd) {
  listener = std::make_unique<uvlet::Descriptor>(fd, false);
  listener->set_transport(transport());
  address = name_of(fd);
  create_task(accept_all(shared_from_this()), "web server " + address.str());
}

void ServerState::begin(int fd, std::unique_ptr<uvlet::Transport> transport, Address peer) {
  auto connection = std::make_unique<http::detail::Connection>(fd, std::move(transport));
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
  for (const OpenConnection* connection : open) tasks.push_back(connection->task);
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
