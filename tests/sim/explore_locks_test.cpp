// Every order of three actors with four steps each on semaphores and queues.

#include "harness.hpp"

#include <aio/aio.hpp>

#include <algorithm>
#include <mutex>

namespace {

using sim::require;
using uvlet::testing::explore;

}  // namespace

TEST_CASE("permits are conserved, and only one holds the lock, in every order") {
  const auto result = explore([] {
    green::Semaphore lock(1);
    int inside = 0;
    bool held[3] = {};
    auto acquire = [&](int who) {
      return [&, who] {
        lock.acquire();
        require(++inside == 1, "two hold the lock");
        held[who] = true;
      };
    };
    auto release = [&](int who) {
      return [&, who] {
        --inside;
        held[who] = false;
        lock.release();
      };
    };
    auto twice = [&](int who) {
      return sim::Steps{acquire(who), release(who), acquire(who), release(who)};
    };
    sim::act({twice(0), twice(1), twice(2)}, [&] { require(inside <= 1, "two hold the lock"); });
    require(lock.balance() == 1 && lock.counter() == 1, "a permit is lost");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
  CHECK(result.schedules >= 1000);
}

TEST_CASE("a killed acquirer passes its permit on, in every order") {
  const auto result = explore([] {
    green::Semaphore lock(1);
    int acquired = 0;
    auto worker = [&] {
      const std::lock_guard guard(lock);
      ++acquired;
      green::sleep(0);
    };
    auto victim = green::spawn(worker);
    auto second = green::spawn(worker);
    auto third = green::spawn(worker);
    auto killer = green::spawn([&] { victim.kill(); });
    killer.wait();
    second.wait();
    third.wait();
    try {
      victim.wait();
    } catch (const green::GreenletExit&) {
    }
    require(acquired >= 2 && lock.balance() == 1, "a permit is lost");
  });
  MESSAGE("schedules: ", result.schedules);
  CHECK(result.complete);
}

TEST_CASE("items come out once and in order, between green threads and tasks, in every order") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, green::unbounded}) {
    const auto result = explore([size] {
      green::Queue<int> queue(size);
      std::vector<int> got;
      auto producer = green::spawn([&] {
        for (int i = 0; i < 3; ++i) queue.put(i);
      });
      auto consume = [](green::Queue<int>& from, std::vector<int>& into) -> aio::task<void> {
        for (int i = 0; i < 2; ++i) {
          into.push_back(co_await from.get_async());
          from.task_done();
        }
      };
      auto task = aio::create_task(consume(queue, got));
      auto consumer = green::spawn([&] {
        got.push_back(queue.get());
        queue.task_done();
      });
      queue.join();
      green::awaitlet(task);
      consumer.wait();
      producer.wait();
      queue.join();
      std::sort(got.begin(), got.end());
      require(got == std::vector{0, 1, 2}, "an item is lost, or came twice");
      require(queue.qsize() == 0 && queue.getting() == 0 && queue.putting() == 0, "not empty");
    });
    MESSAGE("schedules: ", result.schedules);
    CHECK(result.complete);
  }
}

TEST_CASE("a killed getter loses no item, in every order") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}}) {
    int victim_got = 0;
    const auto result = explore([&, size] {
      green::Queue<int> queue(size);
      int sum = 0;
      auto victim = green::spawn([&] {
        sum += queue.get();
        ++victim_got;
      });
      auto other = green::spawn([&] { sum += queue.get(); });
      auto producer = green::spawn([&] {
        queue.put(1);
        queue.put(10);
      });
      auto killer = green::spawn([&] { victim.kill(); });
      killer.wait();
      other.wait();
      try {
        victim.wait();
      } catch (const green::GreenletExit&) {
        sum += queue.get();  // what the victim did not take is there
      }
      producer.wait();
      require(sum == 11, "an item is lost, or came twice");
    });
    MESSAGE("schedules: ", result.schedules, ", in which the victim got one: ", victim_got);
    CHECK(result.complete);
    CHECK(victim_got > 0);
  }
}
