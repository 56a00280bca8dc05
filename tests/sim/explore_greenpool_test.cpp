// Every order of three actors with four steps each on a GreenPool.

#include "harness.hpp"

namespace {

using sim::require;
using uvlet::testing::explore;

}  // namespace

TEST_CASE("a pool's counts agree with a model in every order of resizes and spawns") {
  const auto result = explore([] {
    green::GreenPool pool(2);
    int size = 2;
    auto resize = [&](int to) {
      return [&, to] {
        pool.resize(to);
        size = to;
      };
    };
    auto count = [&] {
      require(pool.free() == size - pool.running(), "free is not size less running");
      require(pool.size() == size, "size differs");
    };
    sim::act({{resize(1), count, resize(0), resize(3)},
              {count, resize(5), count, resize(1)},
              {resize(4), count, count, resize(2)}},
             [&] { require(pool.running() == 0 && pool.waiting() == 0, "somebody runs"); });
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
  CHECK(result.schedules == sim::orders({4, 4, 4}));
}

TEST_CASE("a pool never runs more than its size, and waitall waits for all, in every order") {
  const auto result = explore([] {
    green::GreenPool pool(1);
    int running = 0, done = 0;
    auto worker = [&] {
      require(++running <= 1, "more than the pool's size at once");
      green::sleep(0);
      --running;
      ++done;
    };
    auto spawn = [&] { pool.spawn_n(worker); };
    auto nothing = [] {};
    sim::act({{spawn, nothing}, {spawn, nothing}, {[&] { pool.waitall(); }, nothing}},
             [&] { require(pool.running() <= 1, "more places taken than there are"); });
    pool.waitall();
    require(done == 2, "waitall returned before all had ended");
    require(pool.free() == 1 && pool.waiting() == 0, "a place is lost");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
}

TEST_CASE("a spawner that is killed as it waits for a place loses none, in every order") {
  const auto result = explore([] {
    green::GreenPool pool(1);
    int ran = 0;
    auto blocker = pool.spawn([&] {
      green::sleep(0);
      ++ran;
    });
    auto spawner = green::spawn([&] { pool.spawn_n([&] { ++ran; }); });
    auto other = green::spawn([&] { pool.spawn_n([&] { ++ran; }); });
    auto killer = green::spawn([&] { spawner.kill(); });
    killer.wait();
    other.wait();
    bool killed = false;
    try {
      spawner.wait();
    } catch (const green::GreenletExit&) {
      killed = true;
    }
    pool.waitall();
    require(blocker.dead(), "waitall returned before all had ended");
    require(ran == (killed ? 2 : 3), "a worker was lost, or ran though its spawn was killed");
    require(pool.free() == 1 && pool.waiting() == 0 && pool.running() == 0, "a place is lost");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
}

TEST_CASE("imap gives its results in order, in every order of its workers") {
  const auto result = explore([] {
    green::GreenPool pool(2);
    int next = 0;
    for (int item : pool.imap(
             [](int i) {
               if (i % 2 == 0) green::sleep(0);
               return i;
             },
             std::vector{0, 1, 2}))
      require(item == next++, "a result out of its place");
    require(next == 3, "a result is missing");
    green::sleep(0);
    pool.waitall();
    uvlet::testing::wait_all_blocked();
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
}
