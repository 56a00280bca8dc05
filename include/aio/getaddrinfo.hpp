#pragma once

#include <aio/task.hpp>
#include <uvlet/address.hpp>
#include <uvlet/duration.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace aio {

using uvlet::Address;
using uvlet::Duration;

// The addresses of a name, of one family or of any, in the system's order of preference. Throws
// uvlet::gaierror for a name that has none, and with EAI_AGAIN after `timeout`.
//
// Names are looked up on OS threads of the library's own, up to 128, which come when needed: those
// that stall keep nothing else waiting, neither in this process nor its end. Cancelling ends the
// wait at once. What is an address already needs no thread.
UVLET_API task<std::vector<Address>> getaddrinfo(std::string host, std::uint16_t port,
                                                 int family = AF_UNSPEC,
                                                 std::optional<Duration> timeout = {});

// The names of an address's host and service; `flags` are getnameinfo's own (NI_NAMEREQD, ...).
// Throws gaierror as above, logic_error for an address that is a name.
UVLET_API task<std::pair<std::string, std::string>> getnameinfo(
    Address address, int flags = 0, std::optional<Duration> timeout = {});

namespace detail {

// What is an address already, in any of its forms: "127.0.0.1", "127.1", "::1", "fe80::1%eth0".
// Nothing: a name. Throws gaierror for an unknown interface.
UVLET_API std::optional<Address> numeric(const Address& address);

// An address as it is, a name looked up. Never empty. AF_UNSPEC: of any family.
UVLET_API task<std::vector<Address>> resolve(Address address, int family = AF_UNSPEC);

}  // namespace detail
}  // namespace aio
