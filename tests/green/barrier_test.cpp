#include <green/barrier.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <stdexcept>

namespace {

aio::task<void> three_phases(green::barrier<>& barrier, test::Log& log) {
  for (int i = 0; i < 3; ++i) {
    log("t" + std::to_string(i));
    co_await barrier.arrive_and_wait_async();
  }
}

}  // namespace

TEST_CASE("nobody goes on before all have arrived, in phase after phase") {
  green::barrier barrier(3);
  test::Log log;
  auto work = [&](const char* name) {
    for (int i = 0; i < 3; ++i) {
      log(name + std::to_string(i));
      barrier.arrive_and_wait();
    }
  };
  auto a = green::spawn(work, "a");
  auto b = green::spawn(work, "b");
  green::awaitlet(three_phases(barrier, log));
  a.wait();
  b.wait();
  for (std::size_t i = 0; i < 9; ++i)
    CHECK(log.entries()[i].back() == static_cast<char>('0' + i / 3));
}

TEST_CASE("the completion runs once a phase, in the last to arrive, before anybody goes on") {
  test::Log log;
  auto complete = [&log]() noexcept { log("complete"); };
  green::barrier<decltype(complete)> barrier(2, complete);
  auto other = green::spawn([&] {
    barrier.arrive_and_wait();
    log("other");
  });
  green::sleep(0);
  CHECK(log.text().empty());
  auto token = barrier.arrive();
  CHECK(log.text() == "complete");
  barrier.wait(std::move(token));
  other.wait();
  CHECK(log.text() == "complete other");
}

TEST_CASE("one can arrive now and wait later, or never") {
  green::barrier barrier(2);
  auto first = barrier.arrive();
  auto waiter = green::spawn([&] { barrier.wait(std::move(first)); });
  green::sleep(0);
  CHECK_FALSE(waiter.dead());
  auto second = barrier.arrive();
  barrier.wait(std::move(second));  // the phase is over: at once
  waiter.wait();
  auto both = barrier.arrive(2);
  green::awaitlet(barrier.wait_async(std::move(both)));
}

TEST_CASE("who drops out is not expected any more") {
  green::barrier barrier(3);
  auto waiter = green::spawn([&] {
    barrier.arrive_and_wait();
    barrier.arrive_and_wait();
  });
  green::sleep(0);
  barrier.arrive_and_drop();
  CHECK_FALSE(waiter.dead());
  barrier.arrive_and_wait();
  barrier.arrive_and_wait();
  waiter.wait();
}

TEST_CASE("one that is interrupted has arrived; the phase ends without it") {
  green::barrier barrier(3);
  auto killed = green::spawn([&] { barrier.arrive_and_wait(); });
  auto waiter = green::spawn([&] { barrier.arrive_and_wait(); });
  green::sleep(0);
  killed.kill();
  CHECK_FALSE(waiter.dead());
  barrier.arrive_and_wait();
  waiter.wait();
  CHECK_FALSE(green::move_on_after(0.001, [&] { barrier.arrive_and_wait(); }));
}

TEST_CASE("a completion may block; who arrives meanwhile is refused") {
  green::Greenlet other;
  auto complete = []() noexcept { green::sleep(0.001); };
  green::barrier<decltype(complete)> barrier(1, complete);
  auto thread = green::spawn([&] { barrier.arrive_and_wait(); });
  green::sleep(0);
  CHECK_THROWS_AS((void)barrier.arrive(), std::invalid_argument);
  thread.wait();
  barrier.arrive_and_wait();
}

TEST_CASE("misuse is an invalid_argument, and changes nothing") {
  CHECK_THROWS_WITH_AS(green::barrier<>(-2), doctest::Contains("-2"), std::invalid_argument);
  green::barrier barrier(2);
  CHECK_THROWS_AS((void)barrier.arrive(0), std::invalid_argument);
  CHECK_THROWS_AS((void)barrier.arrive(3), std::invalid_argument);
  CHECK_THROWS_AS((void)barrier.arrive(-1), std::invalid_argument);
  barrier.wait(barrier.arrive(2));
  green::barrier none(0);
  CHECK_THROWS_AS(none.arrive_and_drop(), std::invalid_argument);
}

TEST_CASE("in a libuv callback one can arrive, not wait") {
  green::barrier barrier(2);
  auto waiter = green::spawn([&] { barrier.arrive_and_wait(); });
  green::sleep(0);
  test::in_libuv_callback([&] {
    auto token = barrier.arrive();
    barrier.wait(std::move(token));
    auto next = barrier.arrive();
    CHECK_THROWS_AS(barrier.wait(std::move(next)), green::NoAwaitletContext);
  });
  waiter.wait();
}
