#include <uvlet/address.hpp>

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/un.h>
#include <utility>

using uvlet::Address;

namespace {

Address round_trip(const Address& address) {
  const Address::Raw raw = address.raw();
  return Address::from_sockaddr(raw.get(), raw.length);
}

}  // namespace

TEST_CASE("an IPv4 address has its host, its port and both as text") {
  const Address address("127.0.0.1", 8080);
  CHECK(address.host() == "127.0.0.1");
  CHECK(address.port() == 8080);
  CHECK(address.str() == "127.0.0.1:8080");
  CHECK(address.family() == AF_INET);
  CHECK(address.resolved());
}

TEST_CASE("an IPv6 address is put into brackets") {
  const Address address("::1", 80);
  CHECK(address.host() == "::1");
  CHECK(address.str() == "[::1]:80");
  CHECK(address.family() == AF_INET6);
}

TEST_CASE("a name is kept as it is: making an Address never looks it up") {
  const Address address("nosuch.invalid", 1);
  CHECK(address.host() == "nosuch.invalid");
  CHECK(address.str() == "nosuch.invalid:1");
  CHECK(!address.resolved());
  CHECK_THROWS_AS(address.raw(), std::logic_error);
}

TEST_CASE("what only looks like a number is a name") {
  for (const char* text : {"1.2.3", "1.2.3.4.5", "256.0.0.1", "::g", "127.0.0.1 "})
    CHECK(!Address(text, 0).resolved());
}

TEST_CASE("no host means every interface") {
  const Address address("", 0);
  CHECK(address.resolved());
  const Address::Raw raw = address.raw();
  auto* ip = reinterpret_cast<const sockaddr_in*>(raw.get());
  CHECK(ip->sin_family == AF_INET);
  CHECK(ip->sin_addr.s_addr == htonl(INADDR_ANY));
}

TEST_CASE("a NUL byte in a host or a path is invalid_argument") {
  CHECK_THROWS_WITH_AS(Address(std::string("localhost\0.evil", 15), 80),
                       "the host of an Address has a NUL byte in it: 'localhost\\0.evil'",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(Address::unix_path(std::string("/tmp/a\0b", 8)),
                       "the path of a unix socket has a NUL byte in it: '/tmp/a\\0b'",
                       std::invalid_argument);
  CHECK(Address::unix_path(std::string("\0a\0b", 4)).host().size() == 4);
}

TEST_CASE("a unix path is an address too") {
  const Address address = Address::unix_path("/tmp/socket");
  CHECK(address.host() == "/tmp/socket");
  CHECK(address.port() == 0);
  CHECK(address.str().find("/tmp/socket") != std::string::npos);
  CHECK(address.family() == AF_UNIX);
  CHECK(address.resolved());
}

TEST_CASE("a unix path of 107 bytes fits, one of 108 and an empty one do not") {
  const std::string longest(107, 'a');
  CHECK(round_trip(Address::unix_path(longest)).host() == longest);
  CHECK_THROWS_AS(Address::unix_path(std::string(108, 'a')), std::invalid_argument);
  CHECK_THROWS_AS(Address::unix_path(""), std::invalid_argument);
}

TEST_CASE("a path in the abstract name space keeps its NUL byte") {
  const std::string name("\0abstract", 9);
  const Address address = Address::unix_path(name);
  CHECK(address.raw().length == offsetof(sockaddr_un, sun_path) + 9);
  CHECK(round_trip(address) == address);
  CHECK(address.str() == "unix:\\0abstract");
  const std::string longest = std::string(1, '\0') + std::string(107, 'a');
  CHECK(round_trip(Address::unix_path(longest)) == Address::unix_path(longest));
  CHECK_THROWS_WITH_AS(Address::unix_path(longest + 'a'),
                       doctest::Contains("1 to 108 bytes, this one has 109: '\\0aaa"),
                       std::invalid_argument);
}

TEST_CASE("addresses survive the way through a sockaddr") {
  for (const Address& address :
       {Address("10.1.2.3", 65535), Address("fe80::1", 0), Address::unix_path("/a b/c")})
    CHECK(round_trip(address) == address);
}

TEST_CASE("the port is in network byte order in the sockaddr") {
  const Address::Raw raw = Address("127.0.0.1", 0x1234).raw();
  CHECK(reinterpret_cast<const sockaddr_in*>(raw.get())->sin_port == htons(0x1234));
  CHECK(raw.length == sizeof(sockaddr_in));
}

TEST_CASE("an unnamed unix socket has an empty path") {
  sockaddr_un unnamed{};
  unnamed.sun_family = AF_UNIX;
  const Address address =
      Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&unnamed), sizeof(sa_family_t));
  CHECK(address.host().empty());
  CHECK(address.family() == AF_UNIX);
}

TEST_CASE("a scoped IPv6 address keeps its interface") {
  sockaddr_in6 link_local{};
  link_local.sin6_family = AF_INET6;
  link_local.sin6_addr.s6_addr[0] = 0xfe;
  link_local.sin6_addr.s6_addr[1] = 0x80;
  link_local.sin6_scope_id = 3;
  const Address address =
      Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&link_local), sizeof link_local);
  const Address::Raw raw = address.raw();
  CHECK(reinterpret_cast<const sockaddr_in6*>(raw.get())->sin6_scope_id == 3);
  CHECK(round_trip(address) == address);
  link_local.sin6_scope_id = if_nametoindex("lo");
  link_local.sin6_addr.s6_addr[15] = 1;
  const Address on_loopback =
      Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&link_local), sizeof link_local);
  CHECK(on_loopback.host() == "fe80::1%lo");
  CHECK(on_loopback.str() == "[fe80::1%lo]:" + std::to_string(on_loopback.port()));
  CHECK(round_trip(on_loopback) == on_loopback);
}

TEST_CASE("an IPv6 address with its interface is made of text, and is the same again") {
  const std::uint32_t lo = if_nametoindex("lo");
  const Address by_name("fe80::1%lo", 80);
  const Address::Raw raw = by_name.raw();
  const auto* ip = reinterpret_cast<const sockaddr_in6*>(raw.get());
  CHECK(by_name.resolved());
  CHECK(ip->sin6_scope_id == lo);
  CHECK(ip->sin6_addr.s6_addr[15] == 1);
  CHECK(Address("fe80::1%" + std::to_string(lo), 80) == by_name);
  for (const char* host : {"fe80::1%lo", "fe80::1%4000000000", "fe80::1"}) {
    const Address address(host, 80);
    CHECK(address.host() == host);
    CHECK(round_trip(address) == address);
    CHECK(Address(address.host(), address.port()) == address);
  }
  CHECK(by_name != Address("fe80::1", 80));
  CHECK(Address("fe80::1%0", 80) == Address("fe80::1", 80));
  for (const char* name : {"fe80::1%", "fe80::1%no-such-one", "fe80::1%4294967296", "127.0.0.1%lo"})
    CHECK(!Address(name, 80).resolved());
}

TEST_CASE("addresses are values: copied, moved, compared") {
  const Address address("127.0.0.1", 1);
  Address copy = address;
  CHECK(copy == address);
  CHECK(copy != Address("127.0.0.1", 2));
  CHECK(copy != Address("127.0.0.2", 1));
  CHECK(Address("a", 1) != Address::unix_path("a"));
  const Address moved = std::move(copy);
  CHECK(moved == address);
}

TEST_CASE("an Address of no family is not resolved") {
  const Address none;
  CHECK(!none.resolved());
  CHECK(none.port() == 0);
  CHECK_THROWS_AS(none.raw(), std::logic_error);
}

TEST_CASE("a port number may be any of 65536") {
  CHECK(Address("127.0.0.1", 0).port() == 0);
  CHECK(Address("127.0.0.1", 65535).str() == "127.0.0.1:65535");
}
