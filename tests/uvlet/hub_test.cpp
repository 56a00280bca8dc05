#include <uvlet/hub.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <set>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <uv.h>

using uvlet::Hub;

namespace {

// A body on an OS thread of its own, so on a hub of its own; what it throws arrives here.
template <class F>
void on_own_thread(F body) {
  std::exception_ptr error;
  std::thread([&] {
    try {
      body();
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) std::rethrow_exception(error);
}

// Options for hubs made in this scope.
struct Configured {
  explicit Configured(const uvlet::HubOptions& options) { set(options); }
  ~Configured() { set(uvlet::HubOptions()); }
  static void set(const uvlet::HubOptions& options) {
    on_own_thread([&] { Hub::configure(options); });  // where there is no hub yet
  }
};

double now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace

TEST_CASE("each OS thread has one hub of its own, made on first use") {
  Hub& mine = Hub::current();
  CHECK(&mine == &Hub::current());
  Hub* other = nullptr;
  on_own_thread([&] {
    CHECK(Hub::existing() == nullptr);
    green::sleep(0);
    CHECK(Hub::existing() != nullptr);
    other = &Hub::current();
  });
  CHECK(other != &mine);
}

TEST_CASE("main is a green thread") {
  const green::Greenlet self = green::getcurrent();
  CHECK(self);
  CHECK(self.started());
  CHECK_FALSE(self.dead());
  CHECK_FALSE(self.name().empty());
  CHECK(self == green::getcurrent());
}

TEST_CASE("loop() is the libuv loop that runs a user's own handles") {
  Hub& hub = Hub::current();
  uv_loop_t* loop = hub.loop();
  REQUIRE(loop != nullptr);
  uv_timer_t timer;
  REQUIRE(uv_timer_init(loop, &timer) == 0);
  int fired = 0;
  timer.data = &fired;
  uv_timer_start(
      &timer, [](uv_timer_t* handle) { ++*static_cast<int*>(handle->data); }, 1, 1);
  while (fired < 3) green::sleep(0.001);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  green::sleep(0.001);
  CHECK(fired >= 3);
}

TEST_CASE("a handle of the user's own keeps main from being deadlocked") {
  green::Event<int> event;
  uv_timer_t timer;
  REQUIRE(uv_timer_init(Hub::current().loop(), &timer) == 0);
  timer.data = &event;
  uv_timer_start(
      &timer, [](uv_timer_t* handle) { static_cast<green::Event<int>*>(handle->data)->send(5); }, 5,
      0);
  CHECK(event.wait() == 5);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  green::sleep(0.001);
}

TEST_CASE("what needs no wait works in a raw libuv callback, what would park throws") {
  struct Seen {
    test::Log log;
    green::Event<> done;
    green::GreenThread<int> spawned, victim;
    bool kill_returned_first = false;
  } seen;
  seen.victim = green::spawn([] {
    green::sleep(test::watchdog);
    return 0;
  });
  green::sleep(0);
  uv_timer_t timer;
  REQUIRE(uv_timer_init(Hub::current().loop(), &timer) == 0);
  timer.data = &seen;
  auto callback = [](uv_timer_t* handle) {
    Seen& all = *static_cast<Seen*>(handle->data);
    auto attempt = [&](const char* name, auto call) {
      try {
        call();
        all.log(std::string(name) + ":ok");
      } catch (const green::NoAwaitletContext&) {
        all.log(std::string(name) + ":none");
      }
    };
    attempt("sleep", [] { green::sleep(0.001); });
    attempt("wait", [&] { all.done.wait(); });
    attempt("join", [&] { all.victim.wait(); });
    attempt("awaitlet", [] { green::awaitlet(aio::sleep(0.001)); });
    attempt("spawn", [&] { all.spawned = green::spawn([] { return 7; }); });
    attempt("kill", [&] { all.victim.kill(); });
    all.kill_returned_first = !all.victim.dead();
    attempt("send", [&] { all.done.send(); });
    attempt("ready", [&] { all.done.wait(); });
  };
  uv_timer_start(&timer, callback, 1, 0);
  seen.done.wait();
  CHECK(seen.log.text() ==
        "sleep:none wait:none join:none awaitlet:none spawn:ok kill:ok send:ok ready:ok");
  CHECK(seen.kill_returned_first);
  CHECK(seen.spawned.wait() == 7);
  CHECK_THROWS_AS(seen.victim.wait(), green::GreenletExit);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  green::sleep(0.001);
}

TEST_CASE("post runs a function in a green thread of the hub") {
  green::Event<bool> event;
  const green::Greenlet poster = green::getcurrent();
  Hub::current().post([&, move_only = std::make_unique<int>(1)] {
    green::sleep(0.001);  // it may block
    event.send(!(green::getcurrent() == poster) && *move_only == 1);
  });
  CHECK_FALSE(event.ready());
  CHECK(event.wait());
}

TEST_CASE("an exception that leaves a posted function ends only that") {
  const test::Quiet quiet;
  green::Event<> after;
  Hub::current().post([] { throw std::runtime_error("lost"); });
  Hub::current().post([&] { after.send(); });
  CHECK(after.wait(test::watchdog));
}

TEST_CASE("posts of one thread run in their order") {
  test::Log log;
  green::Event<> done;
  for (int i = 0; i < 5; ++i) Hub::current().post([&log, i] { log(std::to_string(i)); });
  Hub::current().post([&] { done.send(); });
  done.wait();
  CHECK(log.text() == "0 1 2 3 4");
}

TEST_CASE("no post of another thread is lost") {
  Hub& hub = Hub::current();
  constexpr int threads = 4;
  constexpr int each = 500;
  int received = 0;
  green::Event<> all;
  std::vector<std::thread> posters;
  for (int t = 0; t < threads; ++t)
    posters.emplace_back([&] {
      for (int i = 0; i < each; ++i)
        hub.post([&] {
          if (++received == threads * each) all.send();
        });
    });
  CHECK(all.wait(test::watchdog));
  for (std::thread& poster : posters) poster.join();
  CHECK(received == threads * each);
}

TEST_CASE("a post wakes a hub where everything is parked") {
  Hub& hub = Hub::current();
  green::Event<int> event;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    hub.post([&] { event.send(9); });
  });
  CHECK(event.wait() == 9);
  other.join();
}

TEST_CASE("the statistics count what is there") {
  Hub& hub = Hub::current();
  green::sleep(0);
  const uvlet::HubStats before = hub.stats();
  auto sleeper = green::spawn([] { green::sleep(test::watchdog); });
  auto future = aio::create_task([]() -> aio::task<int> {
    co_await aio::sleep(test::watchdog);
    co_return 1;
  }());
  CHECK(hub.stats().ready >= before.ready + 2);
  green::sleep(0.001);
  const uvlet::HubStats during = hub.stats();
  CHECK(during.green_threads >= before.green_threads + 1);
  CHECK(during.tasks == before.tasks + 1);
  CHECK(during.timers >= before.timers + 2);
  CHECK(during.polls > before.polls);
  green::awaitlet(aio::sleep(0));
  CHECK(hub.stats().awaitlets == during.awaitlets + 1);
  sleeper.kill();
  future.cancel();
  CHECK_THROWS_AS(green::awaitlet(future), aio::CancelledError);
  CHECK(hub.stats().tasks == before.tasks);
}

TEST_CASE("configure is refused once the thread has its hub") {
  green::sleep(0);
  CHECK_THROWS_AS(Hub::configure(uvlet::HubOptions()), std::logic_error);
}

TEST_CASE("configure refuses bad options, and keeps the ones before") {
  uvlet::HubOptions options;
  options.stack_size = 1024;
  on_own_thread([&] {
    CHECK_THROWS_AS(Hub::configure(options), std::invalid_argument);
    green::spawn([] {}).wait();
  });
}

TEST_CASE("the stack size of the options is the one that green threads get") {
  uvlet::HubOptions options;
  options.stack_size = 4 * 1024 * 1024;
  const Configured configured(options);
  on_own_thread([] {
    const int sum = green::spawn([] {
                      volatile char big[3 * 1024 * 1024];
                      for (std::size_t i = 0; i < sizeof big; i += 1024) big[i] = 1;
                      int total = 0;
                      for (std::size_t i = 0; i < sizeof big; i += 1024) total += big[i];
                      return total;
                    }).wait();
    CHECK(sum == 3 * 1024);
  });
}

TEST_CASE("a virtual clock skips idle time, in order") {
  uvlet::HubOptions options;
  options.virtual_clock = true;
  const Configured configured(options);
  on_own_thread([] {
    const double start = now();
    test::Log log;
    auto day = green::spawn([&] {
      green::sleep(86'400);
      log("day");
    });
    auto hour = green::spawn([&] {
      green::sleep(3'600);
      log("hour");
    });
    const uvlet::Time began = Hub::get().now();
    day.wait();
    hour.wait();
    CHECK(log.text() == "hour day");
    CHECK(Hub::get().now() - began >= 86'400LL * 1'000'000'000);
    CHECK(now() - start < test::watchdog);
    CHECK_THROWS_AS(green::with_timeout(1'000, [] { green::sleep(2'000); }), green::TimeoutExpired);
  });
}

TEST_CASE("green threads start in the order spawned, and spawn only schedules") {
  test::Log log;
  std::vector<green::GreenThread<void>> threads;
  for (int i = 0; i < 4; ++i)
    threads.push_back(green::spawn([&log, i] { log(std::to_string(i)); }));
  log("spawned");
  for (auto& thread : threads) thread.wait();
  CHECK(log.text() == "spawned 0 1 2 3");
}

TEST_CASE("sleep(0) goes to the back of the line") {
  test::Log log;
  auto worker = [&](std::string name) {
    for (int i = 0; i < 3; ++i) {
      log(name + std::to_string(i));
      green::sleep(0);
    }
  };
  auto a = green::spawn(worker, "a");
  auto b = green::spawn(worker, "b");
  a.wait();
  b.wait();
  CHECK(log.text() == "a0 b0 a1 b1 a2 b2");
}

TEST_CASE("one that spins with sleep(0) starves neither timers nor libuv's handles") {
  bool stop = false;
  auto spinner = green::spawn([&] {
    while (!stop) green::sleep(0);
  });
  uv_timer_t timer;
  REQUIRE(uv_timer_init(Hub::current().loop(), &timer) == 0);
  int fired = 0;
  timer.data = &fired;
  uv_timer_start(
      &timer, [](uv_timer_t* handle) { ++*static_cast<int*>(handle->data); }, 5, 0);
  green::sleep(0.02);
  while (!fired) green::sleep(0.001);
  CHECK(fired == 1);
  stop = true;
  spinner.wait();
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  green::sleep(0.001);
}

TEST_CASE("a spinner that is main starves nobody either") {
  bool woken = false;
  auto sleeper = green::spawn([&] {
    green::sleep(0.005);
    woken = true;
  });
  const double start = now();
  while (!woken && now() - start < test::watchdog) green::sleep(0);
  CHECK(woken);
  sleeper.wait();
}

TEST_CASE("a sleep counts from its start, not from the loop's cached time") {
  const double start = now();
  const double busy_until = start + 0.05;
  while (now() < busy_until) {
  }
  green::sleep(0.02);
  CHECK(now() - start >= 0.07);
}

TEST_CASE("run_on_threads runs one hub an OS thread, with its index") {
  std::mutex mutex;
  std::set<int> indexes;
  std::set<Hub*> hubs;
  std::set<std::thread::id> threads;
  uvlet::run_on_threads(4, [&](int index) {
    const int doubled = green::spawn([index] {
                          green::sleep(0.001);
                          return index * 2;
                        }).wait();
    const std::lock_guard lock(mutex);
    indexes.insert(doubled);
    hubs.insert(&Hub::current());
    threads.insert(std::this_thread::get_id());
  });
  CHECK(indexes == std::set<int>{0, 2, 4, 6});
  CHECK(threads.size() == 4);
}

TEST_CASE("run_on_threads rethrows after all its threads have ended") {
  std::atomic<int> ended{0};
  auto run = [&] {
    uvlet::run_on_threads(3, [&](int index) {
      if (index == 1) throw std::runtime_error("of thread 1");
      green::sleep(0.01);
      ++ended;
    });
  };
  CHECK_THROWS_WITH_AS(run(), "of thread 1", std::runtime_error);
  CHECK(ended == 2);
}

TEST_CASE("run_on_threads refuses a count below one") {
  CHECK_THROWS_AS(uvlet::run_on_threads(0, [](int) {}), std::invalid_argument);
  CHECK_THROWS_AS(uvlet::run_on_threads(-1, [](int) {}), std::invalid_argument);
}

TEST_CASE("killing a green thread of another hub is a logic_error") {
  auto mine = green::spawn([] { return 1; });
  on_own_thread([&] {
    green::sleep(0);
    CHECK_THROWS_AS(mine.kill(), std::logic_error);
  });
  CHECK(mine.wait() == 1);
}

TEST_CASE("a hub that ends with its thread unwinds the green threads that are parked") {
  int alive = 0;
  on_own_thread([&] {
    for (int i = 0; i < 20; ++i)
      green::spawn([counted = test::Counted(alive)] {
        const test::Counted local(counted);
        green::sleep(test::watchdog);
      });
    green::spawn_n([counted = test::Counted(alive)] { green::Event<>().wait(); });
    aio::create_task([](test::Counted) -> aio::task<void> {
      co_await aio::sleep(test::watchdog);
    }(test::Counted(alive)));
    green::sleep(0.001);
    green::spawn([counted = test::Counted(alive)] { FAIL("it never had its turn"); });
    CHECK(alive > 40);
  });
  CHECK(alive == 0);
}

TEST_CASE("many hubs come and go") {
  for (int i = 0; i < 50; ++i)
    on_own_thread([] { CHECK(green::spawn([] { return 3; }).wait() == 3); });
}

TEST_CASE("who is unwound with the OS thread may still receive") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  std::string got;
  on_own_thread([&] {
    auto socket = std::make_shared<green::Socket>(green::Socket::from_fd(ends[1]));
    green::spawn_n([&got, socket] {
      got += socket->recv(1);
      try {
        green::sleep(test::watchdog);
      } catch (const green::GreenletExit&) {
        got += socket->recv(100);
        throw;
      }
    });
    CHECK(::write(ends[0], "abc", 3) == 3);
    green::sleep(0.01);
  });
  ::close(ends[0]);
  CHECK(got == "abc");
}

TEST_CASE("an operation that yields comes back when nobody else is ready") {
  green::awaitlet(green::sleep_async(0));
  green::awaitlet(aio::sleep(0));
  green::spawn([] { green::awaitlet(aio::sleep(0)); }).wait();
  CHECK(green::spawn([] {
          green::awaitlet(green::sleep_async(0));
          return 1;
        }).wait() == 1);
}

TEST_CASE("what a libuv timer of the user's makes ready runs at once") {
  green::Event<> event;
  uv_timer_t timer;
  uv_timer_init(Hub::current().loop(), &timer);
  timer.data = &event;
  for (int i = 0; i < 20; ++i) {
    uv_timer_start(
        &timer, [](uv_timer_t* fired) { static_cast<green::Event<>*>(fired->data)->send(); }, i % 2,
        0);
    CHECK(event.wait(test::watchdog));
    event.reset();
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  green::sleep(0.001);
}

TEST_CASE("green threads that compute for long between their yields do not keep timers waiting") {
  bool done = false;
  std::vector<green::GreenThread<void>> busy;
  for (int i = 0; i < 4; ++i)
    busy.push_back(green::spawn([&] {
      while (!done) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
        while (std::chrono::steady_clock::now() < until) {
        }
        green::sleep(0);
      }
    }));
  green::sleep(0.1);  // the budget of switches has adapted
  const std::uint64_t before = Hub::current().stats().polls;
  for (int i = 0; i < 10; ++i) green::sleep(0.001);
  CHECK(Hub::current().stats().polls - before >= 10);  // else a thousand switches lie between two
  done = true;
  for (auto& thread : busy) thread.wait();
}

TEST_CASE("a sleeper of many weeks lets the loop wait, and not spin") {
  uvlet::Hub& hub = uvlet::Hub::current();
  auto sleeper = green::spawn([] { green::sleep(std::chrono::hours(24 * 50)); });
  green::sleep(0);
  const std::uint64_t polls = hub.stats().polls;
  green::Event<> event;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    hub.post([&] { event.send(); });
  });
  event.wait();
  other.join();
  CHECK(hub.stats().polls - polls < 100);
  CHECK_FALSE(sleeper.dead());
  sleeper.kill();
}
