// Every order of three actors with four steps each on an Event.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <optional>

namespace {

using sim::require;
using uvlet::testing::explore;

}  // namespace

TEST_CASE("an Event that is sent and reset agrees with a model in every order") {
  const auto result = explore([] {
    green::Event<int> event;
    std::optional<int> model;
    auto send = [&](int value) {
      return [&, value] {
        if (model) {
          bool refused = false;
          try {
            event.send(value);
          } catch (const std::logic_error&) {
            refused = true;
          }
          require(refused, "an Event was sent twice");
        } else {
          event.send(value);
          model = value;
        }
      };
    };
    auto reset = [&] {
      if (!model) return;
      event.reset();
      model.reset();
    };
    auto poll = [&] { require(event.poll() == model, "poll differs from what was sent"); };
    sim::act({{send(1), reset, send(2), poll},
              {poll, send(3), reset, poll},
              {reset, poll, send(4), reset}},
             [&] { require(event.ready() == model.has_value(), "ready differs"); });
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
  CHECK(result.schedules == sim::orders({4, 4, 4}));
}

TEST_CASE("waiters of an Event are all woken, in every order, once each") {
  const auto result = explore([] {
    green::Event<int> event;
    int sent = 0, heard = 0;
    auto wait = [&] {
      const int value = event.wait();
      require(sent > 0 && value == sent, "a wait that ended with something else");
      ++heard;
    };
    auto nothing = [] {};
    auto wait_in_task = [&] {
      auto waits = [](green::Event<int>& from) -> aio::task<int> {
        co_return co_await from.wait_async();
      };
      require(green::awaitlet(waits(event)) == sent, "a task heard something else");
      ++heard;
    };
    auto send = [&] {
      sent = 7;
      event.send(7);
    };
    sim::act({{nothing, send, nothing, nothing},
              {wait, wait, nothing, wait},
              {wait_in_task, nothing, wait_in_task, wait}},
             [&] { require(heard == 0 || event.ready(), "heard before it was sent"); });
    require(heard == 6, "a wake-up was lost");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
  CHECK(result.schedules > 1000);
}

TEST_CASE("a waiter that is killed leaves the others theirs, in every order") {
  const auto result = explore([] {
    green::Event<> event;
    int heard = 0;
    auto waiter = [&] {
      event.wait();
      ++heard;
    };
    auto first = green::spawn(waiter);
    auto second = green::spawn(waiter);
    auto nothing = [] {};
    auto kill_later = [&] {  // unlike kill() it does not run its victim at once
      if (uvlet::Root* root = first.identity()->root) root->kill();
    };
    sim::act({{nothing, [&] { event.send(); }}, {nothing, kill_later}, {waiter}}, [] {});
    second.wait();
    int killed = 0;
    try {
      first.wait();
    } catch (const green::GreenletExit&) {
      killed = 1;
    }
    require(heard + killed == 3, "a wake-up was lost");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
}

TEST_CASE("a wait with a limit ends with the value or without, in every order of time") {
  uvlet::testing::ExploreOptions options;
  options.faults.early_timeouts = 1;
  int in_time = 0, late = 0;
  const auto result = explore(
      [&] {
        green::Event<int> event;
        auto limited = green::spawn([&] { return event.wait(0.001); });
        auto outer = green::spawn(
            [&] { return green::with_timeout_or(0.002, -1, [&] { return event.wait(); }); });
        green::sleep(0);
        green::sleep(0);
        event.send(7);
        const auto got = limited.wait();
        const int outer_got = outer.wait();
        require(!got || *got == 7, "a value that was never sent");
        require(outer_got == 7 || outer_got == -1, "a value that was never sent");
        ++(got ? in_time : late);
      },
      options);
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
  CHECK(in_time > 0);
  CHECK(late > 0);
}
