// What several OS threads may do to one hub, and hubs to each other.

#include <uvlet/hub.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <memory>
#include <thread>

using uvlet::Hub;

namespace {

// The body runs on `count` OS threads until this is destroyed.
class Threads {
 public:
  template <class F>
  Threads(int count, F body) {
    for (int index = 0; index < count; ++index) running_.emplace_back(body, index);
  }
  ~Threads() {
    for (std::thread& thread : running_) thread.join();
  }

 private:
  std::vector<std::thread> running_;
};

// An awaitable of another library: `value` comes from an OS thread of its own.
struct FromThread {
  explicit FromThread(std::unique_ptr<int> v) noexcept : value(std::move(v)) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    std::thread([this, waiting] {
      ++*value;
      waiting.resume();
    }).detach();
  }
  int await_resume() const noexcept { return *value; }
  std::unique_ptr<int> value;
};

}  // namespace

TEST_CASE("eight threads post to one hub, and each post runs once, in its thread's order") {
  constexpr int threads = 8;
  constexpr int each = 20'000;
  Hub& hub = Hub::current();
  std::atomic<int> posted{0};
  std::atomic<int> received{0};
  int out_of_order = 0;
  std::vector<int> next(threads);
  green::Event<> all;
  const Threads posters(threads, [&](int index) {
    for (int i = 0; i < each; ++i) {
      hub.post([&, index, i] {
        out_of_order += next[static_cast<std::size_t>(index)]++ != i;
        if (++received == threads * each) all.send();
      });
      ++posted;
      while (posted - received > test::green_threads_max / 2)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  CHECK(all.wait(6 * test::watchdog));
  CHECK(received == threads * each);
  CHECK(out_of_order == 0);
}

TEST_CASE("hubs start and end while others post to one that stays") {
  Hub& hub = Hub::current();
  constexpr int threads = 4;
  constexpr int generations = 25;
  int received = 0;
  green::Event<> all;
  const Threads starters(threads, [&](int) {
    for (int i = 0; i < generations; ++i)
      std::thread([&] {
        const int value = green::spawn([] {
                            green::sleep(0.0001);
                            return 3;
                          }).wait();
        hub.post([&, value] {
          received += value;
          if (received == 3 * threads * generations) all.send();
        });
      }).join();
  });
  CHECK(all.wait(test::watchdog));
  CHECK(received == 3 * threads * generations);
}

TEST_CASE("two hubs post to each other in turn") {
  constexpr int turns = 2'000;
  int count = 0;  // of whoever's turn it is: the posts alone order the threads
  green::Event<> done;
  struct Player {
    Hub* hub;
    Player* other;
    int* count;
    green::Event<>* done;
    void play() {
      if (++*count < turns)
        other->hub->post([next = other] { next->play(); });
      else
        done->send();
    }
  };
  green::Event<> finished;
  Player mine{&Hub::current(), nullptr, &count, &finished};
  std::atomic<Player*> theirs{nullptr};
  Hub& here = Hub::current();
  std::thread other([&] {
    green::Event<> end;
    Player player{&Hub::current(), &mine, &count, &end};
    theirs = &player;
    here.post([&] {
      mine.other = theirs;
      mine.play();
    });
    end.wait();
    here.post([&] { done.send(); });
  });
  CHECK(done.wait(test::watchdog));
  other.join();
  CHECK(count == turns);
}

TEST_CASE("a hub that ends leaves no post behind") {
  std::atomic<int> alive{0};
  struct Counts {
    explicit Counts(std::atomic<int>& counter) : count(&counter) { ++*count; }
    Counts(Counts&& other) noexcept : count(std::exchange(other.count, nullptr)) {}
    ~Counts() {
      if (count) --*count;
    }
    std::atomic<int>* count;
  };
  std::thread([&] {
    Hub& hub = Hub::current();
    for (int i = 0; i < 10; ++i) hub.post([counts = Counts(alive)] {});
  }).join();
  CHECK(alive == 0);
}

TEST_CASE("foreign awaitables are completed on other threads, for several hubs at a time") {
  std::atomic<int> sum{0};
  constexpr int hubs = 4;
  constexpr int waits = 50;
  uvlet::run_on_threads(hubs, [&](int index) {
    auto in_task = [](int start) -> aio::task<int> {
      FromThread foreign(std::make_unique<int>(start));
      co_return co_await foreign;
    };
    for (int i = 0; i < waits; ++i) {
      auto thread =
          green::spawn([&] { return green::awaitlet(FromThread(std::make_unique<int>(index))); });
      sum += green::awaitlet(in_task(index)) + thread.wait();
    }
  });
  CHECK(sum == waits * 2 * (1 + 2 + 3 + 4));
}

// The thread that completes the wait may still be in the middle of waking the hub, which others
// keep awake anyway.
TEST_CASE("a hub ends at once after a wait that another thread completed") {
  std::atomic<int> sum{0};
  for (int i = 0; i < 200; ++i)
    std::thread([&] {
      green::spawn_n([] {
        for (;;) green::sleep(0);
      });
      sum += green::awaitlet(FromThread(std::make_unique<int>(0)));
    }).join();
  CHECK(sum == 200);
}

TEST_CASE("work of libuv's thread pool is ordered with the hubs that wait for it") {
  uvlet::run_on_threads(4, [](int) {
    for (int i = 0; i < 20; ++i) {
      const auto found = green::awaitlet(aio::getaddrinfo("127.0.0.1", 80));
      CHECK(!found.empty());
    }
  });
}
