#include "sockets.hpp"

#include <aio/gather.hpp>
#include <green/os.hpp>
#include <green/select.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <tuple>
#include <vector>

using green::OwnedFd;
using test::errno_of;
using Fds = std::vector<int>;

namespace {

std::tuple<Fds, Fds, Fds> sets(Fds r, Fds w, Fds x) { return {r, w, x}; }

}  // namespace

TEST_CASE("select gives what is ready at once, again and again") {
  test::UnixPair pair;
  const int a = pair.a.fileno(), b = pair.b.fileno();
  CHECK(green::select::select({}, {a}, {}, 0) == sets({}, {a}, {}));
  CHECK(green::select::select({}, {a}, {}, 0) == sets({}, {a}, {}));
  CHECK(green::select::select({b}, {}, {}, 0) == sets({}, {}, {}));
  pair.a.sendall("x");
  CHECK(green::select::select({a, b}, {a, b}, {a, b}) == sets({b}, {a, b}, {}));
}

TEST_CASE("select waits for the first of many, and obeys the timeout") {
  test::UnixPair one, two;
  const int a = one.a.fileno(), b = two.a.fileno();
  auto waiter = green::spawn([&] { return green::select::select({a, b}, {}, {}); });
  green::sleep(0.002);
  CHECK_FALSE(waiter.dead());
  two.b.sendall("x");
  CHECK(waiter.wait() == sets({b}, {}, {}));
  two.a.recv(1);
  const uvlet::Time start = uvlet::Hub::current().now();
  CHECK(green::select::select({a, b}, {}, {}, 0.003) == sets({}, {}, {}));
  CHECK(uvlet::Hub::current().now() - start >= 3'000'000);
  CHECK(green::select::select({}, {}, {}, 0.001) == sets({}, {}, {}));  // a sleep
}

TEST_CASE("select takes a descriptor in several sets, and twice in one") {
  test::UnixPair pair;
  const int a = pair.a.fileno();
  CHECK(green::select::select({a, a}, {a, a}, {a}) == sets({}, {a, a}, {}));
  auto waiter = green::spawn([&] { return green::select::select({a, a}, {}, {a, a}); });
  green::sleep(0.001);
  pair.b.sendall("x");
  CHECK(waiter.wait() == sets({a, a}, {}, {}));
}

TEST_CASE("select of a closed or negative descriptor is EBADF") {
  const auto [r, w] = green::os::pipe();
  close(r);
  const OwnedFd writer(w);
  CHECK(errno_of([r = r] { green::select::select({r}, {}, {}); }) == EBADF);
  CHECK(errno_of([r = r] { green::select::select({}, {}, {r}, 0); }) == EBADF);
  CHECK(errno_of([] { green::select::select({-1}, {}, {}, 0); }) == EBADF);
  green::Socket closed;
  closed.close();
  CHECK(errno_of([&] { green::select::select({closed.fileno()}, {}, {}); }) == EBADF);
}

TEST_CASE("select: what hung up or failed can be read and written, or is exceptional if alone") {
  test::UnixPair pair;
  const int a = pair.a.fileno();
  pair.b.close();
  CHECK(green::select::select({a}, {}, {a}) == sets({a}, {}, {}));
  CHECK(green::select::select({}, {a}, {}) == sets({}, {a}, {}));
  CHECK(green::select::select({}, {}, {a}) == sets({}, {}, {a}));
}

TEST_CASE("select sees urgent data as exceptional") {
  test::TcpPair pair;
  const int a = pair.a.fileno();
  auto waiter = green::spawn([&] { return green::select::select({}, {}, {a}); });
  green::sleep(0.001);
  REQUIRE(::send(pair.b.fileno(), "!", 1, MSG_OOB) == 1);
  CHECK(waiter.wait() == sets({}, {}, {a}));
}

TEST_CASE("select accepts: a listener is readable when somebody connects") {
  green::Socket listener = green::listen(test::anywhere());
  auto waiter = green::spawn([&] { return green::select::select({listener.fileno()}, {}, {}); });
  green::sleep(0.001);
  green::Socket client = green::connect(listener.getsockname());
  CHECK(waiter.wait() == sets({listener.fileno()}, {}, {}));
  CHECK(listener.accept().second == client.getsockname());
}

TEST_CASE("select beside readers of the same sockets, and beside other selects") {
  test::UnixPair pair;
  const int a = pair.a.fileno();
  auto reader = green::spawn([&] { return pair.a.recv(10); });
  auto first = green::spawn([&] { return green::select::select({a}, {}, {}); });
  auto second = green::spawn([&] { return green::select::select({a}, {}, {}); });
  green::sleep(0.002);
  pair.b.sendall("x");
  CHECK(reader.wait() == "x");
  pair.b.sendall("y");
  CHECK(first.wait() == sets({a}, {}, {}));
  CHECK(second.wait() == sets({a}, {}, {}));
  CHECK(pair.a.recv(10) == "y");
}

TEST_CASE("select lets others run while it polls, and while it waits") {
  test::UnixPair pair;
  int turns = 0;
  auto other = green::spawn([&] {
    for (;;) {
      ++turns;
      green::sleep(0);
    }
  });
  while (turns < 10) green::select::select({pair.a.fileno()}, {}, {}, 0);
  other.kill();
  CHECK(turns >= 10);
}

TEST_CASE("who is killed or timed out in select leaves nothing behind") {
  test::UnixPair pair;
  const int a = pair.a.fileno();
  const int flags = fcntl(a, F_GETFL), before = test::open_fds();
  for (int i = 0; i < 100; ++i) {
    auto waiter = green::spawn([&] { green::select::select({a}, {}, {a}); });
    green::sleep(0);
    waiter.kill();
    CHECK(waiter.dead());
  }
  CHECK_THROWS_AS(green::with_timeout(0.001, [&] { green::select::select({a}, {}, {}); }),
                  green::TimeoutExpired);
  CHECK(test::open_fds() == before);
  CHECK(fcntl(a, F_GETFL) == flags);
}

TEST_CASE("select has no limit of 1024 descriptors") {
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_cur < 1600) {
    const rlimit old = limit;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    REQUIRE_MESSAGE(limit.rlim_cur >= 1600, "from " << old.rlim_cur);
  }
  std::vector<OwnedFd> readers, writers;
  Fds all;
  for (int i = 0; i < 700; ++i) {
    const auto [r, w] = green::os::pipe();
    readers.emplace_back(r);
    writers.emplace_back(w);
    all.push_back(r);
  }
  CHECK(all.back() >= 1024);
  auto waiter = green::spawn([&] { return green::select::select(all, {}, {}); });
  green::sleep(0.002);
  REQUIRE(::write(writers.back().get(), "x", 1) == 1);
  CHECK(waiter.wait() == sets({all.back()}, {}, {}));
}

TEST_CASE("poll fills in what came, skips negative numbers, and waits") {
  test::UnixPair pair;
  std::vector<pollfd> interests{{pair.a.fileno(), POLLIN | POLLOUT, 0}, {-1, POLLIN, 7}};
  CHECK(green::select::poll(interests) == 1);
  CHECK(interests[0].revents == POLLOUT);
  CHECK(interests[1].revents == 0);
  interests[0].events = POLLIN;
  CHECK(green::select::poll(interests, 0) == 0);
  CHECK(green::select::poll(interests, 0.002) == 0);
  auto waiter = green::spawn([&] { return green::select::poll(interests); });
  green::sleep(0.001);
  pair.b.sendall("x");
  CHECK(waiter.wait() == 1);
  CHECK(interests[0].revents == POLLIN);
  pair.b.close();
  interests[0].events = POLLIN | POLLRDHUP;
  CHECK(green::select::poll(interests) == 1);
  CHECK((interests[0].revents & (POLLHUP | POLLRDHUP)) != 0);
  interests[0].fd = pair.b.fileno();  // -1
  CHECK(green::select::poll(interests, 0.001) == 0);
  pollfd closed{123'456, POLLIN, 0};
  CHECK(errno_of([&] { green::select::poll(std::span<pollfd>(&closed, 1)); }) == EBADF);
}

TEST_CASE("coroutines select and poll too") {
  test::UnixPair pair;
  auto selects = [](int fd) -> aio::task<Fds> {
    const Fds one(1, fd), none;
    const auto ready = co_await green::select::select_async(one, none, none);
    co_return std::get<0>(ready);
  };
  auto polls = [](int fd) -> aio::task<int> {
    std::vector<pollfd> interests(1);
    interests[0].fd = fd;
    interests[0].events = POLLIN;
    co_return co_await green::select::poll_async(interests);
  };
  auto both = aio::create_task(aio::gather(selects(pair.a.fileno()), polls(pair.a.fileno())));
  green::sleep(0.001);
  CHECK_FALSE(both.done());
  pair.b.sendall("x");
  const auto [readable, count] = aio::run(both);
  CHECK(readable == Fds{pair.a.fileno()});
  CHECK(count == 1);
}
