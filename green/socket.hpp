#pragma once

#include <aio/getaddrinfo.hpp>
#include <green/awaitlet.hpp>
#include <green/file.hpp>
#include <green/message.hpp>
#include <green/shared_descriptor.hpp>
#include <green/ssl.hpp>
#include <uvlet/address.hpp>
#include <uvlet/connect.hpp>
#include <uvlet/descriptor.hpp>
#include <uvlet/transfer.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <type_traits>
#include <utility>

namespace green {

using uvlet::Address;
class Socket;

namespace detail {

// recv: up to `max` bytes; "" at the end of the stream.
class UVLET_API Recv final : public uvlet::Operation<Recv, uvlet::Receive> {
 public:
  Recv(uvlet::Descriptor* descriptor, std::optional<Duration> limit, std::size_t max) noexcept
      : Operation(descriptor, limit, max) {}
  Recv(Recv&&) = default;
  std::string result();

 private:
  std::size_t wanted() const noexcept override;
  void received(const char* data, std::size_t bytes) override { data_.assign(data, bytes); }
  std::string data_;
};

class UVLET_API RecvInto final : public uvlet::Operation<RecvInto, uvlet::Receive> {
 public:
  RecvInto(uvlet::Descriptor* descriptor, std::optional<Duration> limit,
           std::span<char> buffer) noexcept
      : Operation(descriptor, limit, buffer.size(), buffer.data()) {}
  RecvInto(RecvInto&&) = default;
  std::size_t result();

 private:
  void received(const char*, std::size_t bytes) noexcept override { received_ = bytes; }
  std::size_t received_ = 0;
};

// send: as much as fits at once, or, with `all`, everything.
class UVLET_API Send final : public uvlet::Operation<Send, uvlet::Send> {
 public:
  Send(uvlet::Descriptor* descriptor, std::optional<Duration> limit, std::string_view data,
       bool all) noexcept
      : Operation(descriptor, limit), left_(data), all_(all) {}
  Send(Send&&) = default;
  std::size_t result();

 private:
  std::string_view left() const noexcept override { return left_; }
  void sent(std::size_t bytes) noexcept override;
  bool all_sent() const noexcept override { return taken_; }
  std::string_view left_;
  std::size_t sent_ = 0;
  bool all_;
  bool taken_ = false;  // all that is to be sent
};

class UVLET_API Accept final : public uvlet::Operation<Accept, uvlet::IoWait> {
 public:
  Accept(uvlet::Descriptor* descriptor, std::optional<Duration> limit) noexcept
      : Operation(descriptor, uvlet::Direction::read, limit) {}
  Accept(Accept&&) = default;
  ~Accept();
  std::pair<Socket, Address> result();

 private:
  bool attempt() noexcept override;
  int accepted_ = -1;
  std::unique_ptr<uvlet::Transport> transport_;  // the connection's, of a listener that has one
  Address peer_;
};

}  // namespace detail

// A socket whose calls block the green thread, never the hub: one reader and one writer at a time.
// Move-only; closed by the destructor. After close, detach or a move fileno() is -1 and calls fail
// with EBADF. Failures are system_error with the errno. Every blocking call obeys settimeout, the
// look-up of a name in it included, and has a twin x_async. Whoever waits in a Socket that is
// closed or destroyed gets EBADF. Source: eventlet.green.socket.
class UVLET_API Socket {
 public:
  explicit Socket(int family = AF_INET, int type = SOCK_STREAM, int protocol = 0);
  // Takes over an open socket, and makes it non-blocking.
  static Socket from_fd(int fd);
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket();

  // A name is looked up first, as it is by whoever connects or sends to one: in the place of the
  // writer. Blocks the green thread. Cancel point.
  void bind(const Address& address) { detail::drive(bind_async(address)); }
  aio::task<void> bind_async(Address address);
  void listen(int backlog = 128);

  // The next connection, and who made it; those that failed meanwhile are passed over.
  // Blocks the green thread. Cancel point.
  std::pair<Socket, Address> accept() { return uvlet::block(accept_async()); }
  detail::Accept accept_async() { return {descriptor_.get(), timeout_}; }

  // Throws system_error, EISCONN for a stream that is connected, or gaierror for an unknown name.
  // Cut short, it may be called again with the same address, and goes on; EALREADY is for another.
  // Blocks the green thread. Cancel point.
  void connect(const Address& address) { detail::drive(connect_async(address)); }
  aio::task<void> connect_async(Address address);
  // The errno, 0 when connected. Blocks the green thread. Cancel point.
  int connect_ex(const Address& address) { return detail::drive(connect_ex_async(address)); }
  aio::task<int> connect_ex_async(Address address);

  // What there is, up to `max` bytes; "" at the end of the stream, at once for max 0. ECONNRESET on
  // a reset. Blocks the green thread. Cancel point.
  std::string recv(std::size_t max) { return uvlet::block(recv_async(max)); }
  detail::Recv recv_async(std::size_t max) { return {descriptor_.get(), timeout_, max}; }
  // The same into memory of the caller's; gives the number of bytes.
  // Blocks the green thread. Cancel point.
  std::size_t recv_into(std::span<char> buffer) { return uvlet::block(recv_into_async(buffer)); }
  detail::RecvInto recv_into_async(std::span<char> buffer) {
    return {descriptor_.get(), timeout_, buffer};
  }

  // As much as fits at once; gives the number of bytes. Never raises SIGPIPE.
  // Blocks the green thread. Cancel point.
  std::size_t send(std::string_view data) { return uvlet::block(send_async(data)); }
  detail::Send send_async(std::string_view data) {
    return {descriptor_.get(), timeout_, data, false};
  }
  // All of it. An interrupt leaves it unknown how much was sent.
  // Blocks the green thread. Cancel point.
  void sendall(std::string_view data) { uvlet::block(sendall_async(data)); }
  detail::Send sendall_async(std::string_view data) {
    return {descriptor_.get(), timeout_, data, true};
  }

  // A message to `to`, whose name is looked up; gives the number of bytes.
  // Blocks the green thread. Cancel point.
  std::size_t sendto(std::string_view data, const Address& to) {
    return detail::drive(sendto_async(data, to));
  }
  aio::task<std::size_t> sendto_async(std::string_view data, Address to) {
    return detail::send_message(descriptor_, timeout_, data, std::move(to));
  }
  // A message of up to `max` bytes, of which the rest is lost, and who sent it; a stream has no
  // sender. Blocks the green thread. Cancel point.
  std::pair<std::string, Address> recvfrom(std::size_t max) {
    return uvlet::block(recvfrom_async(max));
  }
  detail::RecvFrom recvfrom_async(std::size_t max) { return {descriptor_.get(), timeout_, max}; }
  // The same into memory of the caller's. Blocks the green thread. Cancel point.
  std::pair<std::size_t, Address> recvfrom_into(std::span<char> buffer) {
    return uvlet::block(recvfrom_into_async(buffer));
  }
  detail::RecvFromInto recvfrom_into_async(std::span<char> buffer) {
    return {descriptor_.get(), timeout_, buffer};
  }

  // A message with descriptors, up to 253, for the process at the other end of a unix socket. They
  // stay the caller's. Throws invalid_argument for more, for some without data in a stream, and for
  // some on a socket of another family.
  // Blocks the green thread. Cancel point.
  std::size_t sendmsg(std::string_view data, std::span<const int> fds,
                      std::optional<Address> to = {}) {
    return detail::drive(sendmsg_async(data, fds, std::move(to)));
  }
  aio::task<std::size_t> sendmsg_async(std::string_view data, std::span<const int> fds,
                                       std::optional<Address> to = {}) {
    return detail::send_message(descriptor_, timeout_, data, std::move(to), fds);
  }
  // A message, and up to `max_fds` descriptors that came with it. What did not fit is lost, and
  // none is left open. Blocks the green thread. Cancel point.
  Message recvmsg(std::size_t max, std::size_t max_fds) {
    return uvlet::block(recvmsg_async(max, max_fds));
  }
  detail::RecvMessage recvmsg_async(std::size_t max, std::size_t max_fds) {
    return {descriptor_.get(), timeout_, max, max_fds};
  }

  // Sends `count` bytes of an open file from `offset` on, by default all; gives the number of
  // bytes. The file's position stays. Of what has none, a pipe, it sends what comes. An interrupt
  // leaves it unknown how much was sent. Blocks the green thread. Cancel point.
  std::size_t sendfile(int file, std::size_t offset = 0, std::optional<std::size_t> count = {}) {
    return detail::drive(sendfile_async(file, offset, count));
  }
  aio::task<std::size_t> sendfile_async(int file, std::size_t offset = 0,
                                        std::optional<std::size_t> count = {});

  // Reads and writes this socket through buffers: see File.
  File makefile() const;

  // ETIMEDOUT on each call that waits longer; zero: EAGAIN where it would wait; nullopt: for ever.
  void settimeout(std::optional<Duration> timeout) noexcept {
    timeout_ = timeout;
    if (descriptor_) descriptor_->timeout = timeout;
  }
  std::optional<Duration> gettimeout() const noexcept { return timeout_; }

  // SHUT_RD, SHUT_WR or SHUT_RDWR: who waits in that direction sees it at once.
  void shutdown(int how);
  // Wakes whoever is blocked in it with EBADF; the number is free when it returns, or, if there are
  // Files, when the last of them is closed. Never blocks.
  void close() noexcept;
  bool closed() const noexcept { return fileno() < 0; }
  int fileno() const noexcept { return descriptor_ ? descriptor_->fd() : -1; }
  // Its readiness, and the way of its bytes. Null when closed, and after a move.
  uvlet::Descriptor* descriptor() const noexcept { return descriptor_.get(); }
  // The descriptor, open, is the caller's; Files of it are closed.
  int detach() noexcept;
  Socket dup() const;  // throws logic_error for TLS

  Address getsockname() const;
  Address getpeername() const;
  void setsockopt(int level, int name, int value);
  int getsockopt(int level, int name) const;
  // Options that are bytes, and structs: setsockopt(SOL_SOCKET, SO_LINGER, linger{1, 0}).
  void setsockopt(int level, int name, std::string_view value);
  std::string getsockopt(int level, int name, std::size_t max) const;
  template <class T>
  requires std::is_class_v<T> && std::is_trivially_copyable_v<T> &&
      (!std::is_convertible_v<const T&, std::string_view>)void setsockopt(int level, int name,
                                                                          const T& value) {
    setsockopt(level, name, std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  }
  template <class T>
  T getsockopt(int level, int name) const {
    T value{};
    getsockopt(level, name, &value, sizeof value);
    return value;
  }

  // For the rest of the library; null: closed, or moved from.
  const std::shared_ptr<detail::SharedDescriptor>& shared() const noexcept { return descriptor_; }

 private:
  struct Adopted {
    int fd;
  };
  explicit Socket(Adopted adopted);
  int require(const char* call) const;
  std::size_t getsockopt(int level, int name, void* value, std::size_t max) const;
  friend class detail::Accept;

  std::shared_ptr<detail::SharedDescriptor> descriptor_;  // null: closed, or moved from
  std::shared_ptr<detail::SharedDescriptor> closed_;      // for waits that have not begun
  std::optional<Duration> timeout_;
};

}  // namespace green
