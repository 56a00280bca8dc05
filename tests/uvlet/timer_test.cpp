#include <uvlet/timer.hpp>

#include "../support.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <random>

using uvlet::Time;
using uvlet::TimerHeap;

namespace {

struct Probe final : uvlet::Timer {
  Probe(test::Log& where, std::string label) : log(where), name(std::move(label)) {}
  void expire() noexcept override {
    log(name);
    if (action) action();
  }
  test::Log& log;
  std::string name;
  std::function<void()> action;
};

}  // namespace

TEST_CASE("timers expire in the order of their deadlines") {
  test::Log log;
  TimerHeap heap;
  Probe a(log, "a"), b(log, "b"), c(log, "c");
  heap.start(c, 30);
  heap.start(a, 10);
  heap.start(b, 20);
  CHECK(heap.next_deadline() == 10);
  heap.fire(100);
  CHECK(log.text() == "a b c");
  CHECK(heap.empty());
}

TEST_CASE("equal deadlines expire in the order of their starts") {
  test::Log log;
  TimerHeap heap;
  std::vector<std::unique_ptr<Probe>> probes;
  std::string wanted;
  for (int i = 0; i < 40; ++i) {
    probes.push_back(std::make_unique<Probe>(log, std::to_string(i)));
    heap.start(*probes.back(), 7);
    wanted += (i ? " " : "") + std::to_string(i);
  }
  heap.fire(7);
  CHECK(log.text() == wanted);
}

TEST_CASE("a timer does not expire before its deadline") {
  test::Log log;
  TimerHeap heap;
  Probe a(log, "a");
  heap.start(a, 10);
  heap.fire(9);
  CHECK(log.text().empty());
  CHECK(a.pending());
  heap.fire(10);
  CHECK(log.text() == "a");
  CHECK_FALSE(a.pending());
}

TEST_CASE("a cancelled timer does not expire, and may be started again") {
  test::Log log;
  TimerHeap heap;
  Probe a(log, "a"), b(log, "b");
  heap.start(a, 10);
  heap.start(b, 20);
  a.cancel_timer();
  a.cancel_timer();  // twice is as good as once
  CHECK_FALSE(a.pending());
  CHECK(heap.size() == 1);
  heap.fire(15);
  CHECK(log.text().empty());
  heap.start(a, 16);
  heap.fire(30);
  CHECK(log.text() == "a b");
}

TEST_CASE("a timer that is destroyed leaves the heap") {
  test::Log log;
  TimerHeap heap;
  Probe a(log, "a");
  heap.start(a, 10);
  {
    Probe b(log, "b");
    heap.start(b, 5);
  }
  CHECK(heap.size() == 1);
  CHECK(heap.next_deadline() == 10);
  heap.fire(10);
  CHECK(log.text() == "a");
}

TEST_CASE("a heap that is destroyed leaves its timers idle") {
  test::Log log;
  Probe a(log, "a");
  {
    TimerHeap heap;
    heap.start(a, 10);
    CHECK(a.pending());
  }
  CHECK_FALSE(a.pending());
}

TEST_CASE("a deadline of never starts nothing") {
  test::Log log;
  TimerHeap heap;
  Probe a(log, "a");
  heap.start(a, uvlet::never);
  CHECK_FALSE(a.pending());
  CHECK(heap.empty());
  CHECK(heap.next_deadline() == uvlet::never);
  heap.fire(uvlet::never);
  CHECK(log.text().empty());
}

TEST_CASE("what is started while timers expire waits for the next turn, even if due") {
  test::Log log;
  TimerHeap heap;
  Probe a(log, "a"), b(log, "b");
  a.action = [&] { heap.start(b, 0); };
  heap.start(a, 10);
  heap.fire(10);
  CHECK(log.text() == "a");
  CHECK(b.pending());
  heap.fire(10);
  CHECK(log.text() == "a b");
}

TEST_CASE("a timer that starts itself anew does not keep fire from returning") {
  test::Log log;
  TimerHeap heap;
  Probe a(log, "a");
  a.action = [&] { heap.start(a, 1); };
  heap.start(a, 1);
  heap.fire(5);
  CHECK(log.text() == "a");
  heap.fire(5);
  CHECK(log.text() == "a a");
}

TEST_CASE("a timer that is due may be cancelled by one that expires before it") {
  test::Log log;
  TimerHeap heap;
  Probe a(log, "a"), b(log, "b"), c(log, "c");
  a.action = [&] { b.cancel_timer(); };
  heap.start(a, 1);
  heap.start(b, 2);
  heap.start(c, 3);
  heap.fire(5);
  CHECK(log.text() == "a c");
}

// An ordered map holds the same timers: every step must agree with it.
TEST_CASE("random starts, cancels and fires agree with an ordered map") {
  struct Numbered final : uvlet::Timer {
    void expire() noexcept override { expired->push_back(number); }
    int number = 0;
    std::vector<int>* expired = nullptr;
  };
  constexpr int count = 300;
  constexpr int steps = 30'000;
  std::mt19937 random(20240607);
  std::vector<int> expired;
  std::vector<Numbered> timers(count);
  for (int i = 0; i < count; ++i) timers[i].number = i, timers[i].expired = &expired;
  std::multimap<Time, int> oracle;  // equal keys stay in the order of insertion
  TimerHeap heap;
  Time now = 0;
  int wrong = 0;
  for (int step = 0; step < steps; ++step) {
    const int index = static_cast<int>(random() % count);
    Numbered& timer = timers[index];
    if (random() % 8 == 0) {
      now += random() % 50;
      expired.clear();
      heap.fire(now);
      std::vector<int> wanted;
      while (!oracle.empty() && oracle.begin()->first <= now) {
        wanted.push_back(oracle.begin()->second);
        oracle.erase(oracle.begin());
      }
      wrong += expired != wanted;
    } else if (timer.pending()) {
      timer.cancel_timer();
      std::erase_if(oracle, [&](const auto& entry) { return entry.second == index; });
    } else {
      const Time deadline = now + static_cast<Time>(random() % 200);
      heap.start(timer, deadline);
      oracle.emplace(deadline, index);
    }
    wrong += heap.size() != oracle.size();
    wrong += heap.next_deadline() != (oracle.empty() ? uvlet::never : oracle.begin()->first);
  }
  CHECK(wrong == 0);
}

TEST_CASE("a hub's timers never fire early") {
  uvlet::Hub& hub = uvlet::Hub::get();
  for (const double length : {0.0001, 0.0015, 0.005, 0.0201}) {
    const Time start = hub.now();
    green::sleep(length);
    CHECK(hub.now() - start >= static_cast<Time>(length * 1e9));
  }
}

TEST_CASE("sleepers with equal lengths wake in the order in which they began") {
  test::in_green_thread([] {
    test::Log log;
    std::vector<green::GreenThread<void>> threads;
    for (int i = 0; i < 5; ++i)
      threads.push_back(green::spawn([&log, i] {
        green::sleep(0.005);
        log(std::to_string(i));
      }));
    for (auto& thread : threads) thread.wait();
    CHECK(log.text() == "0 1 2 3 4");
  });
}

TEST_CASE("the hub's count of timers follows sleeps and kills") {
  uvlet::Hub& hub = uvlet::Hub::get();
  const std::size_t before = hub.stats().timers;
  auto thread = green::spawn([] { green::sleep(test::watchdog); });
  green::sleep(0);
  CHECK(hub.stats().timers == before + 1);
  thread.kill();
  CHECK(hub.stats().timers == before);
}

TEST_CASE("a timer that expires may cancel itself and others, start anew, or be destroyed") {
  test::Log log;
  TimerHeap heap;
  Probe a(log, "a"), b(log, "b"), c(log, "c");
  a.action = [&] {
    a.cancel_timer();  // it is not pending any more
    b.cancel_timer();
    c.cancel_timer();
    heap.start(c, 10);
    if (log.entries().size() < 2) heap.start(a, 10);
  };
  heap.start(a, 10);
  heap.start(b, 10);
  heap.start(c, 20);
  heap.fire(30);
  CHECK(log.text() == "a");  // what was started meanwhile waits for the next call
  heap.fire(30);
  CHECK(log.text() == "a c a");
  CHECK(heap.size() == 1);

  struct OfItself final : uvlet::Timer {
    explicit OfItself(int& counter) : counted(counter) {}
    void expire() noexcept override { delete this; }
    test::Counted counted;
  };
  int alive = 0;
  for (const Time deadline : {5, 7, 6, 7}) heap.start(*new OfItself(alive), deadline);
  CHECK(alive == 4);
  heap.fire(6);
  CHECK(alive == 2);
  heap.fire(7);
  CHECK(alive == 0);
  CHECK(heap.size() == 1);
}
