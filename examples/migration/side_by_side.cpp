// Components in different phases in one process: the first migrated its database client, the second
// its cache as well, a third is new. They share the servers, one queue and one loop.

#include "clients.hpp"

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <map>
#include <vector>

namespace {

namespace phase1 {
using new_clients::DbClient;
using old_clients::CacheService;
#include "side_by_side_callers.hpp"
}  // namespace phase1

namespace phase2 {
using new_clients::CacheService;
using new_clients::DbClient;
#include "side_by_side_callers.hpp"
}  // namespace phase2

// [new]
aio::task<> report_async(new_clients::DbClient& db, new_clients::CacheService& cache,
                         green::Queue<std::string>& results, std::string id) {
  const std::string row = co_await db.query_async("meet " + id);
  co_await cache.set_async(id, row);
  std::string result = co_await cache.get_async(id);
  co_await results.put_async(std::move(result));
}
// [/new]

constexpr int rounds = 20;
constexpr int components = 3;

// Answers when one of each component waits for it: none of them keeps the others from running.
class Database {
 public:
  std::string answer(const std::string& line) {
    if (++inside_ % components == 0) {
      for (int i = 1; i < components; ++i) others_.release();
    } else {
      others_.acquire();
    }
    return "row " + line.substr(5);
  }

 private:
  int inside_ = 0;
  green::Semaphore others_{0};
};

std::vector<std::string> run_all(const green::Address& database, const green::Address& caches) {
  new_clients::DbClient db(database);
  old_clients::CacheService old_cache(caches);
  new_clients::CacheService cache(caches);
  green::Queue<std::string> results(1);  // so that old and new also wait for room in it
  // [run]
  auto first = green::spawn([&] {
    for (int i = 0; i < rounds; ++i) phase1::report(db, old_cache, results, std::to_string(i));
  });
  auto second = green::spawn([&] {
    for (int i = 0; i < rounds; ++i) phase2::report(db, cache, results, std::to_string(100 + i));
  });
  auto component = [&]() -> aio::task<> {
    for (int i = 0; i < rounds; ++i)
      co_await report_async(db, cache, results, std::to_string(200 + i));
  };
  auto third = aio::create_task(component());
  // [/run]
  std::vector<std::string> all;
  for (int i = 0; i < components * rounds; ++i) all.push_back(results.get());
  first.wait();
  second.wait();
  green::awaitlet(third);
  return all;
}

// The crossings from functions with this in their names, as the report counts them.
std::uint64_t crossings(const std::string& function) {
  std::uint64_t calls = 0;
  for (const green::Transition& point : green::transitions())
    if (point.function.find(function) != std::string::npos) calls += point.calls;
  return calls;
}

}  // namespace

int main() {
  std::map<std::string, std::string> cached;
  Database meeting;
  lines::Server database([&](const std::string& line) { return meeting.answer(line); });
  lines::Server caches([&](const std::string& line) -> std::string {
    const std::string rest = line.substr(4);
    if (line.starts_with("get")) return cached[rest];
    cached[rest.substr(0, rest.find('='))] = rest.substr(rest.find('=') + 1);
    return "stored";
  });

  green::debug::transitions(true);
  std::vector<std::string> all = run_all(database.address(), caches.address());
  std::vector<std::string> expected;
  for (const auto& [id, row] : cached) expected.push_back("row " + id);
  std::ranges::sort(all);
  std::ranges::sort(expected);
  lines::require(all == expected && cached.size() == components * rounds, "every report came once");

  // Two components query, one of them caches; the new one crosses nowhere, and main once, to wait.
  green::print_transitions(std::cout);
  std::cout.flush();
  lines::require(crossings("query") == 2 * rounds, "queries of two components");
  lines::require(crossings("get") == rounds && crossings("set") == rounds, "the cache of one");
  lines::require(crossings("run_all") == 1 && crossings("") == 4 * rounds + 1, "nothing else");
}
