#include <aio/getaddrinfo.hpp>

#include "resolver.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <netdb.h>
#include <system_error>

namespace aio {
namespace {

struct Code {  // of getaddrinfo and getnameinfo
  int eai = 0;
  int error = 0;  // the errno of EAI_SYSTEM

  void set(int result) noexcept {
    eai = result;
    error = errno;
  }
  void check(const std::string& what) const {
    if (eai == EAI_SYSTEM) throw std::system_error(error, std::generic_category(), what);
    if (eai != 0) throw uvlet::gaierror(eai, what);
  }
};

struct AddressLookup final : detail::Lookup {
  void look_up() noexcept override {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    const bool ascii =
        std::all_of(host.begin(), host.end(), [](char c) { return (c & 0x80) == 0; });
    if (!ascii) hints.ai_flags = AI_IDN;
    addrinfo* first = nullptr;
    code.set(::getaddrinfo(host.c_str(), service.c_str(), &hints, &first));
    if (code.eai != 0) return;
    try {
      for (const addrinfo* one = first; one; one = one->ai_next)
        found.push_back(Address::from_sockaddr(one->ai_addr, one->ai_addrlen));
      if (found.empty()) code.eai = EAI_NONAME;
    } catch (...) {
      code.eai = EAI_MEMORY;
    }
    ::freeaddrinfo(first);
  }

  std::string host;
  std::string service;
  int family = AF_UNSPEC;
  Code code;
  std::vector<Address> found;
};

struct NameLookup final : detail::Lookup {
  void look_up() noexcept override {
    char host_text[NI_MAXHOST];
    char service_text[NI_MAXSERV];
    code.set(::getnameinfo(address.get(), address.length, host_text, sizeof host_text, service_text,
                           sizeof service_text, flags));
    if (code.eai != 0) return;
    try {
      host = host_text;
      service = service_text;
    } catch (...) {
      code.eai = EAI_MEMORY;
    }
  }

  Address::Raw address{};
  int flags = 0;
  Code code;
  std::string host;
  std::string service;
};

task<void> run(std::shared_ptr<detail::Lookup> lookup, std::optional<Duration> timeout,
               std::string what) {
  const bool done = co_await detail::LookupWait(std::move(lookup), timeout);
  if (!done) throw uvlet::gaierror(EAI_AGAIN, what, "the look-up timed out");
}

}  // namespace

std::optional<Address> detail::numeric(const Address& address) {
  if (address.resolved()) return address;
  const std::string& host = address.host();
  const std::size_t percent = host.find('%');
  const bool no_such_interface =
      percent != std::string::npos && Address(host.substr(0, percent), 0).family() == AF_INET6;
  if (no_such_interface) throw uvlet::gaierror(EAI_NONAME, host);
  sockaddr_in ip{};
  if (host.find_first_not_of("0123456789abcdefABCDEFxX.") != std::string::npos ||
      inet_aton(host.c_str(), &ip.sin_addr) == 0)
    return {};
  ip.sin_family = AF_INET;
  ip.sin_port = htons(address.port());
  return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&ip), sizeof ip);
}

task<std::vector<Address>> getaddrinfo(std::string host, std::uint16_t port, int family,
                                       std::optional<Duration> timeout) {
  if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6)
    throw uvlet::gaierror(EAI_FAMILY, host);
  const std::optional<Address> address =
      host.empty() ? std::nullopt : detail::numeric(Address(host, port));
  if (address) {
    if (family != AF_UNSPEC && family != address->family())
      throw uvlet::gaierror(EAI_ADDRFAMILY, host);
    std::vector<Address> itself(1, *address);
    co_return itself;
  }
  auto lookup = std::make_shared<AddressLookup>();
  lookup->host = host;
  lookup->service = std::to_string(port);
  lookup->family = family;
  co_await run(lookup, timeout, host);
  lookup->code.check(host);
  co_return std::move(lookup->found);
}

task<std::pair<std::string, std::string>> getnameinfo(Address address, int flags,
                                                      std::optional<Duration> timeout) {
  auto lookup = std::make_shared<NameLookup>();
  lookup->address = address.raw();
  lookup->flags = flags;
  constexpr int numbers = NI_NUMERICHOST | NI_NUMERICSERV;
  if ((flags & numbers) == numbers)
    lookup->look_up();
  else
    co_await run(lookup, timeout, address.str());
  lookup->code.check(address.str());
  co_return std::pair<std::string, std::string>(std::move(lookup->host),
                                                std::move(lookup->service));
}

task<std::vector<Address>> detail::resolve(Address address, int family) {
  if (address.resolved()) {
    std::vector<Address> itself(1, address);
    co_return itself;
  }
  if (address.host().empty()) throw std::invalid_argument("an empty Address: no host, no path");
  co_return co_await getaddrinfo(address.host(), address.port(), family);
}

}  // namespace aio
