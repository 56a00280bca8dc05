#pragma once

#include <uvlet/config.hpp>

#include <cstdint>
#include <string>
#include <sys/socket.h>

namespace uvlet::inline UVLET_ABI {

// Where a socket is, or shall be: a host and a port, or the path of a unix socket. Making one never
// blocks: a name is resolved when it is connected or bound to.
class UVLET_API Address {
 public:
  Address() = default;  // of no family: what an unbound socket answers
  // `host` is a numeric IPv4 or IPv6 address, a name, or "" for "0.0.0.0": every interface, by
  // IPv4; "::" is every interface by both. "fe80::1%eth0" is by that interface, "fe80::1%2" by the
  // one of that number: host() has its name, if it has one. Throws invalid_argument for a NUL byte.
  Address(std::string host, std::uint16_t port);
  // Throws invalid_argument for a path that does not fit a sockaddr_un (107 bytes), or has a NUL
  // byte in it. One that starts with '\0' is in Linux' abstract name space, may have more of them,
  // and 108 bytes.
  static Address unix_path(std::string path);
  static Address from_sockaddr(const sockaddr* address, socklen_t length);

  // As the constructor takes it: "fe80::1%eth0" for an IPv6 address with its interface. The path,
  // for a unix socket.
  const std::string& host() const noexcept { return host_; }
  std::uint16_t port() const noexcept { return port_; }
  // "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "unix:/path"; a NUL byte is shown as \0.
  std::string str() const;
  // AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC while it is a name.
  int family() const noexcept { return family_; }
  bool resolved() const noexcept { return family_ != AF_UNSPEC; }

  friend bool operator==(const Address&, const Address&) = default;

  // What the system calls take. Throws logic_error for a name.
  struct Raw {
    sockaddr_storage storage;
    socklen_t length;
    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  };
  Raw raw() const;

 private:
  std::string host_;
  std::uint16_t port_ = 0;
  int family_ = AF_UNSPEC;
  std::uint32_t scope_ = 0;  // IPv6: the interface, which host_ ends with
};

}  // namespace uvlet::inline UVLET_ABI
