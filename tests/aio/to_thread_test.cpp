#include "../support.hpp"

#include <aio/context_var.hpp>
#include <aio/gather.hpp>
#include <aio/sleep.hpp>
#include <aio/to_thread.hpp>
#include <aio/wait_for.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

TEST_CASE("to_thread gives the result of a call on another OS thread") {
  const auto here = std::this_thread::get_id();
  auto work = [&]() -> aio::task<int> {
    const auto there = co_await aio::to_thread([] { return std::this_thread::get_id(); });
    CHECK(there != here);
    CHECK(std::this_thread::get_id() == here);
    co_await aio::to_thread([] {});
    auto moved =
        co_await aio::to_thread([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(4));
    co_return *moved + co_await aio::to_thread([](int a, int b) { return a * b; }, 6, 7);
  };
  CHECK(aio::run(work()) == 46);
}

TEST_CASE("to_thread is lazy, and a failed call throws with its type") {
  std::atomic<bool> ran{false};
  {
    auto never = aio::to_thread([&] { ran = true; });
  }
  CHECK(!ran);
  auto fails = []() -> aio::task<void> {
    co_await aio::to_thread([] { throw std::out_of_range("far"); });
  };
  CHECK_THROWS_AS(aio::run(fails()), std::out_of_range);
}

TEST_CASE("calls run side by side, and the hub goes on") {
  std::atomic<int> inside{0};
  auto meet = [&]() -> aio::task<int> {
    auto wait = [&] {
      ++inside;
      while (inside < 2) std::this_thread::yield();
      return 1;
    };
    co_return co_await aio::to_thread(std::move(wait));
  };
  auto both = aio::gather(meet(), meet());
  const auto [a, b] = aio::run(std::move(both));
  CHECK(a + b == 2);
}

TEST_CASE("a cancelled to_thread ends at once and its call goes on") {
  std::atomic<int> stage{0};
  auto argument = std::make_shared<int>(1);
  auto hold = [&stage](std::shared_ptr<int>) {
    stage = 1;
    while (stage != 2) std::this_thread::yield();
    stage = 3;
  };
  auto future = aio::create_task(aio::to_thread(std::move(hold), argument));
  while (stage != 1) green::sleep(0.001);
  future.cancel();
  CHECK_THROWS_AS(aio::run(future), aio::CancelledError);
  CHECK(stage == 1);
  CHECK(argument.use_count() == 2);
  stage = 2;
  while (argument.use_count() != 1) green::sleep(0.001);
  CHECK(stage == 3);
}

TEST_CASE("wait_for limits a call") {
  std::atomic<bool> release{false}, over{false};
  auto hold = [&] {
    while (!release) std::this_thread::yield();
    over = true;
  };
  auto limited = aio::wait_for(aio::to_thread(std::move(hold)), 0.001);
  CHECK_THROWS_AS(aio::run(std::move(limited)), aio::TimeoutError);
  release = true;
  while (!over) std::this_thread::yield();
}

TEST_CASE("a coroutine destroyed in mid-call leaves the call to itself") {
  std::atomic<int> stage{0};
  auto argument = std::make_shared<int>(1);
  auto hold = [&stage](std::shared_ptr<int>) {
    stage = 1;
    while (stage != 2) std::this_thread::yield();
  };
  {
    auto waiting = aio::detail::ThreadCall<void, uvlet::Call<decltype(hold), std::shared_ptr<int>>>(
        uvlet::make_call(std::move(hold), argument));
    auto thread = green::spawn([&] { uvlet::block(std::move(waiting)); });
    while (stage != 1) green::sleep(0.001);
    thread.kill();
  }
  CHECK(argument.use_count() == 2);
  stage = 2;
  while (argument.use_count() != 1) green::sleep(0.001);
}

TEST_CASE("a call has a copy of the caller's context variables: what it sets stays its own") {
  aio::ContextVar<std::string> user("user");
  aio::ContextVar<int> level("level", 1);
  auto work = [&]() -> aio::task<> {
    user.set("caller");
    auto call = [&] {
      const std::string seen = user.get();
      const auto token = user.set("call");
      level.set(level.get() + 1);
      const std::string set = user.get() + std::to_string(level.get());
      user.reset(token);
      return seen + " " + set + " " + user.get();
    };
    CHECK(co_await aio::to_thread(call) == "caller call2 caller");
    CHECK(user.get() == "caller");
    CHECK(level.get() == 1);
  };
  aio::run(work());
  // Nothing is left on the threads of the pool.
  auto fresh = [&]() -> aio::task<> {
    for (int i = 0; i < 8; ++i)
      CHECK(co_await aio::to_thread([&] { return user.get("none"); }) == "none");
  };
  aio::run(fresh());
}

TEST_CASE(
    "a value that a call sets for itself goes with the call, the caller's with the caller's") {
  int alive = 0;  // of the hub's own values; the call touches none of them
  std::atomic<int> set_in_call{0};
  struct Held {
    std::atomic<int>* count;
    explicit Held(std::atomic<int>& counter) : count(&counter) { ++*count; }
    Held(const Held& other) : count(other.count) { ++*count; }
    Held& operator=(const Held&) = delete;
    ~Held() { --*count; }
  };
  aio::ContextVar<test::Counted> counted("counted");
  aio::ContextVar<Held> held("held");
  auto work = [&]() -> aio::task<> {
    counted.set(test::Counted(alive));
    co_await aio::to_thread([&] { held.set(Held(set_in_call)); });
  };
  aio::run(work());
  green::sleep(0);
  CHECK(alive == 0);
  CHECK(set_in_call == 0);
}

TEST_CASE("a thread without a hub has context variables, and hands them to the hub it makes") {
  aio::ContextVar<int> number("number");
  std::thread([&] {
    CHECK(number.get(0) == 0);
    const auto token = number.set(1);
    CHECK(number.get() == 1);
    CHECK(uvlet::Hub::existing() == nullptr);
    CHECK(green::spawn([&] { return number.get(); }).wait() == 1);
    CHECK(number.get() == 1);
    number.reset(token);
    CHECK(number.get(0) == 0);
  }).join();
  CHECK(number.get(0) == 0);
}
