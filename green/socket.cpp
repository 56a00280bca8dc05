#include <green/socket.hpp>
#include <uvlet/handshake.hpp>

#include <green/file_state.hpp>
#include <green/socket_call.hpp>

#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace green {
namespace {

[[noreturn]] void fail(int error, const char* call) {
  throw std::system_error(error, std::generic_category(), call);
}

int check(int result, const char* call) {
  if (result < 0) fail(errno, call);
  return result;
}

bool is_stream(int fd) noexcept {
  int type = 0;
  socklen_t length = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

template <class Call>
Address name_of(int fd, Call call, const char* what) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  check(call(fd, reinterpret_cast<sockaddr*>(&storage), &length), what);
  return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

}  // namespace

namespace detail {

std::size_t Recv::wanted() const noexcept { return worth_receiving(*descriptor_, max_); }

std::string Recv::result() {
  check("recv");
  return std::move(data_);
}

std::size_t RecvInto::result() {
  check("recv");
  return received_;
}

void Send::sent(std::size_t bytes) noexcept {
  sent_ += bytes;
  left_.remove_prefix(bytes);
  taken_ = !all_ || left_.empty();
}

std::size_t Send::result() {
  const bool late = error_number == EAGAIN || error_number == ETIMEDOUT;
  if (all_ || sent_ == 0 || !late) check("send");  // what a transport has taken counts
  return sent_;
}

Accept::~Accept() {
  if (accepted_ >= 0) ::close(accepted_);
}

bool Accept::attempt() noexcept {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const int fd = uvlet::accept_connection(this->fd(), storage, length);
  if (fd < 0) return accept_failed(errno);
  accepted_ = fd;
  try {
    if (const uvlet::Transport* transport = descriptor_->transport())
      transport_ = transport->accepted();
    peer_ = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), length);
  } catch (...) {
    error_number = ENOMEM;
  }
  return true;
}

std::pair<Socket, Address> Accept::result() {
  check("accept");
  Socket connection(Socket::Adopted{std::exchange(accepted_, -1)});
  if (transport_) connection.descriptor_->set_transport(std::move(transport_));
  return {std::move(connection), std::move(peer_)};
}

}  // namespace detail

Socket::Socket(int family, int type, int protocol)
    : Socket(Adopted{
          check(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), "socket")}) {}

Socket::Socket(Adopted adopted) {
  try {
    descriptor_ = std::make_shared<detail::SharedDescriptor>(adopted.fd, is_stream(adopted.fd));
  } catch (...) {
    ::close(adopted.fd);
    throw;
  }
}

Socket Socket::from_fd(int fd) {
  const int flags = check(fcntl(fd, F_GETFL), "from_fd");
  check(fcntl(fd, F_SETFL, flags | O_NONBLOCK), "from_fd");
  check(fcntl(fd, F_SETFD, FD_CLOEXEC), "from_fd");
  return Socket(Adopted{fd});
}

Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&& other) noexcept {
  if (this == &other) return *this;
  const Socket old(std::move(*this));
  descriptor_ = std::move(other.descriptor_);
  closed_ = std::move(other.closed_);
  timeout_ = other.timeout_;
  return *this;
}
Socket::~Socket() { close(); }

int Socket::require(const char* call) const {
  if (closed()) fail(EBADF, call);
  return fileno();
}

// These do not refer to the Socket: it may be moved, or closed and destroyed, while they wait.
namespace {

using Shared = std::shared_ptr<detail::SharedDescriptor>;

aio::task<void> bind_to(Shared socket, std::optional<Duration> limit, Address address) {
  const std::string call = "bind to " + address.str();
  if (!socket) fail(EBADF, call.c_str());
  const Address found = co_await detail::address_for(socket, limit, address, call.c_str());
  const Address::Raw raw = found.raw();
  check(::bind(socket->fd(), raw.get(), raw.length), call.c_str());
}

// connect(2) says it of a stream only from the second time on, if the connection was waited for.
bool connected(const detail::SharedDescriptor& socket) noexcept {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  return socket.stream() &&
         ::getpeername(socket.fd(), reinterpret_cast<sockaddr*>(&peer), &length) == 0;
}

aio::task<void> connect_to(Shared socket, std::optional<Duration> limit, Address address) {
  const std::string call = "connect to " + address.str();
  if (!socket) fail(EBADF, call.c_str());
  const detail::CallLimit whole(limit);
  const Address found = co_await detail::address_for(socket, limit, address, call.c_str());
  if (!connected(*socket)) {
    Address begun = std::exchange(socket->connecting, found);
    uvlet::Connect connecting(socket.get(), whole.left(call.c_str()), found, begun == found);
    const int error = co_await std::move(connecting);
    if (error == EALREADY) socket->connecting = std::move(begun);
    if (error != 0) fail(error, call.c_str());
  } else if (socket->connecting != found) {
    fail(EISCONN, call.c_str());
  }
  if (socket->transport()) {
    uvlet::Handshake handshaking(socket.get(), whole.left(call.c_str()));
    co_await std::move(handshaking);
  }
  socket->connecting = Address();
}

aio::task<int> errno_of(aio::task<void> call) {
  try {
    co_await std::move(call);
    co_return 0;
  } catch (const std::system_error& error) {
    if (error.code().category() != std::generic_category()) throw;
    co_return error.code().value();
  }
}

}  // namespace

aio::task<Address> detail::address_for(Shared socket, std::optional<Duration> limit,
                                       Address address, const char* call) {
  if (address.resolved()) co_return address;
  if (const std::optional<Address> number = aio::detail::numeric(address)) co_return *number;
  int family = AF_UNSPEC;
  socklen_t length = sizeof family;
  ::getsockopt(socket->fd(), SOL_SOCKET, SO_DOMAIN, &family, &length);
  auto look_up = aio::detail::resolve(std::move(address), family);
  const auto found = co_await for_writer(std::move(socket), limit, std::move(look_up), call);
  co_return found.front();
}

aio::task<void> Socket::bind_async(Address address) {
  return bind_to(descriptor_, timeout_, std::move(address));
}

void Socket::listen(int backlog) {
  if (::listen(require("listen"), backlog) == 0) return;
  const int error = errno;
  fail(error, ("listen on " + getsockname().str()).c_str());
}

aio::task<void> Socket::connect_async(Address address) {
  return connect_to(descriptor_, timeout_, std::move(address));
}

aio::task<int> Socket::connect_ex_async(Address address) {
  return errno_of(connect_async(std::move(address)));
}

void Socket::shutdown(int how) {
  require("shutdown");
  if (descriptor_->shutdown(how) < 0) descriptor_->fail(errno, "shutdown");
  // A unix socket that is full is not reported as one to write to.
  descriptor_->retry(uvlet::Direction::read);
  descriptor_->retry(uvlet::Direction::write);
}

void Socket::close() noexcept {
  if (!descriptor_) return;
  closed_ = std::move(descriptor_);
  closed_->leave(nullptr);
}

int Socket::detach() noexcept {
  if (!descriptor_) return -1;
  closed_ = std::move(descriptor_);
  return closed_->detach();
}

Socket Socket::dup() const {
  if (descriptor_ && descriptor_->transport())
    throw std::logic_error("dup of a socket whose bytes pass through TLS");
  Socket copy(Adopted{check(fcntl(require("dup"), F_DUPFD_CLOEXEC, 0), "dup")});
  copy.settimeout(timeout_);
  return copy;
}

File Socket::makefile() const {
  require("makefile");
  const auto kind = detail::FileKind::socket;
  File file(std::make_shared<detail::FileState>(descriptor_, kind));
  ++descriptor_->users;
  return file;
}

Address Socket::getsockname() const {
  return name_of(require("getsockname"), ::getsockname, "getsockname");
}

Address Socket::getpeername() const {
  return name_of(require("getpeername"), ::getpeername, "getpeername");
}

void Socket::setsockopt(int level, int name, int value) {
  check(::setsockopt(require("setsockopt"), level, name, &value, sizeof value), "setsockopt");
}

void Socket::setsockopt(int level, int name, std::string_view value) {
  const auto length = static_cast<socklen_t>(value.size());
  check(::setsockopt(require("setsockopt"), level, name, value.data(), length), "setsockopt");
}

int Socket::getsockopt(int level, int name) const {
  int value = 0;
  getsockopt(level, name, &value, sizeof value);
  return value;
}

std::string Socket::getsockopt(int level, int name, std::size_t max) const {
  std::string value(max, '\0');
  value.resize(getsockopt(level, name, value.data(), max));
  return value;
}

std::size_t Socket::getsockopt(int level, int name, void* value, std::size_t max) const {
  auto length = static_cast<socklen_t>(max);
  check(::getsockopt(require("getsockopt"), level, name, value, &length), "getsockopt");
  return length;
}

}  // namespace green
