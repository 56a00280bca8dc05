// What errors say: the call, what it was about, and the rule.

#include "../fake_resolver.hpp"
#include "sockets.hpp"

#include <aio/stream.hpp>
#include <aio/subprocess.hpp>
#include <green/dns.hpp>
#include <green/stream_server.hpp>
#include <green/subprocess.hpp>
#include <green/trampoline.hpp>

#include <cstdint>
#include <functional>
#include <netdb.h>
#include <stdexcept>

using green::Address;
using green::Popen;
using green::PopenOptions;
using green::Socket;

namespace {

struct Case {
  std::string text;  // what() holds it
  std::function<void()> call;
};

template <class E>
void expect(const std::vector<Case>& cases) {
  for (const Case& each : cases)
    CHECK_THROWS_WITH_AS(each.call(), doctest::Contains(each.text.c_str()), E);
}

PopenOptions with_out(int out) {
  PopenOptions options;
  options.out = out;
  return options;
}

}  // namespace

TEST_CASE("failures of sockets name the call and the address") {
  Socket closed = green::listen(test::anywhere());
  const Address nobody = closed.getsockname();
  closed.close();
  Socket taken = green::listen(test::anywhere());
  const std::string address = taken.getsockname().str();
  expect<std::system_error>({
      {"connect to " + nobody.str() + ": Connection refused", [&] { green::connect(nobody); }},
      {"connect to " + nobody.str() + ": Connection refused", [&] { Socket().connect(nobody); }},
      {"connect to unix:\\0nobody: Connection refused",
       [] { green::connect(Address::unix_path(std::string("\0nobody", 7))); }},
      {" from 192.0.2.1:0: Cannot assign",
       [&] { green::connect(nobody, Address("192.0.2.1", 0)); }},
      {"connect to " + nobody.str() + ": Bad file", [&] { closed.connect(nobody); }},
      {"bind to " + address + ": Address already in use",
       [&] { Socket().bind(taken.getsockname()); }},
      {"bind to " + nobody.str() + ": Bad file", [&] { closed.bind(nobody); }},
      {"listen: Bad file", [&] { closed.listen(); }},
      {"accept: Bad file", [&] { closed.accept(); }},
      {"recv: Bad file", [&] { closed.recv(1); }},
      {"send: Bad file", [&] { closed.sendall("x"); }},
      {"sendfile: Bad file", [&] { closed.sendfile(0); }},
      {"shutdown: Bad file", [&] { closed.shutdown(SHUT_RD); }},
      {"getsockname: Bad file", [&] { closed.getsockname(); }},
      {"makefile: Bad file", [&] { closed.makefile(); }},
      {"dup: Bad file", [&] { closed.dup(); }},
  });
}

TEST_CASE("bad arguments of sockets are refused with the value and the rule") {
  Socket socket = green::listen(test::anywhere());
  const auto greet = [](Socket, const Address&) {};
  expect<std::invalid_argument>({
      {"1 to 107 bytes, this one has 108", [] { Address::unix_path(std::string(108, 'x')); }},
      {"1 to 107 bytes, this one has 0", [] { Address::unix_path(""); }},
      {"an empty Address: no host, no path", [&] { Socket().connect(Address()); }},
      {"-1", [&] { green::serve(socket, greet, -1); }},
      {"-1", [&] { green::StreamServer(green::listen(test::anywhere()), greet, -1); }},
  });
  expect<std::logic_error>({
      {"trampoline: for reading and writing at once", [] { green::trampoline(0, true, true); }},
      {"trampoline: for neither reading nor writing", [] { green::trampoline(0, false, false); }},
  });
}

TEST_CASE("streams say how far they came") {
  test::UnixPair ends;
  aio::Stream stream = aio::Stream::from_fd(ends.a.detach());
  ends.b.sendall("abc");
  expect<std::invalid_argument>(
      {{"readuntil: an empty separator", [&] { aio::run(stream.readuntil("")); }}});
  ends.b.close();
  expect<aio::IncompleteReadError>(
      {{"the stream ended after 3 of 10 bytes", [&] { aio::run(stream.readexactly(10)); }},
       {"the stream ended after 0 bytes without the separator",
        [&] { aio::run(stream.readuntil("|")); }}});
  test::UnixPair long_line;
  aio::Stream other = aio::Stream::from_fd(long_line.a.detach());
  auto sender = green::spawn([&] { long_line.b.sendall(std::string(70'000, 'x')); });
  expect<aio::LimitOverrunError>(
      {{"no separator within the first 65536 bytes", [&] { aio::run(other.readline()); }}});
  sender.wait();
}

TEST_CASE("a look-up that fails names the host") {
  const auto stalls = [] {
    fake::stall_again();
    green::dns::getaddrinfo("1.stalled.fake", 80, AF_UNSPEC, 0.001);
  };
  expect<green::gaierror>({
      {"unknown.fake", [] { green::dns::getaddrinfo("unknown.fake", 80); }},
      {"unknown.fake", [] { green::connect(Address("unknown.fake", 80)); }},
      {"unknown.fake", [] { green::listen(Address("unknown.fake", 80)); }},
      {"127.0.0.1", [] { green::dns::getaddrinfo("127.0.0.1", 80, AF_INET6); }},
      {"1.stalled.fake", stalls},
  });
  fake::release();
}

TEST_CASE("processes name the program, the stream and the rule") {
  PopenOptions misplaced = with_out(green::STDOUT);
  expect<std::invalid_argument>({
      {"a process with an empty argv", [] { Popen(std::vector<std::string>()); }},
      {"STDOUT is for `err` alone", [&] { Popen({"true"}, misplaced); }},
      {"no stream of a process: -9", [] { Popen({"true"}, with_out(-9)); }},
  });
  expect<std::system_error>(
      {{"start /no/such/program: No such file", [] { Popen({"/no/such/program"}); }}});
  Popen process({"true"});
  expect<std::logic_error>({{"PIPE", [&] { process.out(); }}});
  CHECK(process.wait() == 0);
}
