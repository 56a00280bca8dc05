#include <green/queue.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <functional>
#include <memory>
#include <stdexcept>

namespace {

auto put(green::LightQueue<int>& queue, int item) {
  return green::spawn([&queue, item] { queue.put(item); });
}
auto get(green::LightQueue<int>& queue) {
  return green::spawn([&queue] { return queue.get(); });
}

// Puts, or gets, all of the numbers below `count`, in order.
template <class Q>
aio::task<void> put_all(Q& queue, int count) {
  for (int i = 0; i < count; ++i) co_await queue.put_async(i);
}
template <class Q>
aio::task<std::vector<int>> get_all(Q& queue, int count) {
  std::vector<int> items;
  for (int i = 0; i < count; ++i) items.push_back(co_await queue.get_async());
  co_return items;
}

}  // namespace

// test_channel_send
TEST_CASE("the getter runs before put returns") {
  green::Queue<std::string> channel(0);
  test::Log log;
  auto getter = green::spawn([&] {
    log(channel.get());
    log(channel.get());
  });
  SUBCASE("a getter that comes later") {}
  SUBCASE("a getter that waits already") { green::sleep(0); }
  log("sending");
  channel.put("hello");
  log("sent-hello");
  channel.put("world");
  log("sent-world");
  CHECK(log.text() == "sending hello sent-hello world sent-world");
  getter.wait();
}

// test_channel_wait
TEST_CASE("a get takes what a putter holds without waiting for it to run") {
  green::Queue<std::string> channel(0);
  test::Log log;
  auto putter = green::spawn([&] {
    log("sending-hello");
    channel.put("hello");
    log("sending-world");
    channel.put("world");
    log("sent-world");
  });
  log("waiting");
  log(channel.get());
  log(channel.get());
  CHECK(log.text() == "waiting sending-hello hello sending-world world");
  green::sleep(0);
  CHECK(log.text() == "waiting sending-hello hello sending-world world sent-world");
  putter.wait();
}

// test_zero_max_size
TEST_CASE("put waits until a getter has come") {
  green::Queue<std::string> channel(0);
  auto sender = green::spawn([&] { channel.put("hi"); });
  green::sleep(0);
  CHECK_FALSE(sender.dead());
  CHECK(channel.putting() == 1);
  CHECK(channel.empty());
  CHECK(channel.full());
  CHECK(channel.qsize() == 0);
  auto receiver = green::spawn([&] { return channel.get(); });
  CHECK(receiver.wait() == "hi");
  sender.wait();
}

// test_channel_waiters
TEST_CASE("getters and putters meet in the order in which they came") {
  green::Queue<int> channel(0);
  std::vector<green::GreenThread<int>> getters;
  std::vector<green::GreenThread<void>> putters;
  for (int i = 0; i < 3; ++i) getters.push_back(get(channel));
  green::sleep(0);
  CHECK(channel.getting() == 3);
  for (int i = 0; i < 3; ++i) putters.push_back(put(channel, i));
  for (auto& putter : putters) putter.wait();
  CHECK(channel.getting() == 0);
  for (int i = 0; i < 3; ++i) CHECK(getters[static_cast<std::size_t>(i)].wait() == i);
}

// test_channel_sender_timing_out
TEST_CASE("a putter whose time is over leaves nothing") {
  green::Queue<std::string> channel(0);
  CHECK_THROWS_AS(channel.put("hi", 0.001), green::Full);
  CHECK_THROWS_AS(channel.put("hi", 0), green::Full);
  CHECK_THROWS_AS(channel.get_nowait(), green::Empty);
  CHECK_THROWS_AS(channel.get(0.001), green::Empty);
  CHECK(channel.unfinished_tasks() == 0);
  CHECK(channel.putting() == 0);
  CHECK(channel.getting() == 0);
}

// test_task_done
TEST_CASE("what goes through a channel is a task to be done") {
  green::Queue<int> channel(0);
  auto putter = put(channel, 7);
  CHECK(channel.get() == 7);
  CHECK(channel.unfinished_tasks() == 1);
  channel.task_done();
  CHECK(channel.unfinished_tasks() == 0);
  CHECK_THROWS_AS(channel.task_done(), std::invalid_argument);
  putter.wait();
}

// test_zero_length_queue_nonblocking_put
TEST_CASE("getters that are killed are passed over") {
  green::Queue<int> channel(0);
  std::vector<int> got;
  std::vector<green::GreenThread<void>> good;
  std::vector<green::GreenThread<void>> bad;
  auto fetch = [&] { got.push_back(channel.get()); };
  const test::Quiet quiet;
  for (int i = 0; i < 10; ++i) {
    good.push_back(green::spawn(fetch));
    bad.push_back(green::spawn(fetch));
  }
  green::sleep(0);
  SUBCASE("before the put") {
    for (auto& thread : bad) thread.kill(std::runtime_error("kaboom"));
    for (int i = 0; i < 10; ++i) channel.put(i);
  }
  SUBCASE("after the put") {
    test::in_libuv_callback([&] {  // where kill does not switch
      for (int i = 0; i < 10; ++i) channel.put_nowait(i);
      for (auto& thread : bad) thread.kill(std::runtime_error("kaboom"));
    });
    for (auto& thread : good) thread.wait();
  }
  CHECK(got == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("put_nowait succeeds if and only if a getter really waits") {
  green::Queue<int> channel(0);
  CHECK_THROWS_AS(channel.put_nowait(1), green::Full);
  CHECK_FALSE(channel.try_put(1));
  auto dead = get(channel);
  auto getter = get(channel);
  green::sleep(0);
  dead.kill();
  channel.put_nowait(2);
  CHECK(channel.empty());
  CHECK(channel.full());
  CHECK_THROWS_AS(channel.put_nowait(3), green::Full);
  CHECK_THROWS_AS(channel.get_nowait(), green::Empty);
  CHECK(getter.wait() == 2);
  CHECK(channel.empty());
}

TEST_CASE("get_nowait takes what a putter holds") {
  green::Queue<int> channel(0);
  auto a = put(channel, 1);
  auto b = put(channel, 2);
  green::sleep(0);
  CHECK(channel.get_nowait() == 1);
  CHECK(channel.try_get() == 2);
  CHECK_THROWS_AS(channel.get_nowait(), green::Empty);
  a.wait();
  b.wait();
}

TEST_CASE("an item given to a getter that is killed waits for the next one") {
  green::Queue<int> channel(0);
  auto killed = get(channel);
  green::sleep(0);
  channel.put_nowait(1);
  killed.kill();
  CHECK(channel.qsize() == 1);
  CHECK_FALSE(channel.empty());
  CHECK(channel.get_nowait() == 1);
}

TEST_CASE("a getter killed as a putter comes leaves him to the next") {
  green::Queue<int> channel(0);
  auto killed = get(channel);
  green::sleep(0);
  test::Log log;
  auto putter = green::spawn([&] {
    channel.put(1);
    log("put");
  });
  auto killer = green::spawn([&] { killed.kill(); });
  killer.wait();
  green::sleep(0);
  CHECK(log.text().empty());
  CHECK(channel.putting() == 1);
  CHECK(channel.get() == 1);
  putter.wait();
}

TEST_CASE("a putter killed as a getter was woken for him: the getter waits on, in his place") {
  green::Queue<int> channel(0);
  auto first = get(channel);
  auto second = get(channel);
  auto third = get(channel);
  green::sleep(0);
  // In one turn, before any getter runs: two come and the first of them is killed.
  green::GreenThread<void> killed = put(channel, 1);
  green::GreenThread<void> patient = put(channel, 2);
  auto killer = green::spawn([&] {
    CHECK(channel.getting() == 1);
    killed.kill();
  });
  killer.wait();
  patient.wait();
  CHECK(first.wait() == 2);
  CHECK_FALSE(second.dead());
  CHECK(channel.getting() == 2);
  channel.put(3);
  channel.put(4);
  CHECK(second.wait() == 3);
  CHECK(third.wait() == 4);
}

TEST_CASE("a coroutine that was woken for a putter that is killed waits on") {
  green::Queue<int> channel(0);
  auto coroutine = aio::create_task(get_all(channel, 1));
  green::sleep(0.001);
  CHECK(channel.getting() == 1);
  auto killed = put(channel, 1);
  auto killer = green::spawn([&] {
    CHECK(channel.getting() == 0);
    killed.kill();
    CHECK(channel.getting() == 1);
  });
  killer.wait();
  CHECK_FALSE(coroutine.done());
  channel.put(2);
  CHECK(green::awaitlet(coroutine) == std::vector<int>{2});
}

TEST_CASE("a getter whose time ended after the promise does not wait again when it is broken") {
  green::Queue<int> channel(0);
  bool promised = false;
  while (!promised) {  // until no turn of the loop comes between
    for (int i = 0; i < 10'000; ++i) green::sleep(0);
    auto getter = green::spawn([&] { CHECK_THROWS_AS(channel.get(0.001), green::Empty); });
    test::overdue(0.001);
    auto putter = green::spawn([&] {
      promised = channel.getting() == 1;
      channel.put(1);
    });
    auto turner = green::spawn([] {
      const green::Shield shield;
      green::getcurrent().kill();
      green::sleep(0);  // with a kill pending: by way of the loop, which sees that the time is over
    });
    auto killer = green::spawn([&] {
      CHECK(channel.getting() == 0);
      putter.kill();
      CHECK(channel.getting() == 0);
    });
    green::with_timeout(test::watchdog, [&] { getter.wait(); });
    killer.wait();
  }
}

// test_resize_up, test_resize_to_Unlimited
TEST_CASE("a channel that grows takes what its putters hold") {
  green::Queue<int> queue(0);
  auto a = put(queue, 1);
  auto b = put(queue, 2);
  green::sleep(0);
  queue.resize(1);
  green::sleep(0);
  CHECK(a.dead());
  CHECK_FALSE(b.dead());
  CHECK(queue.qsize() == 1);
  queue.resize(green::unbounded);
  green::sleep(0);
  CHECK(b.dead());
  CHECK(queue.get() == 1);
  CHECK(queue.get() == 2);
}

TEST_CASE("a queue that becomes a channel gives its items first") {
  green::Queue<int> queue(1);
  queue.put(1);
  auto putter = put(queue, 2);
  green::sleep(0);
  queue.resize(0);
  CHECK(queue.qsize() == 1);
  CHECK_FALSE(queue.empty());
  CHECK(queue.full());
  CHECK_FALSE(queue.try_put(3));
  CHECK(queue.get() == 1);
  CHECK(queue.empty());
  CHECK(queue.get() == 2);
  putter.wait();
}

// TestNoWait: put_nowait_simple, get_nowait_simple
TEST_CASE("in a libuv callback what need not wait works") {
  green::Queue<int> queue(1);
  test::in_libuv_callback([&] {
    queue.put(2);
    CHECK_THROWS_AS(queue.put_nowait(3), green::Full);
    CHECK_THROWS_AS(queue.put(3), green::NoAwaitletContext);
    CHECK_THROWS_AS(queue.put(3, 1), green::NoAwaitletContext);
    CHECK(queue.get() == 2);
    CHECK_THROWS_AS(queue.get_nowait(), green::Empty);
    CHECK_THROWS_AS(queue.get(), green::NoAwaitletContext);
    CHECK_THROWS_AS(queue.get(1), green::NoAwaitletContext);
    CHECK_THROWS_AS(queue.join(), green::NoAwaitletContext);
    queue.task_done();
    queue.join();
  });
  CHECK(queue.empty());
}

// TestNoWait: get_nowait_unlock, put_nowait_unlock
TEST_CASE("in a libuv callback a channel meets who waits") {
  green::Queue<int> channel(0);
  auto putter = put(channel, 5);
  green::sleep(0);
  test::in_libuv_callback([&] {
    CHECK(channel.get_nowait() == 5);
    CHECK_THROWS_AS(channel.put(1), green::NoAwaitletContext);
  });
  putter.wait();
  auto getter = get(channel);
  green::sleep(0);
  test::in_libuv_callback([&] { channel.put_nowait(10); });
  CHECK(getter.wait() == 10);
  CHECK(channel.full());
  CHECK(channel.empty());
}

// test_wait_except
TEST_CASE("what a getter does with its item does not concern the putter") {
  green::Queue<int> queue;
  const test::Quiet quiet;
  auto getter = green::spawn([&] {
    queue.get();
    throw std::runtime_error("the getter's own");
  });
  green::sleep(0);
  queue.put(1);
  green::sleep(0);
  CHECK_THROWS_AS(getter.wait(), std::runtime_error);
}

TEST_CASE("a LifoQueue gives the last, a PriorityQueue the smallest") {
  green::LifoQueue<int> last;
  green::PriorityQueue<int> smallest;
  green::PriorityQueue<int, std::greater<>> greatest;
  for (int item : {2, 3, 1}) {
    last.put(item);
    smallest.put(item);
    greatest.put(item);
  }
  for (int item : {1, 3, 2}) CHECK(last.get() == item);
  for (int item : {1, 2, 3}) CHECK(smallest.get() == item);
  for (int item : {3, 2, 1}) CHECK(greatest.get() == item);
  CHECK(last.unfinished_tasks() == 3);
  CHECK_THROWS_AS(smallest.get_nowait(), green::Empty);
  for (int i = 0; i < 3; ++i) smallest.task_done();
  smallest.join();
  CHECK_THROWS_AS(smallest.task_done(), std::invalid_argument);
}

TEST_CASE("a getter that was woken takes the smallest of what has come until it runs") {
  green::PriorityQueue<std::unique_ptr<int>,
                       bool (*)(const std::unique_ptr<int>&, const std::unique_ptr<int>&)>
      queue(green::unbounded, [](const auto& a, const auto& b) { return *a < *b; });
  auto getter = green::spawn([&] { return *queue.get(); });
  green::sleep(0);
  queue.put(std::make_unique<int>(5));
  queue.put(std::make_unique<int>(1));
  CHECK(getter.wait() == 1);
  CHECK(*queue.get() == 5);
}

TEST_CASE("of who waits to put the first one comes first, whatever he holds") {
  green::PriorityQueue<int> queue(1);
  queue.put(5);
  std::vector<green::GreenThread<void>> putters;
  for (int item : {3, 1}) putters.push_back(green::spawn([&queue, item] { queue.put(item); }));
  green::sleep(0);
  CHECK(queue.get() == 5);
  CHECK(queue.get() == 3);
  CHECK(queue.get() == 1);
  for (auto& putter : putters) putter.wait();
}

TEST_CASE_TEMPLATE("coroutines and green threads put and get, either way, on every type", Q,
                   green::LightQueue<int>, green::Queue<int>, green::LifoQueue<int>,
                   green::PriorityQueue<int>) {
  for (const std::size_t maxsize : {std::size_t{0}, std::size_t{1}}) {
    constexpr int count = 20;
    std::vector<int> expected;
    for (int i = 0; i < count; ++i) expected.push_back(i);
    Q queue(maxsize);
    auto producer = aio::create_task(put_all(queue, count));
    std::vector<int> got;
    for (int i = 0; i < count; ++i) got.push_back(queue.get());
    green::awaitlet(producer);
    CHECK(got == expected);
    auto consumer = aio::create_task(get_all(queue, count));
    for (int i = 0; i < count; ++i) queue.put(i);
    CHECK(green::awaitlet(consumer) == expected);
    auto late = aio::create_task([](Q& from) -> aio::task<int> {
      try {
        co_return co_await from.get_async(0.001);
      } catch (const green::Empty&) {
      }
      for (std::size_t room = from.maxsize(); room > 0; --room) co_await from.put_async(1);
      try {
        co_await from.put_async(2, 0.001);
      } catch (const green::Full&) {
        co_return -1;
      }
      co_return -2;
    }(queue));
    CHECK(green::awaitlet(late) == -1);
  }
}

TEST_CASE("cancelled coroutines leave no item, and take none") {
  green::Queue<int> channel(0);
  auto producer = aio::create_task(put_all(channel, 1));
  green::sleep(0.001);
  producer.cancel();
  CHECK_THROWS_AS(green::awaitlet(producer), aio::CancelledError);
  CHECK(channel.try_get() == std::nullopt);
  auto consumer = aio::create_task(get_all(channel, 1));
  green::sleep(0.001);
  channel.put_nowait(1);
  consumer.cancel();
  CHECK_THROWS_AS(green::awaitlet(consumer), aio::CancelledError);
  CHECK(channel.try_get() == 1);
}
