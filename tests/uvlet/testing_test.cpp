#include <uvlet/testing.hpp>

#include <uvlet/testing_new.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace testing = uvlet::testing;
using testing::explore;
using testing::simulate;

// Three that sleep, yield and wake each other.
void busy_program() {
  green::GreenPool pool(3);
  green::Event<int> event;
  for (int i = 0; i < 5; ++i)
    pool.spawn_n([&, i] {
      for (int j = 0; j < 4; ++j) green::sleep(j % 2 == 0 ? 0 : 0.001 * (i + 1));
      if (i == 3) event.send(7);
    });
  event.wait();
  pool.waitall();
}

testing::Report run_with(std::uint64_t seed) {
  testing::SimulationOptions options(seed);
  options.keep_log = true;
  return simulate(options, busy_program);
}

}  // namespace

TEST_CASE("two runs of one seed give the same log, two seeds differ") {
  const testing::Report first = run_with(1);
  const testing::Report again = run_with(1);
  const testing::Report other = run_with(2);
  CHECK(first.log.size() >= first.switches);
  CHECK(first.log == again.log);
  CHECK(first.fingerprint == again.fingerprint);
  CHECK(first.seconds == again.seconds);
  CHECK(first.log != other.log);
  CHECK(first.fingerprint != other.fingerprint);
}

TEST_CASE("faults repeat with their seed as well") {
  testing::SimulationOptions options(5);
  options.faults.early_timeouts = options.faults.delayed_wakes = 0.2;
  options.faults.kills = 0.05;
  auto program = [] {
    green::GreenPool pool(4);
    for (int i = 0; i < 20; ++i)
      testing::expose(pool.spawn([] {
        for (int j = 0; j < 5; ++j) green::sleep(0.001 * j);
      }));
    pool.waitall();
  };
  const test::Quiet quiet;
  const auto first = simulate(options, program);
  const auto again = simulate(options, program);
  CHECK(first.kills > 0);
  CHECK(first.fingerprint == again.fingerprint);
  CHECK(first.left == 0);
}

TEST_CASE("an hour of time limits takes no time") {
  int expired = 0;
  const auto report = simulate({}, [&] {
    for (int i = 0; i < 3600; ++i)
      expired += !green::move_on_after(1, [] { green::Event<>().wait(); });
  });
  CHECK(expired == 3600);
  CHECK(report.seconds == doctest::Approx(3600));
}

TEST_CASE("a simulation rethrows what its program throws, and reports what it leaves") {
  CHECK_THROWS_AS(simulate({}, [] { throw std::runtime_error("mine"); }), std::runtime_error);
  int alive = 0;
  const auto report = simulate({}, [&] {
    green::spawn([counted = test::Counted(alive)] { green::sleep(test::watchdog); });
    green::sleep(0);
  });
  CHECK(report.left == 1);
  CHECK(alive == 0);  // it was killed at the end
}

TEST_CASE("a simulation knows a deadlock, whatever other threads do") {
  green::sleep(0);  // this thread has a hub as well
  CHECK_THROWS_AS(simulate({}, [] { green::Event<>().wait(); }), uvlet::Deadlock);
}

TEST_CASE("one that only yields does not stop the clock") {
  simulate({}, [] {
    bool late = false;
    auto timer = green::spawn([&] {
      green::sleep(1);
      late = true;
    });
    while (!late) green::sleep(0);
    timer.wait();
  });
}

TEST_CASE("choices of the program repeat with the seed") {
  auto numbers = [](std::uint64_t seed) {
    std::vector<std::size_t> drawn;
    simulate(seed, [&] {
      for (int i = 0; i < 20; ++i) drawn.push_back(testing::choose(100));
    });
    return drawn;
  };
  CHECK(numbers(3) == numbers(3));
  CHECK(numbers(3) != numbers(4));
  CHECK_THROWS_AS(testing::choose(2), std::logic_error);  // not here
  CHECK_THROWS_AS(simulate({}, [] { testing::choose(0); }), std::invalid_argument);
}

TEST_CASE("explore runs a program in every order there is") {
  std::vector<std::string> orders;
  const auto result = explore([&] {
    std::string order;
    auto step = [&](char who) { order += who; };
    auto a = green::spawn([&] {
      step('a');
      green::sleep(0);
      step('A');
    });
    auto b = green::spawn([&] { step('b'); });
    a.wait();
    b.wait();
    if (std::find(orders.begin(), orders.end(), order) == orders.end()) orders.push_back(order);
  });
  std::sort(orders.begin(), orders.end());
  CHECK(orders == std::vector<std::string>{"aAb", "abA", "baA"});
  CHECK(result.complete);
  CHECK(result.schedules >= 3);
}

TEST_CASE("explore finds the one order that goes wrong, and runs it again") {
  // A lost update: read, wait, write.
  auto program = [] {
    int counter = 0;
    auto add = [&] {
      const int seen = counter;
      green::sleep(0);
      counter = seen + 1;
    };
    auto a = green::spawn(add);
    auto b = green::spawn(add);
    a.wait();
    b.wait();
    if (counter != 2) throw std::runtime_error("lost an update");
  };
  CHECK_THROWS_WITH(explore(program), "lost an update");
  testing::ExploreOptions only;
  only.schedule = {0, 0, 0, 0};
  CHECK_THROWS_WITH(explore(program, only), "lost an update");
}

TEST_CASE("explore refuses what it cannot repeat") {
  CHECK_THROWS_AS(explore([] { green::spawn([] { green::sleep(1); }); }), std::logic_error);
  int runs = 0;
  CHECK_THROWS_AS(explore([&] {
                    ++runs;
                    std::vector<green::GreenThread<void>> some;
                    for (int i = 0; i < 1 + runs; ++i) some.push_back(green::spawn([] {}));
                    for (auto& one : some) one.wait();
                  }),
                  std::logic_error);
}

TEST_CASE("a kill at each switch reaches every wait of a program") {
  std::vector<int> reached(4);
  const std::uint64_t switches = testing::kill_at_each_switch({}, [&] {
    int step = 0;
    auto victim = green::spawn([&] {
      for (; step < 3; ++step) green::sleep(0.001);
    });
    testing::expose(victim);
    try {
      victim.wait();
    } catch (const green::GreenletExit&) {
    }
    ++reached[static_cast<std::size_t>(step)];
  });
  CHECK(switches >= 5);
  for (const int count : reached) CHECK(count > 0);
}

TEST_CASE("short transfers and EAGAIN do not change what arrives") {
  testing::SimulationOptions options(11);
  options.faults.short_transfers = options.faults.would_block = 0.5;
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>('a' + i % 26);
  std::string green_got, task_got;
  const auto report = simulate(options, [&] {
    const auto [first, second] = testing::stream_pair();
    auto sender = green::spawn([&, fd = first] {
      green::Socket socket = green::Socket::from_fd(fd);
      socket.sendall(text);
      for (std::string part; !(part = socket.recv(700)).empty();) green_got += part;
    });
    auto stream = aio::Stream::from_fd(second);
    auto echo = [](aio::Stream peer, std::string& got, std::size_t bytes) -> aio::task<void> {
      got = co_await peer.readexactly(bytes);
      peer.write(got);
      peer.write_eof();
      co_await peer.drain();
      peer.close();
      co_await peer.wait_closed();
    };
    green::awaitlet(echo(std::move(stream), task_got, text.size()));
    sender.wait();
  });
  CHECK(task_got == text);
  CHECK(green_got == text);
  CHECK(report.switches > 10);
}

TEST_CASE("wait_all_blocked returns when nobody else can go on") {
  green::Event<int> event;
  int steps = 0;
  auto waiter = green::spawn([&] {
    for (; steps < 10; ++steps) green::sleep(0);
    return event.wait();
  });
  testing::wait_all_blocked();
  CHECK(steps == 10);
  CHECK_FALSE(waiter.dead());
  event.send(3);
  testing::wait_all_blocked();
  CHECK(waiter.dead());
  auto in_a_task = []() -> aio::task<int> {
    co_await testing::wait_all_blocked_async();
    co_return 5;
  };
  CHECK(aio::run(in_a_task()) == 5);
}

TEST_CASE("wait_all_blocked does not wait for timers, and can be killed") {
  auto sleeper = green::spawn([] { green::sleep(test::watchdog); });
  testing::wait_all_blocked();
  CHECK_FALSE(sleeper.dead());
  auto spinner = green::spawn([] {
    for (;;) green::sleep(0);
  });
  auto waiter = green::spawn([] { testing::wait_all_blocked(); });
  green::sleep(0);
  waiter.kill();
  CHECK_THROWS_AS(waiter.wait(), green::GreenletExit);
  spinner.kill();
  sleeper.kill();
}

TEST_CASE("a sequencer puts blocks in one order") {
  test::Log log;
  testing::Sequencer sequence;
  auto block = [&](unsigned place, std::string name) {
    const auto turn = sequence(place);
    log(name + "+");
    green::sleep(0);
    log(name + "-");
  };
  auto c = green::spawn(block, 2U, "c");
  auto a = green::spawn(block, 0U, "a");
  auto b = green::spawn(block, 1U, "b");
  c.wait();
  CHECK(log.text() == "a+ a- b+ b- c+ c-");
  CHECK_THROWS_AS(sequence(1), std::logic_error);
}

TEST_CASE("each allocation of a program can fail, and nothing is lost") {
  const test::Quiet quiet;
  int alive = 0;
  green::spawn([] {}).wait();
  std::uint64_t failed = testing::fail_each_allocation([&] {
    struct Watch {
      int& count;
      ~Watch() { CHECK(count == 0); }
    } watch{alive};
    auto thread = green::spawn([](const std::string& text, test::Counted) { return text + text; },
                               std::string(100, 'x'), test::Counted(alive));
    const std::string doubled = std::move(thread).wait();
    CHECK(doubled.size() == 200);
  });
  CHECK(failed >= 2);
  CHECK(alive == 0);
}
