#include <aio/getaddrinfo.hpp>
#include <aio/uv_request.hpp>

#include <netdb.h>

namespace aio {
namespace {

// libuv's number for a failed look-up as getaddrinfo's own; 0 for one that is an errno.
int eai_of(int uv_error) noexcept {
  switch (uv_error) {
    case UV_EAI_ADDRFAMILY: return EAI_ADDRFAMILY;
    case UV_EAI_AGAIN: return EAI_AGAIN;
    case UV_EAI_BADFLAGS: return EAI_BADFLAGS;
    case UV_EAI_FAIL: return EAI_FAIL;
    case UV_EAI_FAMILY: return EAI_FAMILY;
    case UV_EAI_MEMORY: return EAI_MEMORY;
    case UV_EAI_NODATA: return EAI_NODATA;
    case UV_EAI_NONAME: return EAI_NONAME;
    case UV_EAI_OVERFLOW: return EAI_OVERFLOW;
    case UV_EAI_SERVICE: return EAI_SERVICE;
    case UV_EAI_SOCKTYPE: return EAI_SOCKTYPE;
    default: return 0;
  }
}

task<std::vector<Address>> look_up(std::string host, std::uint16_t port, int family) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  const std::string service = std::to_string(port);
  auto start = [&](uv_loop_t* loop, uv_getaddrinfo_t* request, auto callback) {
    return uv_getaddrinfo(loop, request, callback, host.c_str(), service.c_str(), &hints);
  };
  try {
    const auto found = co_await uv_request<uv_getaddrinfo_t>(std::move(start));
    std::vector<Address> addresses;
    for (const addrinfo* one = found->addrinfo; one; one = one->ai_next)
      addresses.push_back(Address::from_sockaddr(one->ai_addr, one->ai_addrlen));
    if (addresses.empty()) throw uvlet::gaierror(EAI_NONAME, host);
    co_return addresses;
  } catch (const std::system_error& error) {
    const int code = eai_of(-error.code().value());
    if (code == 0) throw;
    throw uvlet::gaierror(code, host);
  }
}

}  // namespace

task<std::vector<Address>> getaddrinfo(std::string host, std::uint16_t port) {
  return look_up(std::move(host), port, AF_UNSPEC);
}

task<std::vector<Address>> detail::resolve(Address address, int family) {
  if (address.resolved()) {
    std::vector<Address> itself(1, address);
    co_return itself;
  }
  if (address.host().empty()) throw std::invalid_argument("an empty Address: no host, no path");
  co_return co_await look_up(address.host(), address.port(), family);
}

}  // namespace aio
