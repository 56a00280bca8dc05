// Datagrams: UDP over both internets, and unix sockets.

#include "sockets.hpp"

#include <aio/gather.hpp>
#include <green/event.hpp>

#include <sys/stat.h>

using green::Address;
using green::Socket;
using test::errno_of;

namespace {

struct UdpPair {
  explicit UdpPair(const std::string& host = "127.0.0.1")
      : a(host == "::1" ? AF_INET6 : AF_INET, SOCK_DGRAM),
        b(host == "::1" ? AF_INET6 : AF_INET, SOCK_DGRAM) {
    a.bind(Address(host, 0));
    b.bind(Address(host, 0));
  }
  Socket a, b;
};

}  // namespace

TEST_CASE("datagrams come with who sent them, over IPv4 and IPv6") {
  for (const std::string host : {"127.0.0.1", "::1"}) {
    UdpPair pair(host);
    CHECK(pair.a.sendto("first", pair.b.getsockname()) == 5);
    CHECK(pair.a.sendto("", pair.b.getsockname()) == 0);
    pair.a.sendto("second", pair.b.getsockname());
    CHECK(pair.b.recvfrom(1024) == std::pair<std::string, Address>("first", pair.a.getsockname()));
    CHECK(pair.b.recvfrom(1024) == std::pair<std::string, Address>("", pair.a.getsockname()));
    const auto [data, from] = pair.b.recvfrom(1024);
    CHECK(data == "second");
    pair.b.sendto("answer", from);
    CHECK(pair.a.recvfrom(1024).first == "answer");
  }
}

TEST_CASE("what does not fit of a datagram is lost, and the next one is whole") {
  UdpPair pair;
  for (const char* data : {"one two", "three", "four", "five"})
    pair.a.sendto(data, pair.b.getsockname());
  CHECK(pair.b.recvfrom(3).first == "one");
  CHECK(pair.b.recvfrom(0) == std::pair<std::string, Address>("", pair.a.getsockname()));
  char buffer[2];
  const auto [bytes, from] = pair.b.recvfrom_into(buffer);
  CHECK(std::string(buffer, bytes) == "fo");
  CHECK(from == pair.a.getsockname());
  const green::Message message = pair.b.recvmsg(3, 0);
  CHECK(message.data == "fiv");
  CHECK((message.flags & MSG_TRUNC) != 0);
  CHECK(message.from == pair.a.getsockname());
}

TEST_CASE("recvfrom waits, and obeys the timeout") {
  UdpPair pair;
  pair.b.settimeout(0.002);
  CHECK(errno_of([&] { pair.b.recvfrom(10); }) == ETIMEDOUT);
  char buffer[4];
  CHECK(errno_of([&] { pair.b.recvfrom_into(buffer); }) == ETIMEDOUT);
  CHECK(errno_of([&] { pair.b.recvmsg(10, 1); }) == ETIMEDOUT);
  pair.b.settimeout(0);
  CHECK(errno_of([&] { pair.b.recvfrom(10); }) == EAGAIN);
  pair.b.settimeout(std::nullopt);
  auto reader = green::spawn([&] { return pair.b.recvfrom(10).first; });
  green::sleep(0.001);
  pair.a.sendto("late", pair.b.getsockname());
  CHECK(reader.wait() == "late");
}

TEST_CASE("a connected datagram socket hears its peer alone, and may be connected anew") {
  UdpPair pair;
  Socket other(AF_INET, SOCK_DGRAM);
  other.bind(test::anywhere());
  pair.a.connect(pair.b.getsockname());
  CHECK(pair.a.getpeername() == pair.b.getsockname());
  pair.a.send("to b");
  CHECK(pair.b.recv(100) == "to b");
  other.sendto("stray", pair.a.getsockname());
  pair.b.sendto("from b", pair.a.getsockname());
  CHECK(pair.a.recvfrom(100) == std::pair<std::string, Address>("from b", pair.b.getsockname()));
  pair.a.connect(other.getsockname());
  pair.a.sendall("to other");
  CHECK(other.recv(100) == "to other");
  const Address gone = pair.b.getsockname();
  pair.b.close();
  pair.a.connect(gone);
  pair.a.send("x");
  CHECK(errno_of([&] { pair.a.recv(1); }) == ECONNREFUSED);
}

TEST_CASE("sendto looks names up, of the socket's own family") {
  UdpPair pair;
  CHECK(pair.a.sendto("hi", Address("localhost", pair.b.getsockname().port())) == 2);
  CHECK(pair.b.recv(10) == "hi");
  CHECK_THROWS_AS(pair.a.sendto("x", Address("nosuch.invalid", 1)), uvlet::gaierror);
}

TEST_CASE("the system's refusals: too long, no address, closed") {
  UdpPair pair;
  CHECK(errno_of([&] { pair.a.sendto(std::string(70'000, 'x'), pair.b.getsockname()); }) ==
        EMSGSIZE);
  CHECK(errno_of([&] { pair.a.send("x"); }) == EDESTADDRREQ);
  pair.a.close();
  CHECK(errno_of([&] { pair.a.sendto("x", pair.b.getsockname()); }) == EBADF);
  CHECK(errno_of([&] { pair.a.recvfrom(1); }) == EBADF);
  auto reader = green::spawn([&] { return errno_of([&] { pair.b.recvfrom(1); }); });
  green::sleep(0.001);
  pair.b.close();
  CHECK(reader.wait() == EBADF);
}

TEST_CASE("recvfrom on a stream gives the bytes, and no address") {
  test::TcpPair pair;
  pair.a.sendall("stream");
  CHECK(pair.b.recvfrom(0).first == "");
  CHECK(pair.b.recvfrom(3) == std::pair<std::string, Address>("str", Address()));
  CHECK(pair.b.recvfrom(100).first == "eam");
  pair.a.close();
  CHECK(pair.b.recvfrom(100).first == "");
}

TEST_CASE("unix datagrams: named, abstract and unnamed peers") {
  const test::Folder folder;
  const std::string name = "uvlet-test-" + std::to_string(getpid());
  for (const Address& where :
       {Address::unix_path(folder / "s"), Address::unix_path(std::string(1, '\0') + name)}) {
    Socket server(AF_UNIX, SOCK_DGRAM), client(AF_UNIX, SOCK_DGRAM);
    server.bind(where);
    CHECK(client.sendto("anonymous", where) == 9);
    auto [data, from] = server.recvfrom(100);
    CHECK(data == "anonymous");
    CHECK(from.host() == "");
    const Address own = Address::unix_path(where.host() + "-client");
    client.bind(own);
    client.sendto("named", where);
    CHECK(server.recvfrom(100) == std::pair<std::string, Address>("named", own));
    server.sendto("back", own);
    CHECK(client.recvfrom(100) == std::pair<std::string, Address>("back", where));
  }
}

TEST_CASE("a unix datagram larger than any buffer of ours is received whole") {
  test::UnixPair pair(SOCK_DGRAM);
  std::string big(150'000, 'x');
  for (std::size_t i = 0; i < big.size(); i += 997) big[i] = static_cast<char>('a' + i % 26);
  for (int way = 0; way < 3; ++way) {
    CHECK(pair.a.send(big) == big.size());
    const std::string got = way == 0   ? pair.b.recv(1 << 20)
                            : way == 1 ? pair.b.recvfrom(1 << 20).first
                                       : pair.b.recvmsg(1 << 20, 0).data;
    CHECK((got == big));
  }
}

TEST_CASE("messages of a SOCK_SEQPACKET keep their bounds, and end") {
  test::UnixPair pair(SOCK_SEQPACKET);
  pair.a.send("one");
  pair.a.send("two");
  CHECK(pair.b.recv(100) == "one");
  CHECK(pair.b.recv(1) == "t");
  pair.a.close();
  CHECK(pair.b.recv(100) == "");
}

TEST_CASE("who sends to a unix peer that is full waits until it has room") {
  const Address where =
      Address::unix_path(std::string(1, '\0') + "uvlet-full-" + std::to_string(getpid()));
  Socket server(AF_UNIX, SOCK_DGRAM), client(AF_UNIX, SOCK_DGRAM);
  server.bind(where);
  client.settimeout(0);
  int queued = 0;
  while (errno_of([&] { client.sendto("x", where); }) == 0) ++queued;
  CHECK(queued > 0);
  CHECK(errno_of([&] { client.sendto("x", where); }) == EAGAIN);
  client.settimeout(0.003);
  CHECK(errno_of([&] { client.sendto("x", where); }) == ETIMEDOUT);
  client.settimeout(std::nullopt);
  const std::uint64_t before = uvlet::Hub::current().stats().polls;
  auto sender = green::spawn([&] { return client.sendto("waited", where); });
  green::sleep(0.05);
  CHECK_FALSE(sender.dead());
  CHECK(uvlet::Hub::current().stats().polls - before < 100);  // it does not spin
  CHECK_THROWS_AS(client.sendto("second", where), std::logic_error);
  for (int i = 0; i < queued; ++i) CHECK(server.recv(10) == "x");
  CHECK(sender.wait() == 6);
  CHECK(server.recv(10) == "waited");
}

TEST_CASE("closing, killing and the peer's end reach who waits for a full unix peer") {
  const Address where =
      Address::unix_path(std::string(1, '\0') + "uvlet-end-" + std::to_string(getpid()));
  Socket server(AF_UNIX, SOCK_DGRAM), client(AF_UNIX, SOCK_DGRAM);
  server.bind(where);
  client.settimeout(0);
  while (errno_of([&] { client.sendto("x", where); }) == 0) continue;
  client.settimeout(std::nullopt);
  const int before = test::open_fds();
  auto killed = green::spawn([&] { client.sendto("x", where); });
  green::sleep(0.001);
  killed.kill();
  CHECK(killed.dead());
  Socket closing = client.dup();
  auto closed = green::spawn([&] { return errno_of([&] { closing.sendto("x", where); }); });
  green::sleep(0.001);
  closing.close();
  CHECK(closed.wait() == EBADF);
  auto refused = green::spawn([&] { return errno_of([&] { client.sendto("x", where); }); });
  green::sleep(0.001);
  CHECK(test::open_fds() > before);
  server.close();
  CHECK(refused.wait() == ECONNREFUSED);
  green::sleep(0.001);
  CHECK(test::open_fds() == before - 1);
}

TEST_CASE("every call on datagrams has a twin for coroutines") {
  UdpPair pair;
  auto receives = [](Socket& socket) -> aio::task<std::string> {
    auto [first, from] = co_await socket.recvfrom_async(100);
    char buffer[10];
    auto [bytes, from_too] = co_await socket.recvfrom_into_async(buffer);
    CHECK(from == from_too);
    const green::Message message = co_await socket.recvmsg_async(100, 0);
    co_return first + std::string(buffer, bytes) + message.data;
  };
  auto sends = [](Socket& socket, Address to) -> aio::task<std::size_t> {
    std::size_t sent = co_await socket.sendto_async("one", to);
    sent += co_await socket.sendto_async("two", to);
    co_return sent + co_await socket.sendmsg_async("three", {}, to);
  };
  auto [got, sent] = aio::run(aio::gather(receives(pair.b), sends(pair.a, pair.b.getsockname())));
  CHECK(got == "onetwothree");
  CHECK(sent == 11);
}

TEST_CASE("ten thousand datagrams between two green threads, in order, none lost") {
  test::UnixPair pair(SOCK_DGRAM);
  auto sender = green::spawn([&] {
    for (int i = 0; i < 10'000; ++i) pair.a.send(std::to_string(i));
  });
  for (int i = 0; i < 10'000; ++i) REQUIRE(pair.b.recvfrom(100).first == std::to_string(i));
  sender.wait();
}

TEST_CASE("options that are bytes and structs") {
  Socket socket(AF_INET, SOCK_DGRAM);
  CHECK(socket.getsockopt(SOL_SOCKET, SO_REUSEADDR) == 0);
  CHECK(socket.getsockopt(SOL_SOCKET, SO_REUSEADDR, 1) == std::string(1, '\0'));
  socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1);
  CHECK(socket.getsockopt(SOL_SOCKET, SO_REUSEADDR) == 1);
  test::TcpPair pair;
  pair.a.setsockopt(SOL_SOCKET, SO_LINGER, linger{1, 7});
  CHECK(pair.a.getsockopt<linger>(SOL_SOCKET, SO_LINGER).l_linger == 7);
  const timeval limit{3, 0};
  pair.a.setsockopt(SOL_SOCKET, SO_RCVTIMEO,
                    std::string_view(reinterpret_cast<const char*>(&limit), sizeof limit));
  CHECK(pair.a.getsockopt<timeval>(SOL_SOCKET, SO_RCVTIMEO).tv_sec == 3);
  CHECK(pair.a.getsockopt(SOL_SOCKET, SO_RCVTIMEO, 100).size() == sizeof limit);
  CHECK(errno_of([&] { pair.a.setsockopt(SOL_SOCKET, SO_LINGER, std::string_view("x")); }) ==
        EINVAL);
  pair.a.setsockopt(SOL_SOCKET, SO_LINGER, linger{1, 0});
  pair.a.close();
  CHECK(errno_of([&] { pair.b.recv(1); }) == ECONNRESET);
}
