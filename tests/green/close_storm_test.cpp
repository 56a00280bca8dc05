// Sockets that are closed under those who wait in them, and whose numbers are used again at once.

#include "sockets.hpp"

#include <array>
#include <optional>
#include <sys/un.h>

using green::Socket;
using test::errno_of;

namespace {

// Connections whose ends are reset, so that no port waits, over a listener that all of them share.
class Connections {
 public:
  enum class Kind { tcp, local };
  explicit Connections(Kind kind) : kind_(kind) {
    if (kind == Kind::tcp) listener_ = green::listen(test::anywhere());
  }
  std::pair<Socket, Socket> make() {
    if (kind_ == Kind::local) {
      test::UnixPair pair;
      return {std::move(pair.a), std::move(pair.b)};
    }
    Socket a = green::connect(listener_->getsockname());
    Socket b = listener_->accept().first;
    for (Socket* end : {&a, &b}) end->setsockopt(SOL_SOCKET, SO_LINGER, linger{1, 0});
    return {std::move(a), std::move(b)};
  }
  // Nobody connects to it.
  Socket idle_listener() {
    if (kind_ == Kind::tcp) return green::listen(test::anywhere());
    Socket listener(AF_UNIX, SOCK_STREAM);
    const sockaddr_un unnamed{AF_UNIX, {}};  // an abstract name that the system chooses
    REQUIRE(::bind(listener.fileno(), reinterpret_cast<const sockaddr*>(&unnamed),
                   sizeof unnamed.sun_family) == 0);
    listener.listen(1);
    return listener;
  }
  std::string name() const { return kind_ == Kind::tcp ? "tcp" : "unix"; }

 private:
  Kind kind_;
  std::optional<Socket> listener_;
};

constexpr std::array both_kinds{Connections::Kind::tcp, Connections::Kind::local};

// Those who wait while somebody closes: how often each kind of call has ended, by its errno.
class Waiters {
 public:
  enum Call { read, message, write, accept, connect, calls };
  template <class F>
  void wait_in(Call kind, F call) {
    ++begun_[kind];
    threads_.push_back(green::spawn([this, kind, call] {
      const int error = errno_of(call);
      (error == EBADF ? closed_ : other_)[kind]++;
    }));
  }
  void join() {
    for (auto& thread : threads_) thread.wait();
    threads_.clear();
  }
  std::size_t begun(Call kind) const { return begun_[kind]; }
  std::size_t closed(Call kind) const { return closed_[kind]; }
  std::size_t other(Call kind) const { return other_[kind]; }

 private:
  using Counts = std::array<std::size_t, calls>;
  Counts begun_{}, closed_{}, other_{};
  std::vector<green::GreenThread<void>> threads_;
};

}  // namespace

TEST_CASE("close against every wait, again and again: each waiter ends once, with EBADF") {
  const std::string much(8 << 20, 'x');
  test::FullListener full;
  const green::Address nobody = full.listener.getsockname();
  const std::size_t times = test::operations(10'000);
  for (const auto kind : both_kinds) {
    Connections connections(kind);
    CAPTURE(connections.name());
    const int before = test::open_fds();
    Waiters waiters;
    for (std::size_t i = 0; i < times; ++i) {
      auto [ours, theirs] = connections.make();
      ours.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096);
      Socket accepting = connections.idle_listener();
      Socket connecting;
      test::UnixPair messages;
      waiters.wait_in(Waiters::read, [&, &socket = ours] { socket.recv(1); });
      waiters.wait_in(Waiters::message, [&] { messages.a.recvmsg(1, 1); });
      waiters.wait_in(Waiters::write, [&, &socket = ours] { socket.sendall(much); });
      waiters.wait_in(Waiters::accept, [&] { accepting.accept(); });
      waiters.wait_in(Waiters::connect, [&] { connecting.connect(nobody); });
      for (std::size_t turn = 0; turn < i % 4; ++turn) green::sleep(0);
      for (Socket* socket : {&ours, &messages.a, &accepting, &connecting}) {
        socket->close();
        socket->close();
      }
      waiters.join();
    }
    for (const auto call :
         {Waiters::read, Waiters::message, Waiters::write, Waiters::accept, Waiters::connect}) {
      CAPTURE(call);
      CHECK(waiters.begun(call) == times);
      CHECK(waiters.closed(call) == times);
      CHECK(waiters.other(call) == 0);
    }
    CHECK(test::open_fds() == before);
  }
}

TEST_CASE("close against what is on its way: each waiter ends once, with that or with EBADF") {
  const std::size_t times = test::operations(10'000);
  for (const auto kind : both_kinds) {
    Connections connections(kind);
    CAPTURE(connections.name());
    std::size_t ended = 0, received = 0, closed = 0;
    auto [trigger, to_trigger] = connections.make();
    for (std::size_t i = 0; i < times; ++i) {
      auto [ours, theirs] = connections.make();
      const auto read = [&, &socket = ours] {
        const int error = errno_of([&] { received += socket.recv(10) == "x"; });
        closed += error == EBADF;
        ++ended;
      };
      const auto close = [&, &socket = ours, &from = trigger] {
        from.recv(1);
        socket.close();
      };
      // Both are ready in one poll.
      auto first = i % 2 ? green::spawn(read) : green::spawn(close);
      auto second = i % 2 ? green::spawn(close) : green::spawn(read);
      green::sleep(0);
      (i / 2 % 2 ? theirs : to_trigger).sendall("x");
      (i / 2 % 2 ? to_trigger : theirs).sendall("x");
      if (i % 3 == 0) ours.close();  // before there is a poll
      first.wait();
      second.wait();
    }
    CHECK(ended == times);
    CHECK(received + closed == times);
    CHECK(received > times / 10);
    CHECK(closed > times / 10);
  }
}

TEST_CASE("numbers that are used again under load carry no byte of the old socket") {
  const std::size_t times = test::operations(10'000);
  for (const auto kind : both_kinds) {
    Connections connections(kind);
    CAPTURE(connections.name());
    std::size_t reused = 0, wrong = 0, echoed = 0;
    bool over = false;
    std::vector<green::GreenThread<void>> load;
    for (int i = 0; i < 3; ++i)  // they are ready in the same polls
      load.push_back(green::spawn([&, i] {
        auto [a, b] = connections.make();
        const std::string tag = "load " + std::to_string(i);
        while (!over) {
          a.sendall(tag);
          wrong += test::receive(b, tag.size()) != tag;
          ++echoed;
          green::sleep(0);
        }
      }));
    int last = -1;
    for (std::size_t i = 0; i < times; ++i) {
      auto [ours, theirs] = connections.make();
      reused += ours.fileno() == last;
      last = ours.fileno();
      const std::string tag = std::to_string(i);
      auto reader = green::spawn([&, &socket = ours] {
        std::string got = tag;
        const int error = errno_of([&] { got = socket.recv(100); });
        wrong += (error != 0 && error != EBADF) || (got != tag && got != tag + tag);
      });
      green::sleep(0);
      theirs.sendall(tag);
      if (i % 2) theirs.sendall(tag);
      if (i % 3) ours.close();  // with an event on its way
      reader.wait();
    }
    over = true;
    for (auto& thread : load) thread.wait();
    CHECK(wrong == 0);
    CHECK(reused > times / 2);
    CHECK(echoed > times);
  }
}
