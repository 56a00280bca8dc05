// In a raw libuv callback nothing may wait; what needs no wait works there.

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <string>

TEST_CASE("a yield returns at once, and lets nobody run") {
  test::Log log;
  test::in_libuv_callback([&] {
    green::spawn_n([&] { log("spawned"); });
    green::sleep(0);
    green::sleep();
    green::sleep(-1);
    green::this_thread::yield();
    log("callback");
  });
  green::sleep(0);
  CHECK(log.text() == "callback spawned");
}

TEST_CASE("a wait is a NoAwaitletContext, and leaves nothing behind") {
  green::Event<> event;
  test::in_libuv_callback([&] {
    const std::size_t timers = uvlet::Hub::get().stats().timers;
    CHECK_THROWS_AS(green::sleep(0.001), green::NoAwaitletContext);
    CHECK_THROWS_AS(event.wait(), green::NoAwaitletContext);
    CHECK_THROWS_AS(event.wait(0.001), green::NoAwaitletContext);
    CHECK_THROWS_AS(green::spawn([] {}).wait(), green::NoAwaitletContext);
    CHECK(uvlet::Hub::get().stats().timers == timers);
  });
  event.send();
}

TEST_CASE("a kill only schedules, also of what is ready") {
  test::Log log;
  auto watched = [&](const char* name) {
    return green::spawn([&log, name] {
      try {
        for (;;) green::sleep(std::string(name) == "ready" ? 0 : test::watchdog);
      } catch (const green::GreenletExit&) {
        log(name);
        throw;
      }
    });
  };
  auto sleeps = watched("sleeps");
  auto ready = watched("ready");
  auto unstarted = green::spawn([&] { log("never"); });
  unstarted.cancel();
  green::sleep(0);
  test::in_libuv_callback([&] {
    sleeps.kill();
    ready.kill();
    CHECK(log.text() == "");
    CHECK_FALSE(sleeps.dead());
  });
  CHECK_THROWS_AS(sleeps.wait(), green::GreenletExit);
  CHECK_THROWS_AS(ready.wait(), green::GreenletExit);
  CHECK_THROWS_AS(unstarted.wait(), green::GreenletExit);
  CHECK((log.text() == "sleeps ready" || log.text() == "ready sleeps"));
}
