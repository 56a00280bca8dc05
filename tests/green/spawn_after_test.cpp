#include <green/greenthread.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <string>
#include <vector>

namespace {

using green::GreenletExit;

int half(int value) { return value / 2; }

}  // namespace

TEST_CASE("spawn_after runs the function after the delay, with its arguments") {
  const uvlet::Time start = uvlet::Hub::get().now();
  auto thread = green::spawn_after(
      0.01, [](int a, int b) { return a + b; }, 1, 2);
  CHECK_FALSE(thread.started());
  green::sleep(0);
  CHECK_FALSE(thread.started());
  CHECK(thread.wait() == 3);
  CHECK(uvlet::Hub::get().now() - start >= 10'000'000);
}

TEST_CASE("spawn_after of shorter delays comes first, of equal ones in order") {
  test::Log log;
  std::vector<green::GreenThread<void>> threads;
  threads.push_back(green::spawn_after(0.02, [&] { log("long"); }));
  threads.push_back(green::spawn_after(std::chrono::milliseconds(5), [&] { log("short"); }));
  threads.push_back(green::spawn_after(std::chrono::milliseconds(5), [&] { log("same"); }));
  threads.push_back(green::spawn_after(0, [&] { log("now"); }));
  for (auto& thread : threads) thread.wait();
  CHECK(log.text() == "now short same long");
}

TEST_CASE("spawn_after may be cancelled until it starts") {
  bool ran = false;
  auto thread = green::spawn_after(0.001, [&] { ran = true; });
  green::sleep(0);
  thread.cancel();
  CHECK(thread.dead());
  CHECK_THROWS_AS(thread.wait(), GreenletExit);
  green::sleep(0.003);
  CHECK_FALSE(ran);
}

TEST_CASE("spawn_after does not depend on its spawner, spawn_after_local does") {
  bool global = false;
  bool local = false;
  green::GreenThread<void> later;
  green::GreenThread<void> later_local;
  green::spawn([&] {
    later = green::spawn_after(0.002, [&] { global = true; });
    later_local = green::spawn_after_local(0.002, [&] { local = true; });
  }).wait();
  later.wait();
  CHECK_THROWS_AS(later_local.wait(), GreenletExit);
  CHECK(global);
  CHECK_FALSE(local);
}

TEST_CASE("spawn_after_local runs while its spawner lives") {
  CHECK(green::spawn_after_local(0.001, [] { return 5; }).wait() == 5);
  int result = 0;
  green::spawn([&] {
    auto thread = green::spawn_after_local(0.001, half, 8);
    result = thread.wait();
  }).wait();
  CHECK(result == 4);
}

TEST_CASE("a negative delay is none: what was spawned earlier starts earlier") {
  test::Log log;
  auto first = green::spawn([&] { log("first"); });
  auto negative = green::spawn_after(-1, [&] { log("negative"); });
  auto none = green::spawn_after(0, [&] { log("none"); });
  auto local = green::spawn_after_local(-1, [&] { log("local"); });
  auto last = green::spawn([&] { log("last"); });
  last.wait();
  CHECK(log.text() == "first negative none local last");
}
