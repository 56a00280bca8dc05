// Each allocation fails once: what can throw does, what cannot does without.

#include <uvlet/testing_new.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <new>
#include <thread>
#include <utility>
#include <vector>

namespace {

std::uint64_t fail_each_allocation(const std::function<void()>& program) {
  uvlet::Hub::get();  // is made with memory
  return uvlet::testing::fail_each_allocation(program);
}

aio::task<int> number(int value) {
  co_await aio::sleep(0);
  co_return value;
}
aio::task<int> forever(int depth) {
  if (depth > 0) co_return co_await aio::create_task(forever(depth - 1));
  co_await aio::sleep(uvlet::Duration::forever());
  co_return 0;
}

}  // namespace

TEST_CASE("as_completed gives all, or throws where it is called") {
  int complete = 0;
  const auto failed = fail_each_allocation([&] {
    std::vector<aio::task<int>> work;
    for (int i = 0; i < 200; ++i) work.push_back(number(1));
    int sum = 0;
    for (auto& next : aio::as_completed(std::move(work))) sum += aio::run(std::move(next));
    CHECK(sum == 200);
    ++complete;
  });
  CHECK(failed > 3);
  CHECK(complete >= 1);
}

TEST_CASE("cancelling a chain of Futures throws, or cancels it") {
  const test::Quiet quiet;
  int runs = 0, cancelled = 0;
  auto program = [&] {
    ++runs;
    auto outer = aio::create_task(forever(5));
    for (int i = 0; i < 10; ++i) green::sleep(0);
    outer.cancel();
    while (!outer.done()) green::sleep(0);
    cancelled += outer.cancelled();
  };
  program();  // the hub keeps the memory of its list of whom it interrupts
  fail_each_allocation(program);
  CHECK(cancelled >= 2);
  CHECK(cancelled <= runs);
}

TEST_CASE("a callback of a Future is called, or said not to be") {
  int called = 0, runs = 0;
  fail_each_allocation([&] {
    auto future = aio::Future<int>::create();
    future.add_done_callback([&](const aio::Future<int>&) { ++called; });
    ++runs;
    future.set_result(1);
    for (int i = 0; i < 3; ++i) green::sleep(0);
  });
  CHECK(called >= 1);
  CHECK(called <= runs);
}

TEST_CASE("run_coroutine_threadsafe keeps its promise") {
  fail_each_allocation([] {
    auto result = aio::run_coroutine_threadsafe(number(7), uvlet::Hub::current());
    while (result.wait_for(std::chrono::seconds(0)) != std::future_status::ready) green::sleep(0);
    int got = 7;
    try {
      got = result.get();
    } catch (const aio::CancelledError&) {  // there was no memory to start it
    }
    CHECK(got == 7);
  });
}
