// What users may spell: names in both namespaces, and results as explicit template arguments.

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace {

template <class Green, class Aio, class Core>
constexpr bool one = std::is_same_v<Green, Core>&& std::is_same_v<Aio, Core>;

static_assert(one<green::BaseException, aio::BaseException, uvlet::BaseException>);
static_assert(one<green::GreenletExit, aio::GreenletExit, uvlet::GreenletExit>);
static_assert(one<green::TimeoutExpired, aio::TimeoutExpired, uvlet::TimeoutExpired>);
static_assert(one<green::NoAwaitletContext, aio::NoAwaitletContext, uvlet::NoAwaitletContext>);
static_assert(one<green::CancelledError, aio::CancelledError, uvlet::CancelledError>);
static_assert(one<green::Shield, aio::Shield, uvlet::Shield>);

aio::task<int> number(int value) {
  co_await aio::sleep(0);
  co_return value;
}
aio::task<> nothing() { co_await aio::sleep(0); }

template <class... W>
auto vector_of(W... work) {
  std::vector<std::common_type_t<W...>> all;
  (all.push_back(std::move(work)), ...);
  return all;
}

}  // namespace

TEST_CASE("a task's result may be spelled where it runs, or is bridged to") {
  CHECK(aio::run<int>(number(1)) == 1);
  CHECK(aio::run<int>(aio::create_task<int>(number(2))) == 2);
  aio::run<void>(nothing());
  CHECK(aio::run<int>(aio::ensure_future<int>(number(3))) == 3);
  CHECK(aio::run<int>(aio::ensure_future<int>(aio::create_task(number(4)))) == 4);
  CHECK(aio::run<int>(aio::ensure_future<int>(green::spawn([] { return 5; }))) == 5);
  CHECK(green::awaitlet<int>(number(6)) == 6);
  CHECK(green::awaitlet<aio::task<int>>(number(7)) == 7);
  auto future = aio::create_task(number(8));
  CHECK(green::awaitlet<aio::Future<int>&>(future) == 8);
  CHECK(green::spawn_for_awaitable<int>(number(9)).wait() == 9);
  CHECK(green::spawn_for_awaitable<int>(future).wait() == 8);
  CHECK(aio::run_coroutine_threadsafe<int>(number(10), uvlet::Hub::current()).valid());
  CHECK(aio::run<std::string>(aio::sleep<std::string>(0, "after")) == "after");
  auto as_group = []() -> aio::task<int> {
    aio::TaskGroup group;
    auto eleven = group.create_task<int>(number(11));
    co_await group.join();
    co_return eleven.result();
  };
  CHECK(aio::run<int>(as_group()) == 11);
}

TEST_CASE("a task's result may be spelled where several are waited for") {
  CHECK(aio::run(aio::gather<aio::task<int>, aio::task<>>(number(1), nothing())) ==
        std::tuple(1, std::monostate()));
  CHECK(aio::run(aio::gather<aio::task<int>>(vector_of(number(1), number(2)))) ==
        std::vector{1, 2});
  CHECK(std::get<0>(aio::run(aio::gather_settled<int>(vector_of(number(3)))).at(0)) == 3);
  CHECK(aio::run(aio::gather_settled<void>(vector_of(nothing()))).at(0).index() == 0);
  const auto [done, pending] = aio::run(aio::wait<int>({aio::create_task(number(4))}));
  CHECK(done.at(0).result() == 4);
  CHECK(pending.empty());
  CHECK(aio::run(std::move(aio::as_completed<int>(vector_of(number(5))).at(0))) == 5);
}

TEST_CASE("a task's result may be spelled where it is limited or shielded") {
  CHECK(aio::run(aio::wait_for<int>(number(1), test::watchdog)) == 1);
  aio::run(aio::wait_for<void>(nothing(), test::watchdog));
  CHECK(aio::run(aio::shield<int>(aio::create_task(number(2)))) == 2);
  aio::run(aio::shield<void>(aio::create_task(nothing())));
}

TEST_CASE("awaitables are taken as they are, without spelling anything") {
  auto thread = green::spawn([] { return 1; });
  CHECK(aio::run(aio::wait_for(thread, test::watchdog)) == 1);
  CHECK(aio::run(aio::shield(thread)) == 1);
  CHECK(aio::run(aio::shield(number(2))) == 2);
  CHECK(aio::run(aio::wait(vector_of(number(3)))).first.at(0).result() == 3);
  CHECK(aio::run(std::move(aio::as_completed(vector_of(thread)).at(0))) == 1);
  CHECK(aio::run(aio::gather_settled(vector_of(thread, thread))).size() == 2);
  green::Queue<int> queue;
  queue.put(4);
  CHECK(aio::run(queue.get_async()) == 4);
}
