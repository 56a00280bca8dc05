// What a program looks like while it moves from green threads to coroutines: asynchronous at the
// edge, the signatures above it unchanged, both faces side by side.

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>

namespace {

using test::Log;
using Record = std::map<std::string, std::string>;

constexpr double io_seconds = 0.01;  // what one access to the outside takes

// --- the edge, asynchronous
aio::task<std::string> fetch_data_async(std::string url) {
  co_await aio::sleep(io_seconds);
  co_return "data from " + url;
}
aio::task<std::vector<std::string>> fetch_all_async(std::vector<std::string> urls) {
  std::vector<aio::task<std::string>> work;
  for (const std::string& url : urls) work.push_back(fetch_data_async(url));
  co_return co_await aio::gather(std::move(work));
}
aio::task<Record> fetch_from_db_async(int id) {
  co_await aio::sleep(io_seconds);
  if (id < 0) throw std::out_of_range("no record " + std::to_string(id));
  Record record;
  record["id"] = std::to_string(id);
  record["value"] = "data";
  co_return record;
}

// --- everything above it, unchanged
Record data_access_layer(int id) { return green::awaitlet(fetch_from_db_async(id)); }
Record business_logic(int id) {
  Record record = data_access_layer(id);
  record["checked"] = "yes";
  return record;
}
Record service_layer(int id) { return business_logic(id); }
std::string api_endpoint(int id) { return service_layer(id).at("value"); }

// The same access as it was before.
Record data_access_layer_before(int id) {
  return green::spawn([id] {
           green::sleep(io_seconds);
           return Record{{"id", std::to_string(id)}, {"value", "data"}};
         })
      .wait();
}

std::string fetch_data(std::string url) { return green::awaitlet(fetch_data_async(url)); }

// An API with both faces: one implementation.
class DatabaseApi {
 public:
  std::string get_user(int id) { return green::awaitlet(get_user_async(id)); }
  aio::task<std::string> get_user_async(int id) {
    const Record record = co_await fetch_from_db_async(id);
    ++queries_;
    co_return "user " + record.at("id");
  }
  int queries() const { return queries_; }

 private:
  int queries_ = 0;
};

// A remote procedure call with a pool of green threads, and its successor.
class RpcClientBefore {
 public:
  std::string call_remote(std::string method) {
    return pool_
        .spawn([method] {
          green::sleep(io_seconds);
          return "response from " + method;
        })
        .wait();
  }

 private:
  green::GreenPool pool_;
};
class RpcClient {
 public:
  std::string call_remote(std::string method) {
    return green::awaitlet(call_remote_async(std::move(method)));
  }
  aio::task<std::string> call_remote_async(std::string method) {
    co_await aio::sleep(io_seconds);
    co_return "response from " + method;
  }
};

}  // namespace

TEST_CASE("an ordinary function gets the result of a coroutine") {
  CHECK(fetch_data("a") == "data from a");
  CHECK(green::spawn(fetch_data, "b").wait() == "data from b");
}

TEST_CASE("a deep chain of calls stays as it was: only its lowest layer changes") {
  CHECK(api_endpoint(1) == "data");
  CHECK(green::spawn(api_endpoint, 2).wait() == "data");
  CHECK(data_access_layer_before(3).at("value") == data_access_layer(3).at("value"));
}

TEST_CASE("an exception of the edge passes all layers as the type it is") {
  CHECK_THROWS_WITH_AS(api_endpoint(-1), "no record -1", std::out_of_range);
  const test::Quiet quiet;
  CHECK_THROWS_AS(green::spawn(api_endpoint, -2).wait(), std::out_of_range);
}

TEST_CASE("the chain runs in one green thread while it waits: others go on") {
  Log log;
  auto endpoint = green::spawn([&] { log(api_endpoint(1)); });
  green::spawn_n([&] { log("other"); });
  endpoint.wait();
  CHECK(log.text() == "other data");
}

TEST_CASE("a pool maps a synchronous function that awaits inside") {
  green::GreenPool pool(4);
  std::vector<std::string> urls{"a", "b", "c", "d", "e"};
  std::vector<std::string> bodies;
  for (auto&& body : pool.imap(fetch_data, urls)) bodies.push_back(body);
  REQUIRE(bodies.size() == 5);
  CHECK(bodies.front() == "data from a");
  CHECK(bodies.back() == "data from e");
}

TEST_CASE("one awaitlet waits for many at once") {
  const auto results = green::awaitlet(fetch_all_async({"a", "b", "c"}));
  CHECK(results == std::vector<std::string>{"data from a", "data from b", "data from c"});
}

TEST_CASE("ten green threads that each await a task wait together") {
  int inside = 0;
  int most = 0;
  auto nap = [](int& now, int& highest, int result) -> aio::task<int> {
    highest = std::max(highest, ++now);
    co_await aio::sleep(io_seconds);
    --now;
    co_return result;
  };
  std::vector<green::GreenThread<int>> threads;
  for (int i = 0; i < 10; ++i)
    threads.push_back(green::spawn([&, i] { return green::awaitlet(nap(inside, most, i)); }));
  int sum = 0;
  for (const auto& thread : threads) sum += thread.wait();
  CHECK(sum == 45);
  CHECK(most == 10);
}

TEST_CASE("an API with both faces serves both worlds at once") {
  DatabaseApi api;
  auto consumer = [](DatabaseApi& of) -> aio::task<std::string> {
    co_return co_await of.get_user_async(1);
  };
  auto modern = aio::create_task(consumer(api));
  auto legacy = green::spawn([&] { return api.get_user(2); });
  CHECK(green::awaitlet(modern) == "user 1");
  CHECK(legacy.wait() == "user 2");
  CHECK(api.get_user(3) == "user 3");
  CHECK(aio::run(api.get_user_async(4)) == "user 4");
  CHECK(api.queries() == 4);
}

TEST_CASE("a synchronous face is one line: sync") {
  const auto get_data = green::sync(fetch_data_async);
  CHECK(get_data("x") == "data from x");
  const auto get_all = green::sync(&fetch_all_async);
  CHECK(get_all(std::vector<std::string>{"y"}).front() == "data from y");
}

TEST_CASE("a remote procedure call keeps its signature") {
  RpcClientBefore before;
  RpcClient after;
  CHECK(before.call_remote("get_data") == after.call_remote("get_data"));
  auto consumer = [](RpcClient& client) -> aio::task<std::string> {
    co_return co_await client.call_remote_async("new");
  };
  CHECK(aio::run(consumer(after)) == "response from new");
}

TEST_CASE("the synchronous face works inside a coroutine too") {
  RpcClient client;
  auto halfway = [](RpcClient& of) -> aio::task<std::string> {
    const std::string first = of.call_remote("blocking");
    const std::string second = co_await of.call_remote_async("awaiting");
    co_return first + ", " + second;
  };
  const std::string expected = "response from blocking, response from awaiting";
  CHECK(aio::run(halfway(client)) == expected);
  CHECK(green::awaitlet(halfway(client)) == expected);
  CHECK(green::awaitlet(aio::create_task(halfway(client))) == expected);
}

TEST_CASE("two awaitlets in a row, or one coroutine of both: the same result") {
  auto one = []() -> aio::task<int> { co_return co_await aio::sleep(0.001, 20); };
  auto two = [](int from) -> aio::task<int> { co_return co_await aio::sleep(0.001, from + 1); };
  auto apart = [&] { return green::awaitlet(two(green::awaitlet(one()))); };
  auto together = [&]() -> aio::task<int> {
    const int first = co_await one();
    co_return co_await two(first);
  };
  CHECK(apart() == 21);
  CHECK(green::awaitlet(together()) == 21);
}

TEST_CASE("a new application runs an old function as part of a coroutine") {
  Log log;
  auto old = [&log](int id) {
    log("old");
    return service_layer(id).at("id");
  };
  auto application = [&]() -> aio::task<std::string> {
    auto call = aio::async_def(old, 5);
    co_return co_await std::move(call);
  };
  CHECK(aio::run(application()) == "5");
  CHECK(log.text() == "old");
}

TEST_CASE("old and new code share an event, whoever sends it") {
  green::Event<std::string> ready;
  auto modern = [](green::Event<std::string>& on) -> aio::task<std::string> {
    co_return co_await on.wait_async();
  };
  auto coroutine = aio::create_task(modern(ready));
  auto thread = green::spawn([&] { return ready.wait(); });
  green::sleep(0);
  ready.send("go");
  CHECK(green::awaitlet(coroutine) == "go");
  CHECK(thread.wait() == "go");
}

TEST_CASE("a time limit around the old face cancels the new code underneath") {
  Log log;
  auto slow = [](Log& to) -> aio::task<> {
    try {
      co_await aio::sleep(3600);
    } catch (const aio::CancelledError&) {
      to("cleaned");
      throw;
    }
  };
  auto legacy = [&] { green::awaitlet(slow(log)); };
  CHECK_THROWS_AS(green::with_timeout(0.005, legacy), green::TimeoutExpired);
  CHECK(log.text() == "cleaned");
  CHECK(fetch_data("again") == "data from again");
}

TEST_CASE("an unmodified function is called by a hundred green threads and tasks at once") {
  int answers = 0;
  std::vector<green::GreenThread<void>> threads;
  std::vector<aio::Future<>> tasks;
  auto modern = [](int& count) -> aio::task<> {
    count += (co_await fetch_from_db_async(1)).size() == 2 ? 1 : 0;
  };
  for (int i = 0; i < 50; ++i) {
    threads.push_back(green::spawn([&answers, i] { answers += api_endpoint(i) == "data"; }));
    tasks.push_back(aio::create_task(modern(answers)));
  }
  for (const auto& thread : threads) thread.wait();
  for (const auto& one : tasks) green::awaitlet(one);
  CHECK(answers == 100);
}
