#include <aio/connect.hpp>

#include "../fake_resolver.hpp"
#include "../support.hpp"

#include <aio/server.hpp>
#include <aio/stream.hpp>
#include <green/convenience.hpp>

#include <cerrno>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <uvlet/testing.hpp>

using green::Address;
using green::Socket;

namespace {

// A listener that is full: connecting to it is neither refused nor done.
class Blackhole {
 public:
  explicit Blackhole(const char* host, std::uint16_t port = 0)
      : listener_(green::listen(Address(host, port), 0)) {
    for (int i = 0; i < 2; ++i) {
      filling_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const Address::Raw raw = address().raw();
      ::connect(filling_.back(), raw.get(), raw.length);
    }
  }
  ~Blackhole() {
    for (const int fd : filling_) ::close(fd);
  }
  Address address() const { return listener_.getsockname(); }

 private:
  Socket listener_;
  std::vector<int> filling_;
};

// An address of nobody: it refuses.
Address refusing(const char* host) { return green::listen(Address(host, 0)).getsockname(); }

std::string name_of(std::vector<Address> addresses) {
  const std::string name = "n" + std::to_string(fake::addresses.size()) + ".fake";
  fake::addresses[name] = std::move(addresses);
  return name;
}

int errno_of_connect(const Address& address, std::optional<Address> from = {}) {
  try {
    green::awaitlet(green::connect_async(address, std::move(from)));
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

int next_free_number() {
  const int fd = ::dup(0);
  ::close(fd);
  return fd;
}

}  // namespace

TEST_CASE("families alternate, the first one's first; within one the order stays") {
  const Address a4("127.0.0.1", 1), b4("127.0.0.2", 1), c4("127.0.0.3", 1);
  const Address a6("::1", 1), b6("::2", 1), c6("::3", 1);
  using All = std::vector<Address>;
  CHECK(aio::detail::interleaved({}) == All{});
  CHECK(aio::detail::interleaved({a6, b6, a4, b4}) == All{a6, a4, b6, b4});
  CHECK(aio::detail::interleaved({a4, a6, b6, c6}) == All{a4, a6, b6, c6});
  CHECK(aio::detail::interleaved({a4, b4, c4, a6}) == All{a4, a6, b4, c4});
  CHECK(aio::detail::interleaved({a4, b4, c4}) == All{a4, b4, c4});
  CHECK(aio::detail::interleaved({a4, a6, b4, b6, c4, c6}) == All{a4, a6, b4, b6, c4, c6});
}

TEST_CASE("an address that refuses is followed by the next at once") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  const Address open = listener.getsockname();
  uvlet::testing::simulate({}, [&] {  // whose clock counts no more than what was waited for
    const uvlet::Time start = uvlet::Hub::get().now();
    const std::string name = name_of({refusing("127.0.0.2"), refusing("127.0.0.3"), open});
    const Socket socket = green::connect(Address(name, 1));
    CHECK(socket.getpeername() == open);
    CHECK(uvlet::Hub::get().now() - start < 250'000'000);
  });
}

TEST_CASE("one that does not answer is overtaken after a quarter of a second, never before") {
  Blackhole hole("127.0.0.2");
  Socket listener = green::listen(Address("127.0.0.1", 0));
  const Address open = listener.getsockname();
  const std::string name = name_of({hole.address(), open});
  const int before = next_free_number();
  for (const bool green_world : {true, false}) {
    const uvlet::Time start = uvlet::Hub::get().now();
    green::with_timeout(test::watchdog, [&] {
      if (green_world)
        CHECK(green::connect(Address(name, 1)).getpeername() == open);
      else
        green::awaitlet(aio::open_connection(Address(name, 1))).close();
    });
    CHECK(uvlet::Hub::get().now() - start >= 250'000'000);
    CHECK(next_free_number() == before);  // the loser is closed
  }
}

TEST_CASE("in virtual time: each attempt comes a quarter of a second after the one before") {
  Blackhole hole("127.0.0.2");
  Socket listener = green::listen(Address("127.0.0.1", 0));
  const Address open = listener.getsockname();
  const std::string name = name_of({hole.address(), hole.address(), hole.address(), open});
  uvlet::testing::simulate({}, [&] {
    const uvlet::Time start = uvlet::Hub::get().now();
    CHECK(green::connect(Address(name, 1)).getpeername() == open);
    CHECK(uvlet::Hub::get().now() - start >= 750'000'000);
    CHECK(uvlet::Hub::get().now() - start < 1'000'000'000);
  });
}

TEST_CASE("one that was slow may still win") {
  // It answers when there is room again: its SYN is sent anew within a second or three.
  Socket listener = green::listen(Address("127.0.0.2", 0), 0);
  Socket filling = green::connect(listener.getsockname());
  Blackhole hole("127.0.0.3");
  auto slow = green::spawn([&] {
    const std::string name = name_of({listener.getsockname(), hole.address()});
    return green::connect(Address(name, 1)).getpeername();
  });
  green::sleep(0.3);
  auto accepting = green::spawn([&] {
    for (;;) listener.accept();
  });
  green::with_timeout(test::watchdog, [&] { CHECK(slow.wait() == listener.getsockname()); });
  accepting.kill();
}

TEST_CASE("where none can be connected to, the error that tells most is thrown") {
  // From an IPv4 address there is no way to the IPv6 one, which comes last.
  const std::string name = name_of({refusing("127.0.0.2"), Address("::1", 9)});
  CHECK(errno_of_connect(Address(name, 1), Address("127.0.0.1", 0)) == ECONNREFUSED);
  const std::string only = name_of({Address("::1", 9)});
  CHECK(errno_of_connect(Address(only, 1), Address("127.0.0.1", 0)) == EAFNOSUPPORT);
  CHECK(errno_of_connect(refusing("127.0.0.2")) == ECONNREFUSED);
}

TEST_CASE("killed in the middle, every socket is closed") {
  Blackhole hole("127.0.0.2");
  const std::string name = name_of({hole.address(), hole.address(), hole.address()});
  const int before = next_free_number();
  uvlet::testing::simulate({}, [&] {
    auto connecting = green::spawn([&] { green::connect(Address(name, 1)); });
    green::sleep(0.6);  // three of them
    connecting.kill();
    CHECK(connecting.dead());
    CHECK(uvlet::Hub::get().external == 0);
  });
  CHECK(next_free_number() == before);
  auto task = aio::create_task(aio::open_connection(Address(name, 1)));
  green::sleep(0.3);
  task.cancel();
  CHECK_THROWS_AS(green::awaitlet(task), aio::CancelledError);
  CHECK(next_free_number() == before);
}

TEST_CASE("a local address is bound to, of the family that is connected to") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  const Address from("127.0.0.9", 0);
  CHECK(green::connect(listener.getsockname(), from).getsockname().host() == "127.0.0.9");
  const aio::Stream stream = green::awaitlet(aio::open_connection(listener.getsockname(), from));
  for (int i = 0; i < 2; ++i) CHECK(listener.accept().second.host() == "127.0.0.9");
  // Of the name's addresses those of the other family are left out.
  const std::string name = name_of({Address("::1", 1), listener.getsockname()});
  CHECK(green::connect(Address(name, 1), from).getsockname().host() == "127.0.0.9");
  int error = 0;
  try {
    green::connect(Address("::1", 1), from);
  } catch (const std::system_error& refused) {
    error = refused.code().value();
  }
  CHECK(error == EAFNOSUPPORT);
}

TEST_CASE("kills at any switch leave no socket behind") {
  Socket listener = green::listen(Address("127.0.0.1", 0));
  const std::string name = name_of({refusing("127.0.0.2"), listener.getsockname()});
  const int before = next_free_number();
  uvlet::testing::SimulationOptions options;
  uvlet::testing::kill_at_each_switch(options, [&] {
    auto connecting = green::spawn([&] { green::connect(Address(name, 1)); });
    uvlet::testing::expose(connecting);
    try {
      connecting.wait();
    } catch (const green::GreenletExit&) {
    }
  });
  CHECK(next_free_number() == before);
}
