#pragma once

// A socket that listens, as servers for coroutines have it.

#include <aio/task.hpp>
#include <uvlet/address.hpp>
#include <uvlet/descriptor.hpp>

#include <memory>

namespace aio::detail {

using uvlet::Address;

// Listens there, non-blocking; the descriptor is the caller's. The file of a unix socket that
// nobody removed is replaced. `shared_port`: others will listen on the same one. Throws
// system_error.
UVLET_API int listen_on(const Address& address, int backlog, bool shared_port = false);

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
