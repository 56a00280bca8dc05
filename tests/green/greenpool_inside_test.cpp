// A pool's own green threads spawn into it.

#include "../standard_error.hpp"
#include "../support.hpp"

#include <green/greenpool.hpp>

#include <functional>
#include <stdexcept>

using green::GreenPool;

TEST_CASE("from inside the full pool spawn runs in place") {
  GreenPool pool(1);
  bool same = false;
  pool.spawn([&] {
        const auto outer = green::getcurrent();
        auto inner = pool.spawn([&] {
          same = green::getcurrent() == outer;
          return 3;
        });
        CHECK(inner.dead());
        CHECK(inner.wait() == 3);
        CHECK_THROWS_AS(pool.spawn([] { throw std::runtime_error("in place"); }),
                        std::runtime_error);
      })
      .wait();
  CHECK(same);
}

TEST_CASE("from inside the full pool spawn_n runs in place, and prints what is thrown there") {
  GreenPool pool(1);
  bool went_on = false;
  test::StandardError printed;
  pool.spawn_n([&] {
    pool.spawn_n([] { throw std::runtime_error("in place"); });
    went_on = true;
  });
  pool.waitall();
  CHECK(went_on);
  CHECK(printed.text().find("std::runtime_error: in place") != std::string::npos);
}

TEST_CASE("a kill in what spawn_n runs in place ends who called it") {
  GreenPool pool(1);
  bool went_on = false;
  green::Greenlet caller;
  pool.spawn_n([&] {
    caller = green::getcurrent();
    pool.spawn_n([] { green::sleep(test::watchdog); });
    went_on = true;
  });
  green::sleep(0);
  caller.kill();
  pool.waitall();
  CHECK_FALSE(went_on);
}

TEST_CASE("from inside a pool that is not full spawn starts another green thread") {
  GreenPool pool(2);
  bool other = false;
  pool.spawn([&] {
        const auto self = green::getcurrent();
        auto inner = pool.spawn([&] { other = !(green::getcurrent() == self); });
        CHECK_FALSE(inner.dead());
        inner.wait();
      })
      .wait();
  CHECK(other);
}

TEST_CASE("a pool's green threads recurse deeper than its size") {
  GreenPool pool(4);
  std::function<int(int)> tree = [&](int depth) -> int {
    if (depth == 0) return 1;
    auto left = pool.spawn(tree, depth - 1);
    auto right = pool.spawn(tree, depth - 1);
    return left.wait() + right.wait();
  };
  CHECK(pool.spawn(tree, 7).wait() == 128);
  pool.waitall();
  CHECK(pool.free() == 4);
}
