#include <uvlet/address.hpp>
#include <uvlet/c_string.hpp>

#include <arpa/inet.h>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>
#include <optional>
#include <stdexcept>
#include <sys/un.h>

namespace uvlet::inline UVLET_ABI {
namespace {

// The interface's number, if it has no name.
std::string with_scope(std::string ip, std::uint32_t scope) {
  if (scope == 0) return ip;
  char name[IF_NAMESIZE];
  return ip + "%" + (if_indextoname(scope, name) ? name : std::to_string(scope));
}

// The name's or the number's; none for a name that no interface has.
std::optional<std::uint32_t> scope_of(const std::string& interface) {
  std::uint32_t number = 0;
  const char* const end = interface.data() + interface.size();
  const auto [stop, error] = std::from_chars(interface.data(), end, number);
  if (error == std::errc() && stop == end) return number;
  number = if_nametoindex(interface.c_str());
  return number != 0 ? std::optional(number) : std::nullopt;
}

}  // namespace

Address::Address(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {
  c_string(host_, "the host of an Address");
  if (host_.empty()) host_ = "0.0.0.0";
  unsigned char bytes[sizeof(in6_addr)];
  const std::size_t percent = host_.find('%');
  if (inet_pton(AF_INET, host_.c_str(), bytes) == 1) {
    family_ = AF_INET;
  } else if (const std::string ip = host_.substr(0, percent);
             inet_pton(AF_INET6, ip.c_str(), bytes) == 1) {
    const auto scope = percent == std::string::npos ? 0 : scope_of(host_.substr(percent + 1));
    if (!scope) return;
    family_ = AF_INET6;
    scope_ = *scope;
    host_ = with_scope(ip, scope_);
  }
}

Address Address::unix_path(std::string path) {
  constexpr std::size_t room = sizeof(sockaddr_un::sun_path);
  const bool abstract = !path.empty() && path[0] == '\0';
  const std::size_t longest = abstract ? room : room - 1;
  if (path.empty() || path.size() > longest)
    throw std::invalid_argument("the path of a unix socket has 1 to " + std::to_string(longest) +
                                " bytes, this one has " + std::to_string(path.size()) + ": '" +
                                show_nul(path) + "'");
  if (!abstract) c_string(path, "the path of a unix socket");
  Address address;
  address.host_ = std::move(path);
  address.family_ = AF_UNIX;
  return address;
}

Address Address::from_sockaddr(const sockaddr* from, socklen_t length) {
  Address address;
  char text[INET6_ADDRSTRLEN];
  if (from->sa_family == AF_INET) {
    auto* ip = reinterpret_cast<const sockaddr_in*>(from);
    address.host_ = inet_ntop(AF_INET, &ip->sin_addr, text, sizeof text);
    address.port_ = ntohs(ip->sin_port);
  } else if (from->sa_family == AF_INET6) {
    auto* ip = reinterpret_cast<const sockaddr_in6*>(from);
    address.scope_ = ip->sin6_scope_id;
    address.host_ =
        with_scope(inet_ntop(AF_INET6, &ip->sin6_addr, text, sizeof text), address.scope_);
    address.port_ = ntohs(ip->sin6_port);
  } else if (from->sa_family == AF_UNIX) {
    auto* path = reinterpret_cast<const sockaddr_un*>(from)->sun_path;
    std::size_t size = length - offsetof(sockaddr_un, sun_path);
    if (size > 0 && path[0] != '\0') size = strnlen(path, size);
    address.host_.assign(path, size);
  }
  address.family_ = from->sa_family;
  return address;
}

std::string Address::str() const {
  if (family_ == AF_UNIX) return "unix:" + show_nul(host_);
  const std::string port = std::to_string(port_);
  return family_ == AF_INET6 ? "[" + host_ + "]:" + port : host_ + ":" + port;
}

Address::Raw Address::raw() const {
  Raw raw{};
  if (family_ == AF_INET) {
    auto* ip = reinterpret_cast<sockaddr_in*>(&raw.storage);
    ip->sin_family = AF_INET;
    ip->sin_port = htons(port_);
    inet_pton(AF_INET, host_.c_str(), &ip->sin_addr);
    raw.length = sizeof *ip;
  } else if (family_ == AF_INET6) {
    auto* ip = reinterpret_cast<sockaddr_in6*>(&raw.storage);
    ip->sin6_family = AF_INET6;
    ip->sin6_port = htons(port_);
    inet_pton(AF_INET6, host_.substr(0, host_.find('%')).c_str(), &ip->sin6_addr);
    ip->sin6_scope_id = scope_;
    raw.length = sizeof *ip;
  } else if (family_ == AF_UNIX) {
    auto* path = reinterpret_cast<sockaddr_un*>(&raw.storage);
    path->sun_family = AF_UNIX;
    std::memcpy(path->sun_path, host_.data(), host_.size());
    const std::size_t end = host_.empty() || host_[0] == '\0' ? 0 : 1;
    raw.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + host_.size() + end);
  } else {
    throw std::logic_error("the address " + str() + " is a name that was not resolved");
  }
  return raw;
}

}  // namespace uvlet::inline UVLET_ABI
