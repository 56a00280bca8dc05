#include <aio/queue.hpp>

#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/wait_for.hpp>

#include <functional>
#include <memory>
#include <stdexcept>

namespace {

aio::task<> produce(aio::Queue<int>& to, int count) {
  for (int i = 0; i < count; ++i) co_await to.put(i);
}
aio::task<int> sum(aio::Queue<int>& from, int count) {
  int total = 0;
  for (int i = 0; i < count; ++i) total += co_await from.get();
  co_return total;
}

}  // namespace

TEST_CASE("items come in order, across both worlds") {
  aio::Queue<int> queue(2);
  auto producer = aio::create_task(produce(queue, 10));
  for (int i = 0; i < 10; ++i) CHECK(green::awaitlet(queue.get()) == i);
  green::awaitlet(producer);
  auto consumer = aio::create_task(sum(queue, 5));
  for (int i = 0; i < 5; ++i) green::awaitlet(queue.put(i));
  CHECK(green::awaitlet(consumer) == 10);
}

TEST_CASE("a maxsize of 0 is no bound") {
  aio::Queue<int> queue;
  CHECK(queue.maxsize() == 0);
  for (int i = 0; i < 1000; ++i) queue.put_nowait(i);
  CHECK(!queue.full());
  CHECK(queue.qsize() == 1000);
  CHECK(green::awaitlet(queue.get()) == 0);
}

TEST_CASE("put_nowait and get_nowait throw QueueFull and QueueEmpty") {
  aio::Queue<int> queue(1);
  CHECK(queue.maxsize() == 1);
  CHECK(queue.empty());
  CHECK_THROWS_AS(queue.get_nowait(), aio::QueueEmpty);
  queue.put_nowait(1);
  CHECK(queue.full());
  CHECK_THROWS_AS(queue.put_nowait(2), aio::QueueFull);
  CHECK(queue.get_nowait() == 1);
}

TEST_CASE("put waits for room") {
  aio::Queue<int> queue(1);
  queue.put_nowait(1);
  auto putting = aio::create_task(queue.put(2));
  green::sleep(0);
  CHECK(!putting.done());
  CHECK(queue.get_nowait() == 1);
  green::awaitlet(putting);
  CHECK(queue.get_nowait() == 2);
}

TEST_CASE("join waits until each item is dealt with") {
  aio::Queue<int> queue;
  green::awaitlet(queue.join());
  queue.put_nowait(1);
  queue.put_nowait(2);
  auto joined = aio::create_task(queue.join());
  queue.get_nowait();
  queue.task_done();
  queue.get_nowait();
  green::sleep(0);
  CHECK(!joined.done());
  queue.task_done();
  green::awaitlet(joined);
  CHECK_THROWS_AS(queue.task_done(), std::invalid_argument);
}

TEST_CASE("LifoQueue and PriorityQueue") {
  aio::LifoQueue<int> last;
  aio::PriorityQueue<int> smallest;
  aio::PriorityQueue<int, std::greater<int>> largest;
  for (int i : {2, 3, 1}) {
    last.put_nowait(i);
    smallest.put_nowait(i);
    green::awaitlet(largest.put(i));
  }
  CHECK(green::awaitlet(last.get()) == 1);
  CHECK(green::awaitlet(smallest.get()) == 1);
  CHECK(green::awaitlet(smallest.get()) == 2);
  CHECK(green::awaitlet(largest.get()) == 3);
}

TEST_CASE("who gives up takes no item along") {
  aio::Queue<int> queue;
  CHECK_THROWS_AS(aio::run(aio::wait_for(queue.get(), 0.001)), aio::TimeoutError);
  auto victim = aio::create_task(queue.get());
  auto next = aio::create_task(queue.get());
  green::sleep(0);
  queue.put_nowait(1);
  victim.cancel();
  CHECK(green::awaitlet(next) == 1);
  CHECK(victim.cancelled());
}

TEST_CASE("move-only items") {
  aio::Queue<std::unique_ptr<int>> queue(1);
  green::awaitlet(queue.put(std::make_unique<int>(1)));
  auto putting = aio::create_task(queue.put(std::make_unique<int>(2)));
  green::sleep(0);
  CHECK(*green::awaitlet(queue.get()) == 1);
  CHECK(*green::awaitlet(queue.get()) == 2);
  green::awaitlet(putting);
}
