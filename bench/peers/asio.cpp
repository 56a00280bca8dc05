#include "../support.hpp"
#include "peers.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <utility>

namespace peers {

namespace {

namespace asio = boost::asio;

template <class Executor>
using Yield = asio::basic_yield_context<Executor>;

// co_spawn(executor, awaitable, yield) rethrows a null exception_ptr on success: only the value is
// handed on.
template <class Executor>
int await(const Executor& executor, asio::awaitable<int, Executor> work, Yield<Executor> yield) {
  return asio::async_initiate<Yield<Executor>, void(int)>(
      [&](auto handler) {
        asio::co_spawn(executor, std::move(work),
                       [handler = std::move(handler)](std::exception_ptr, int value) mutable {
                         handler(value);
                       });
      },
      yield);
}

template <class Executor>
asio::awaitable<int, Executor> ready() {
  co_return 1;
}
template <class Executor>
asio::awaitable<int, Executor> suspends_once() {
  co_await asio::post(asio::use_awaitable_t<Executor>());
  co_return 1;
}

template <class Executor>
double each_of(int calls, asio::awaitable<int, Executor> (*work)(), bool beside_another = false) {
  asio::io_context context(1);
  const Executor executor = context.get_executor();
  double time = 0;
  bool ended = false;
  auto caller = [&](Yield<Executor> yield) {
    time = bench::each_of(calls, [&] { await<Executor>(executor, work(), yield); });
    ended = true;
  };
  auto other = [&](Yield<Executor> yield) {
    while (!ended) asio::post(yield);
  };
  if (beside_another) asio::spawn(executor, other, asio::detached);
  asio::spawn(executor, caller, asio::detached);
  context.run();
  return time;
}

using Fast = asio::io_context::executor_type;
using Any = asio::any_io_executor;

}  // namespace

double asio_ready() { return each_of<Fast>(100'000, ready); }
double asio_suspending() { return each_of<Fast>(100'000, suspends_once); }
double asio_suspending_beside_another() { return each_of<Fast>(100'000, suspends_once, true); }
double asio_ready_any_executor() { return each_of<Any>(100'000, ready); }
double asio_suspending_any_executor() { return each_of<Any>(100'000, suspends_once); }

double asio_idle_bytes() {
  constexpr int count = 100'000;
  asio::io_context context(1);
  auto sleeper = []() -> asio::awaitable<void, Fast> {
    using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                             asio::wait_traits<std::chrono::steady_clock>, Fast>;
    Timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
    co_await timer.async_wait(asio::use_awaitable_t<Fast>());
  };
  context.poll();
  const double before = bench::resident_bytes();
  for (int i = 0; i < count; ++i) asio::co_spawn(context.get_executor(), sleeper(), asio::detached);
  context.poll();
  return (bench::resident_bytes() - before) / count;
}

}  // namespace peers
