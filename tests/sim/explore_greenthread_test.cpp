// Every order of green threads that join, link and kill each other, and of nested time limits.

#include "harness.hpp"

#include <algorithm>
#include <map>

namespace {

using sim::require;
using uvlet::testing::explore;

}  // namespace

TEST_CASE("joins, links and kills of one green thread agree in every order") {
  const auto result = explore([] {
    int linked = 0, joined = 0, killed = 0;
    bool ran_to_its_end = false;
    auto target = green::spawn([&] {
      green::sleep(0);
      ran_to_its_end = true;
      return 7;
    });
    auto link = [&] {
      target.link([&](const green::GreenThread<int>& ended) {
        require(ended.dead(), "a link ran before the end");
        ++linked;
      });
    };
    auto join = [&] {
      try {
        require(target.wait() == 7, "a wrong result");
        require(ran_to_its_end, "a result without an end");
        ++joined;
      } catch (const green::GreenletExit&) {
        ++killed;
      }
    };
    sim::act({{link, join}, {join, link}, {[&] { target.kill(); }, join}}, [] {});
    require(linked == 2, "a link was lost, or ran twice");
    require(joined + killed == 3 && (joined == 0 || killed == 0), "waiters saw different ends");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
}

TEST_CASE("a link that is taken back never runs, in every order") {
  const auto result = explore([] {
    int linked = 0, taken_back = 0;
    auto target = green::spawn([] { green::sleep(0); });
    auto id = target.link([&](const green::GreenThread<void>&) { ++linked; });
    auto unlink = green::spawn([&] { taken_back += target.unlink(id); });
    unlink.wait();
    target.wait();
    require(linked + taken_back == 1, "both, or neither");
  });
  CHECK(result.complete);
}

TEST_CASE("three nested limits: each catches its own, whichever is first") {
  std::map<std::string, int> seen;
  for (const auto& limits :
       {std::vector{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}}) {
    uvlet::testing::ExploreOptions options;
    options.faults.early_timeouts = 1;
    const auto result = explore(
        [&] {
          const auto limit = [&](std::size_t i) { return 0.001 * limits[i]; };
          std::string caught;
          auto victim = green::spawn([&] {
            const bool outer = green::move_on_after(limit(0), [&] {
              const bool middle = green::move_on_after(limit(1), [&] {
                if (!green::move_on_after(limit(2), [] { green::Event<>().wait(); })) caught += 'i';
                green::sleep(0.01);
              });
              if (!middle) caught += 'm';
              green::sleep(0.01);
            });
            if (!outer) caught += 'o';
          });
          auto other = green::spawn([] {
            green::sleep(0);
            green::sleep(0);
          });
          other.wait();
          victim.wait();
          require(caught.ends_with('o'), "the outermost did not end it");
          const auto first = std::min_element(limits.begin(), limits.end()) - limits.begin();
          require(caught.find('i') == std::string::npos || limits[2] <= limits[0],
                  "the inner one fired after the outer was due");
          require(first != 0 || caught == "o", "one inside fired though the outermost was first");
          ++seen[caught];
        },
        options);
    CHECK(result.complete);
  }
  for (const auto& [order, count] : seen) MESSAGE(order, " ", count);
  CHECK(seen.size() >= 3);
}

TEST_CASE("a Timeout that is cancelled never fires, in every order of time") {
  uvlet::testing::ExploreOptions options;
  options.faults.early_timeouts = 1;
  int in_time = 0, late = 0;
  const auto result = explore(
      [&] {
        auto victim = green::spawn([&] {
          try {
            green::Timeout timeout(0.001);
            green::sleep(0);
            timeout.cancel();
            green::sleep(0);
            green::sleep(0.005);
            ++in_time;
          } catch (const green::TimeoutExpired&) {
            ++late;
          }
          green::sleep(0.005);  // nothing is left to fire
        });
        auto other = green::spawn([] { green::sleep(0); });
        victim.wait();
        other.wait();
      },
      options);
  MESSAGE("schedules: ", result.schedules, ", in time ", in_time, ", late ", late);
  CHECK(result.complete);
  CHECK(in_time > 0);
  CHECK(late > 0);
}
