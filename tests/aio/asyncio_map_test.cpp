// What docs/asyncio-map.md says differs from asyncio, or is as there though one may doubt it.

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>
#include <uvlet/testing.hpp>

#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

namespace {

using test::Log;

aio::task<int> started(bool& flag, int value) {
  flag = true;
  co_return value;
}
aio::task<> forever() { co_await aio::sleep(uvlet::Duration::forever()); }
// Makes a result of its cancellation.
aio::task<int> stubborn() {
  try {
    co_await forever();
  } catch (const aio::CancelledError&) {
  }
  co_return 5;
}

template <class... W>
auto vector_of(W... work) {
  std::vector<std::common_type_t<W...>> all;
  (all.push_back(std::move(work)), ...);
  return all;
}

// One end as a Stream, the other for the test's hand.
std::pair<aio::Stream, green::Socket> connected() {
  auto [a, b] = uvlet::testing::stream_pair();
  return {aio::Stream::from_fd(a), green::Socket::from_fd(b)};
}

}  // namespace

TEST_CASE("run leaves the other tasks to themselves, and works where a loop runs") {
  int rounds = 0;
  auto other = aio::create_task([](int& count) -> aio::task<> {
    for (; count < 3; ++count) co_await aio::sleep(0);
  }(rounds));
  aio::run(aio::sleep(0));
  CHECK_FALSE(other.done());
  auto nested = []() -> aio::task<int> { co_return aio::run(aio::sleep(0.001, 3)); };
  CHECK(aio::run(nested()) == 3);
  green::awaitlet(other);
  CHECK(rounds == 3);
}

TEST_CASE("gather and wait are lazy, shield and as_completed are not") {
  bool flag = false;
  auto gathered = aio::gather(started(flag, 1));
  auto waited = aio::wait(vector_of(started(flag, 2)));
  green::sleep(0);
  CHECK_FALSE(flag);
  CHECK(aio::run(std::move(gathered)) == std::tuple(1));
  CHECK(std::exchange(flag, false));
  CHECK(aio::run(std::move(waited)).first.size() == 1);
  CHECK(std::exchange(flag, false));
  auto shielded = aio::shield(started(flag, 3));
  green::sleep(0);
  CHECK(std::exchange(flag, false));
  auto completed = aio::as_completed(vector_of(started(flag, 4)));
  green::sleep(0);
  CHECK(flag);
  CHECK(aio::run(std::move(shielded)) == 3);
  CHECK(aio::run(std::move(completed.at(0))) == 4);
}

TEST_CASE("one that is given twice is there twice") {
  auto future = aio::create_task(aio::as_task(aio::sleep(0, 7)));
  const auto [done, pending] = aio::run(aio::wait(vector_of(future, future)));
  CHECK(done.size() == 2);
  CHECK(pending.empty());
  auto completed = aio::as_completed(vector_of(future, future));
  REQUIRE(completed.size() == 2);
  for (auto& one : completed) CHECK(aio::run(std::move(one)) == 7);
  CHECK(aio::run(aio::gather(future, future)) == std::tuple(7, 7));
}

TEST_CASE("exception() of a cancelled Future gives it, result() throws it") {
  auto future = aio::Future<int>::create();
  future.cancel();
  CHECK(future.exception() != nullptr);
  CHECK_THROWS_AS(future.result(), aio::CancelledError);
}

TEST_CASE("out of time wait_for is TimeoutError whatever the coroutine made of it") {
  CHECK_THROWS_AS(aio::run(aio::wait_for(stubborn(), 0.002)), aio::TimeoutError);
}

TEST_CASE("a done Future is in time, with a limit of zero too") {
  auto future = aio::Future<int>::create();
  future.set_result(2);
  CHECK(aio::run(aio::wait_for(future, 0)) == 2);
}

TEST_CASE("a timeout is TimeoutError at the wait that it interrupts") {
  auto inside = []() -> aio::task<std::string> {
    const aio::timeout limit(0.002);
    try {
      co_await forever();
    } catch (const std::exception& error) {  // eats it
      co_return error.what();
    }
    co_return "not interrupted";
  };
  CHECK(aio::run(inside()) == aio::TimeoutError().what());
}

TEST_CASE("a failure in a TaskGroup cancels its tasks at once, and the body hears of it in join") {
  Log log;
  auto body = [&]() -> aio::task<> {
    aio::TaskGroup group;
    auto fails = []() -> aio::task<> {
      throw std::runtime_error("x");
      co_return;
    };
    auto waits = group.create_task(forever());
    group.create_task(fails());
    co_await aio::sleep(0.002);
    log(waits.cancelled() ? "cancelled" : "goes on");
    try {
      co_await group.join();
    } catch (const aio::ExceptionGroup& all) {
      log(std::to_string(all.exceptions().size()));
    }
  };
  aio::run(body());
  CHECK(log.text() == "cancelled 1");
}

TEST_CASE("a condition's lock is a scope that adopts") {
  aio::Condition condition;
  auto uses = [&]() -> aio::task<bool> {
    co_await condition.acquire();
    const std::lock_guard guard(condition, std::adopt_lock);
    co_return condition.locked();
  };
  CHECK(aio::run(uses()));
  CHECK_FALSE(condition.locked());
}

TEST_CASE("read gives what there is, and all only by reading until nothing comes") {
  auto [stream, peer] = connected();
  peer.sendall("abc");
  CHECK(green::awaitlet(stream.read(SIZE_MAX)) == "abc");
  peer.sendall("de");
  peer.close();
  std::string all;
  for (std::string some = green::awaitlet(stream.read(1)); !some.empty();
       some = green::awaitlet(stream.read(1)))
    all += some;
  CHECK(all == "de");
  CHECK(stream.at_eof());
}

TEST_CASE("a line that is too long is LimitOverrunError, and left to read") {
  auto [stream, peer] = connected();
  const std::string line(70 * 1024, 'x');
  auto sends = green::spawn([&, to = &peer] {
    to->sendall(line + "\n");
    to->close();
  });
  CHECK_THROWS_AS(green::awaitlet(stream.readline()), aio::LimitOverrunError);
  CHECK(green::awaitlet(stream.readexactly(line.size())) == line);
  sends.wait();
}

TEST_CASE(
    "writing to a Stream that was closed or ended is logic_error; wait_closed throws nothing") {
  auto [stream, peer] = connected();
  stream.write_eof();
  CHECK_THROWS_AS(stream.write("x"), std::logic_error);
  peer.close();
  stream.close();
  CHECK_THROWS_AS(stream.write("x"), std::logic_error);
  CHECK_NOTHROW(green::awaitlet(stream.wait_closed()));
}

TEST_CASE("a spawned function has a context of its own, as copy_context().run") {
  aio::ContextVar<int> variable("variable", 1);
  variable.set(2);
  const auto changes = [&] {
    const int before = variable.get();
    variable.set(3);
    return before;
  };
  CHECK(green::spawn(changes).wait() == 2);
  CHECK(variable.get() == 2);
}
