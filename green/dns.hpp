#pragma once

// Names and addresses, with the names of eventlet.support.greendns. See <aio/getaddrinfo.hpp>.

#include <aio/getaddrinfo.hpp>
#include <green/awaitlet.hpp>

namespace green {

using uvlet::Address;
using uvlet::gaierror;

namespace dns {

// The addresses of a name. Throws gaierror; after `timeout`, with EAI_AGAIN.
// Blocks the green thread. Cancel point.
inline std::vector<Address> getaddrinfo(std::string host, std::uint16_t port,
                                        int family = AF_UNSPEC,
                                        std::optional<Duration> timeout = {}) {
  return detail::drive(aio::getaddrinfo(std::move(host), port, family, timeout));
}
inline aio::task<std::vector<Address>> getaddrinfo_async(std::string host, std::uint16_t port,
                                                         int family = AF_UNSPEC,
                                                         std::optional<Duration> timeout = {}) {
  return aio::getaddrinfo(std::move(host), port, family, timeout);
}

// The names of an address's host and service; `flags` are NI_NAMEREQD and its kin. Throws gaierror.
// Blocks the green thread. Cancel point.
inline std::pair<std::string, std::string> getnameinfo(const Address& address, int flags = 0,
                                                       std::optional<Duration> timeout = {}) {
  return detail::drive(aio::getnameinfo(address, flags, timeout));
}
inline aio::task<std::pair<std::string, std::string>> getnameinfo_async(
    Address address, int flags = 0, std::optional<Duration> timeout = {}) {
  return aio::getnameinfo(std::move(address), flags, timeout);
}

}  // namespace dns
}  // namespace green
