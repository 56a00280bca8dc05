#pragma once

// A socket that listens, as servers for coroutines have it.

#include <aio/task.hpp>
#include <uvlet/address.hpp>
#include <uvlet/descriptor.hpp>

#include <memory>

namespace aio::detail {

using uvlet::Address;

// A small message does not wait for those before it to be acknowledged. No TCP: no matter.
UVLET_API void send_at_once(int fd) noexcept;

// Listens there, non-blocking; the descriptor is the caller's. The file of a unix socket that
// nobody removed is replaced. `reuse_port`: as of start_server. Throws system_error.
UVLET_API int listen_on(const Address& address, int backlog, bool reuse_port);

// Where a socket is bound. Throws system_error.
UVLET_API Address name_of(int fd);

struct Accepted {
  int fd = -1;  // the caller's; -1: the listener was closed
  Address::Raw peer{};
  std::unique_ptr<uvlet::Transport> transport;  // null: the listener has none
};

// The next connection. Waits out what will pass. Throws system_error.
UVLET_API task<Accepted> accept_patiently(uvlet::Descriptor& listener);

}  // namespace aio::detail
