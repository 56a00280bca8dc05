#include <green/queue.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <type_traits>

namespace {

// test_waiters_that_cancel and others: a get that is interrupted at once.
std::string bail(green::Queue<std::string>& queue) {
  const green::Timeout timeout(0, std::runtime_error("bail"));
  try {
    return queue.get();
  } catch (const std::runtime_error&) {
    return "timed out";
  }
}

std::vector<int> drain(green::LightQueue<int>& queue) {
  std::vector<int> items;
  while (auto item = queue.try_get()) items.push_back(*item);
  return items;
}

auto put(green::LightQueue<int>& queue, int item) {
  return green::spawn([&queue, item] { queue.put(item); });
}
auto get(green::LightQueue<int>& queue) {
  return green::spawn([&queue] { return queue.get(); });
}

}  // namespace

TEST_CASE("the types are as promised") {
  using Q = green::Queue<int>;
  static_assert(std::is_base_of_v<green::LightQueue<int>, Q>);
  static_assert(std::is_same_v<std::optional<int>, decltype(std::declval<Q&>().try_get())>);
  static_assert(std::is_same_v<int, decltype(std::declval<Q&>().get())>);
  static_assert(std::is_same_v<std::size_t, decltype(std::declval<Q&>().unfinished_tasks())>);
  static_assert(std::is_base_of_v<std::runtime_error, green::Full>);
  static_assert(std::is_base_of_v<std::runtime_error, green::Empty>);
  CHECK(Q().maxsize() == green::unbounded);
  CHECK(std::string(green::Full().what()).size() > 0);
  CHECK(std::string(green::Empty().what()).size() > 0);
}

// test_send_first
TEST_CASE("what was put before is got at once") {
  green::Queue<std::string> queue;
  queue.put("hi");
  CHECK(queue.get() == "hi");
}

// test_send_last
TEST_CASE("a get waits for a put") {
  green::Queue<std::string> queue;
  auto waiter = green::spawn([&] { return queue.get(test::watchdog); });
  green::sleep(0);
  green::sleep(0);
  queue.put("hi2");
  CHECK(waiter.wait() == "hi2");
}

// test_getting_before_sending
TEST_CASE("a get that comes first gets what a green thread puts") {
  green::Queue<std::string> queue;
  auto sender = green::spawn([&] { queue.put("sent"); });
  CHECK(queue.get() == "sent");
  sender.wait();
}

// test_max_size
TEST_CASE("a put waits while the queue is full") {
  green::Queue<std::string> queue(2);
  test::Log log;
  auto putter = green::spawn([&] {
    for (const char* item : {"a", "b", "c"}) {
      queue.put(item);
      log(item);
    }
  });
  green::sleep(0);
  CHECK(log.text() == "a b");
  CHECK(queue.full());
  CHECK(queue.putting() == 1);
  CHECK(queue.get() == "a");
  green::sleep(0);
  CHECK(log.text() == "a b c");
  CHECK(queue.get() == "b");
  CHECK(queue.get() == "c");
  putter.wait();
}

TEST_CASE("put and get do not switch where they need not") {
  green::LightQueue<int> queue(1);
  bool others_ran = false;
  auto other = green::spawn([&] { others_ran = true; });
  queue.put(1);
  CHECK(queue.get() == 1);
  auto waiter = get(queue);
  CHECK_FALSE(others_ran);
  green::sleep(0);
  others_ran = false;
  queue.put(2);
  CHECK_FALSE(waiter.dead());
  CHECK(waiter.wait() == 2);
}

// test_resize_down, test_resize_up
TEST_CASE("shrinking keeps the items, growing wakes who waits to put") {
  green::Queue<int> queue(5);
  for (int i = 0; i < 5; ++i) queue.put(i);
  queue.resize(1);
  CHECK(queue.maxsize() == 1);
  CHECK(queue.qsize() == 5);
  CHECK(queue.full());
  CHECK_THROWS_AS(queue.put_nowait(9), green::Full);
  auto a = put(queue, 5);
  auto b = put(queue, 6);
  green::sleep(0);
  CHECK(queue.get() == 0);
  CHECK(queue.putting() == 2);
  queue.resize(5);
  CHECK(queue.putting() == 1);
  a.wait();
  CHECK_FALSE(b.dead());
  queue.resize(green::unbounded);
  b.wait();
  CHECK_FALSE(queue.full());
  CHECK(drain(queue) == std::vector<int>{1, 2, 3, 4, 5, 6});
}

// test_multiple_waiters
TEST_CASE("getters are served in the order in which they came") {
  green::Queue<int> queue;
  std::vector<green::GreenThread<int>> getters;
  for (int i = 0; i < 4; ++i) getters.push_back(get(queue));
  green::sleep(0);
  CHECK(queue.getting() == 4);
  for (int i = 0; i < 4; ++i) queue.put(i);
  for (int i = 0; i < 4; ++i) CHECK(getters[static_cast<std::size_t>(i)].wait() == i);
}

TEST_CASE("putters are served in the order in which they came") {
  green::Queue<int> queue(1);
  std::vector<green::GreenThread<void>> putters;
  for (int i = 0; i < 4; ++i) putters.push_back(put(queue, i));
  green::sleep(0);
  CHECK(queue.putting() == 3);
  for (int i = 0; i < 4; ++i) CHECK(queue.get() == i);
  for (auto& putter : putters) putter.wait();
}

TEST_CASE("nobody overtakes a getter that was woken for an item") {
  green::Queue<int> queue;
  auto first = get(queue);
  green::sleep(0);
  queue.put(1);
  CHECK(queue.getting() == 0);
  CHECK(queue.try_get() == std::nullopt);
  CHECK_THROWS_AS(queue.get_nowait(), green::Empty);
  queue.put(2);
  CHECK(queue.get() == 2);
  CHECK(first.wait() == 1);
}

TEST_CASE("nobody overtakes a putter that waits") {
  green::Queue<int> queue(1);
  queue.put(1);
  auto putter = put(queue, 2);
  green::sleep(0);
  CHECK(queue.get() == 1);
  CHECK_FALSE(queue.try_put(3));
  CHECK_THROWS_AS(queue.put_nowait(3), green::Full);
  CHECK(queue.get() == 2);
  putter.wait();
}

// test_waiters_that_cancel
TEST_CASE("a getter that gave up takes nothing") {
  green::Queue<std::string> queue;
  auto bailing = green::spawn([&] { return bail(queue); });
  CHECK(bailing.wait() == "timed out");
  queue.put("hi");
  CHECK(queue.get() == "hi");
}

// test_two_waiters_one_dies
TEST_CASE("of two getters the one that stays gets the item") {
  green::Queue<std::string> queue;
  auto dying = green::spawn([&] { return bail(queue); });
  auto waiting = green::spawn([&] { return queue.get(); });
  green::sleep(0);
  queue.put("hi");
  CHECK(dying.wait() == "timed out");
  CHECK(waiting.wait() == "hi");
}

// test_two_bogus_waiters
TEST_CASE("if all getters give up the item stays") {
  green::Queue<std::string> queue;
  auto a = green::spawn([&] { return bail(queue); });
  auto b = green::spawn([&] { return bail(queue); });
  green::sleep(0);
  queue.put("sent");
  CHECK(a.wait() == "timed out");
  CHECK(b.wait() == "timed out");
  CHECK(queue.get() == "sent");
}

// test_waiting
TEST_CASE("getting counts who waits") {
  green::Queue<std::string> queue;
  auto getter = green::spawn([&] { return queue.get(); });
  green::sleep(0);
  CHECK(queue.getting() == 1);
  queue.put("hi");
  green::sleep(0);
  CHECK(queue.getting() == 0);
  CHECK(getter.wait() == "hi");
  CHECK(queue.getting() == 0);
}

TEST_CASE("a getter killed after the put leaves the items in their places") {
  green::Queue<int> queue;
  auto a = get(queue);
  auto b = get(queue);
  green::sleep(0);
  bool first_first = true;
  SUBCASE("the first, then the second") {}
  SUBCASE("the second, then the first") { first_first = false; }
  test::in_libuv_callback([&] {  // where kill does not switch
    for (int i = 1; i <= 3; ++i) queue.put(i);
    CHECK(queue.qsize() == 3);
    (first_first ? a : b).kill();
    (first_first ? b : a).kill();
  });
  CHECK(drain(queue) == std::vector<int>{1, 2, 3});
}

TEST_CASE("a killed getter's item goes to the next who waits") {
  green::Queue<int> queue;
  auto a = get(queue);
  auto b = get(queue);
  auto c = get(queue);
  green::sleep(0);
  test::in_libuv_callback([&] {
    queue.put(1);
    queue.put(2);
    a.kill();
  });
  CHECK(b.wait() == 1);
  CHECK(c.wait() == 2);
  CHECK(queue.empty());
}

TEST_CASE("a killed putter, or one out of time, leaves nothing") {
  green::Queue<int> queue(1);
  queue.put(1);
  auto killed = put(queue, 2);
  auto timed = green::spawn([&] { CHECK_THROWS_AS(queue.put(3, 0.1), green::Full); });
  auto interrupted =
      green::spawn([&] { CHECK_FALSE(green::move_on_after(0.1, [&] { queue.put(4); })); });
  auto patient = put(queue, 5);
  green::sleep(0);
  CHECK(queue.putting() == 4);
  killed.kill();
  CHECK(queue.putting() == 3);
  timed.wait();
  interrupted.wait();
  CHECK(queue.putting() == 1);
  CHECK(drain(queue) == std::vector<int>{1, 5});
  CHECK(queue.unfinished_tasks() == 2);
  patient.wait();
}

TEST_CASE("a putter whose item is in the queue has put it: a kill comes after it") {
  green::Queue<int> queue(1);
  queue.put(1);
  bool returned = false;
  auto putter = green::spawn([&] {
    queue.put(2);
    returned = true;
    green::sleep(test::watchdog);
  });
  green::sleep(0);
  CHECK(queue.get() == 1);
  putter.kill();
  CHECK_THROWS_AS(putter.wait(), green::GreenletExit);
  CHECK(returned);
  CHECK(drain(queue) == std::vector<int>{2});
}

TEST_CASE("put and get with a limit throw Full and Empty, never early") {
  green::LightQueue<int> queue(1);
  const auto now = [] { return uvlet::Hub::get().now(); };
  uvlet::Time start = now();
  CHECK_THROWS_AS(queue.get(0.01), green::Empty);
  CHECK(now() - start >= 10'000'000);
  CHECK_THROWS_AS(queue.get(0), green::Empty);
  CHECK_THROWS_AS(queue.get(-1), green::Empty);
  queue.put(1, 0);
  start = now();
  CHECK_THROWS_AS(queue.put(2, std::chrono::milliseconds(10)), green::Full);
  CHECK(now() - start >= 10'000'000);
  CHECK_THROWS_AS(queue.put(2, 0), green::Full);
  CHECK(queue.get(0) == 1);
  CHECK(queue.getting() == 0);
  CHECK(queue.putting() == 0);
  CHECK_THROWS_AS(queue.get(std::numeric_limits<double>::quiet_NaN()), std::invalid_argument);
  CHECK(queue.empty());
}

TEST_CASE("a limit that is not reached") {
  green::LightQueue<int> queue(1);
  auto getter = green::spawn([&] { return queue.get(test::watchdog); });
  green::sleep(0.001);
  queue.put(1);
  CHECK(getter.wait() == 1);
  queue.put(2);
  auto putter = green::spawn([&] { queue.put(3, std::numeric_limits<double>::infinity()); });
  green::sleep(0.001);
  CHECK(queue.get() == 2);
  putter.wait();
  CHECK(queue.get() == 3);
}

TEST_CASE("an item, or room, that comes before the loop sees that the time is over, wins") {
  green::Queue<int> queue(1);
  auto getting = [&] { return green::spawn([&] { return queue.get(0.001); }); };
  auto getter = getting();
  for (test::overdue(0.001); queue.getting() == 0; test::overdue(0.001)) getter = getting();
  queue.put(1);
  CHECK(getter.wait() == 1);
  queue.put(2);
  auto putting = [&] { return green::spawn([&] { queue.put(3, 0.001); }); };
  auto putter = putting();
  for (test::overdue(0.001); queue.putting() == 0; test::overdue(0.001)) putter = putting();
  CHECK(queue.get() == 2);
  putter.wait();
  CHECK(queue.get() == 3);
}

TEST_CASE("try_put moves the item only if it takes it") {
  green::Queue<std::unique_ptr<int>> queue(1);
  auto first = std::make_unique<int>(1);
  auto second = std::make_unique<int>(2);
  CHECK(queue.try_put(std::move(first)));
  CHECK(first == nullptr);
  CHECK_FALSE(queue.try_put(std::move(second)));
  REQUIRE(second != nullptr);
  CHECK(*queue.get() == 1);
  green::Queue<std::string> texts(1);
  const std::string text = "copied";
  CHECK(texts.try_put(text));
  CHECK_FALSE(texts.try_put(text));
  CHECK(texts.get() == text);
}

TEST_CASE("items need only be movable") {
  struct Item {
    explicit Item(int n) : number(std::make_unique<int>(n)) {}
    Item(Item&&) = default;
    Item& operator=(Item&&) = delete;
    std::unique_ptr<int> number;
  };
  green::LightQueue<Item> queue(1);
  auto putter = green::spawn([&] {
    for (int i = 0; i < 10; ++i) queue.put(Item(i));
    queue.put(Item(10), test::watchdog);
  });
  for (int i = 0; i < 10; ++i) CHECK(*queue.get().number == i);
  CHECK(*queue.get(test::watchdog).number == 10);
  putter.wait();
  CHECK_FALSE(queue.try_get());
}

TEST_CASE("items that nobody gets are destroyed with the queue") {
  int alive = 0;
  {
    green::LightQueue<test::Counted> queue;
    for (int i = 0; i < 9; ++i) queue.put(test::Counted(alive));
    for (int i = 0; i < 4; ++i) queue.get();
    for (int i = 0; i < 9; ++i) queue.put(test::Counted(alive));
    CHECK(alive == 14);
  }
  CHECK(alive == 0);
}

TEST_CASE("task_done too often is an invalid_argument, and changes nothing") {
  green::Queue<int> queue;
  CHECK_THROWS_AS(queue.task_done(), std::invalid_argument);
  queue.put(1);
  CHECK(queue.unfinished_tasks() == 1);
  CHECK(queue.get() == 1);
  CHECK(queue.unfinished_tasks() == 1);
  queue.task_done();
  CHECK_THROWS_AS(queue.task_done(), std::invalid_argument);
  CHECK(queue.unfinished_tasks() == 0);
  queue.put(2);
  CHECK(queue.unfinished_tasks() == 1);
}

// test_join_doesnt_block_when_queue_is_already_empty
TEST_CASE("join returns at once if nothing is unfinished") {
  green::Queue<int> queue;
  const green::Timeout none(0);
  CHECK_NOTHROW(queue.join());
}

TEST_CASE("join waits until all that came is dealt with") {
  green::Queue<int> queue(1);
  test::Log log;
  queue.put(0);
  auto joiner = green::spawn([&] {
    queue.join();
    log("joined");
  });
  auto killed = green::spawn([&] { queue.join(); });
  auto coroutine = aio::create_task(
      [](green::Queue<int>& source) -> aio::task<void> { co_await source.join_async(); }(queue));
  auto putter = put(queue, 1);
  green::sleep(0.001);
  killed.kill();
  for (int i = 0; i < 2; ++i) {
    CHECK(queue.get() == i);
    green::sleep(0);
    CHECK(log.text().empty());
    queue.task_done();
  }
  joiner.wait();
  green::awaitlet(coroutine);
  putter.wait();
  CHECK(queue.unfinished_tasks() == 0);
}

TEST_CASE("items that pass through coroutines are destroyed once") {
  int alive = 0;
  {
    green::Queue<test::Counted> queue(1);
    auto producer = aio::create_task([](auto& to, int& counter) -> aio::task<void> {
      for (int i = 0; i < 5; ++i) co_await to.put_async(test::Counted(counter));
      co_await to.put_async(test::Counted(counter), test::watchdog);
      co_await to.put_async(test::Counted(counter), 0.001);
    }(queue, alive));
    auto consumer = aio::create_task([](auto& from) -> aio::task<void> {
      for (int i = 0; i < 3; ++i) co_await from.get_async();
      for (int i = 0; i < 2; ++i) co_await from.get_async(test::watchdog);
    }(queue));
    green::awaitlet(consumer);
    CHECK_THROWS_AS(green::awaitlet(producer), green::Full);
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

TEST_CASE("the awaitables can be handed on: gather, wait_for, awaitlet") {
  green::Queue<int> queue;
  queue.put(1);
  CHECK(green::awaitlet(queue.get_async()) == 1);
  CHECK_THROWS_AS(green::awaitlet(queue.get_async(0.001)), green::Empty);
  auto both = aio::create_task(aio::gather(queue.get_async(), queue.get_async(test::watchdog)));
  green::sleep(0.001);
  CHECK(queue.getting() == 2);
  queue.put(2);
  queue.put(3);
  CHECK(green::awaitlet(both) == std::tuple(2, 3));
  auto limited = aio::create_task(aio::wait_for(queue.get_async(), 0.001));
  CHECK_THROWS_AS(green::awaitlet(limited), aio::TimeoutError);
  CHECK(queue.getting() == 0);
  queue.put(4);
  CHECK(queue.get_nowait() == 4);
}
