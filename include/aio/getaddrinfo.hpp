#pragma once

#include <aio/task.hpp>
#include <uvlet/address.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace aio {

using uvlet::Address;

// The addresses of a name, in the system's order of preference; looked up on a thread of libuv's
// pool. Throws uvlet::gaierror for a name that has none.
UVLET_API task<std::vector<Address>> getaddrinfo(std::string host, std::uint16_t port);

namespace detail {

// An address as it is, a name looked up. Never empty. AF_UNSPEC: of any family.
UVLET_API task<std::vector<Address>> resolve(Address address, int family = AF_UNSPEC);

}  // namespace detail
}  // namespace aio
