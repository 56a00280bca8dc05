#include "../support.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

namespace {

// A hub on another OS thread that stays until this object goes.
class OtherHub {
 public:
  OtherHub() {
    std::atomic<uvlet::Hub*> made{nullptr};
    thread_ = std::thread([this, &made] {
      made = &uvlet::Hub::current();
      while (!stop_) green::sleep(0.001);
    });
    while (!made) std::this_thread::yield();
    hub_ = made;
  }
  ~OtherHub() {
    stop_ = true;
    thread_.join();
  }
  uvlet::Hub& hub() { return *hub_; }
  std::thread::id id() const { return thread_.get_id(); }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
  uvlet::Hub* hub_ = nullptr;
};

}  // namespace

TEST_CASE("a green thread of another hub gives its result here") {
  OtherHub other;
  auto thread = green::spawn_on(
      other.hub(),
      [](std::unique_ptr<int> box) {
        green::sleep(0.001);
        ++*box;
        return std::pair(std::this_thread::get_id(), std::move(box));
      },
      std::make_unique<int>(1));
  const auto [where, box] = std::move(thread).wait();
  CHECK(where == other.id());
  CHECK(*box == 2);
}

TEST_CASE("void, links and co_await work as with any green thread") {
  OtherHub other;
  bool linked = false;
  std::thread::id where;
  auto thread = green::spawn_on(other.hub(), [] { green::sleep(0.001); });
  thread.link([&](green::GreenThread<void>) {
    linked = true;
    where = std::this_thread::get_id();
  });
  auto await = [](green::GreenThread<void> which) -> aio::task<> { co_await which; };
  green::awaitlet(await(thread));
  CHECK(linked);
  CHECK(where == std::this_thread::get_id());
  CHECK(thread.dead());
}

TEST_CASE("what it throws is thrown by wait") {
  test::Quiet quiet;
  OtherHub other;
  auto thread = green::spawn_on(other.hub(), []() -> int { throw std::runtime_error("there"); });
  CHECK_THROWS_WITH_AS(thread.wait(), "there", std::runtime_error);
}

TEST_CASE("kill throws GreenletExit into the one there, and is over when that has ended") {
  OtherHub other;
  std::atomic<bool> started{false};
  std::atomic<bool> unwound{false};
  auto thread = green::spawn_on(other.hub(), [&] {
    struct Guard {
      std::atomic<bool>& flag;
      ~Guard() { flag = true; }
    } guard{unwound};
    started = true;
    green::sleep(uvlet::Duration::forever());
  });
  while (!started) green::sleep(0.001);
  thread.kill();
  CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  CHECK(unwound);
}

TEST_CASE("one that is killed and goes on has its result") {
  OtherHub other;
  std::atomic<bool> started{false};
  auto thread = green::spawn_on(other.hub(), [&] {
    started = true;
    try {
      green::sleep(uvlet::Duration::forever());
    } catch (const green::GreenletExit&) {
    }
    return 7;
  });
  while (!started) green::sleep(0.001);
  thread.kill();
  CHECK(thread.wait() == 7);
}

TEST_CASE("killed at once, it is dead here at once and ends there") {
  OtherHub other;
  std::atomic<int> alive{0};
  for (int i = 0; i < 200; ++i) {
    auto thread = green::spawn_on(other.hub(), [&] {
      ++alive;
      struct Guard {
        std::atomic<int>& count;
        ~Guard() { --count; }
      } guard{alive};
      green::sleep(uvlet::Duration::forever());
    });
    if (i % 2 == 0) green::sleep(0);
    thread.kill();
    CHECK_THROWS_AS(thread.wait(), green::GreenletExit);
  }
  green::with_timeout(test::watchdog, [&] {
    while (green::spawn_on(other.hub(), [&] { return alive.load(); }).wait() != 0)
      green::sleep(0.001);
  });
  CHECK(alive == 0);
}

TEST_CASE("it runs though the OS thread that spawned it has ended") {
  std::atomic<bool> ran{false};
  uvlet::Hub& hub = uvlet::Hub::current();
  std::thread([&] {
    green::spawn_on(hub, [&] {
      green::sleep(0.002);
      ran = true;
    });
  }).join();
  green::with_timeout(test::watchdog, [&] {
    while (!ran) green::sleep(0.001);
  });
  CHECK(ran);
}

TEST_CASE("on the hub that calls it is a green thread as any other") {
  CHECK(green::spawn_on(uvlet::Hub::current(), [] { return 3; }).wait() == 3);
}

TEST_CASE("hubs spawn on each other, many at a time") {
  constexpr int hubs = 3;
  std::atomic<uvlet::Hub*> all[hubs] = {};
  std::atomic<int> done{0};
  std::atomic<int> sum{0};
  uvlet::run_on_threads(hubs, [&](int index) {
    all[index] = &uvlet::Hub::current();
    for (auto& one : all)
      while (!one) green::sleep(0.0001);
    std::vector<green::GreenThread<int>> threads;
    for (int i = 0; i < 300; ++i)
      threads.push_back(green::spawn_on(*all[(index + i) % hubs], [i] {
        green::sleep(0);
        return i;
      }));
    for (auto& thread : threads) sum += thread.wait();
    ++done;
    while (done < hubs) green::sleep(0.001);
  });
  CHECK(sum == hubs * 44'850);
}
