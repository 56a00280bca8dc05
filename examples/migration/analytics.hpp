#pragma once

// What phases.cpp and phase4.cpp share: the service that is new in phase 3, what it asks, and how
// its answers are checked.

#include "clients.hpp"

#include <map>
#include <string>
#include <utility>

// [service]
class AnalyticsService {
 public:
  AnalyticsService(new_clients::DbClient& db, new_clients::CacheService& cache)
      : db_(db), cache_(cache) {}

  aio::task<std::string> process_data_async(std::string id) {
    std::string result = co_await cache_.get_async(id);
    if (!result.empty()) co_return result;
    result = co_await db_.query_async("SELECT * FROM analytics WHERE id=" + id);
    co_await cache_.set_async(id, result);
    co_return result;
  }

 private:
  new_clients::DbClient& db_;
  new_clients::CacheService& cache_;
};
// [/service]

// The database and the cache.
struct Backends {
  int queries = 0;
  std::map<std::string, std::string> cached;
  lines::Server database{[this](const std::string& sql) {
    ++queries;
    return "row " + sql.substr(sql.find('=') + 1);
  }};
  lines::Server cache{[this](const std::string& line) -> std::string {
    const std::string rest = line.substr(4);
    if (line.starts_with("get")) return cached[rest];
    cached[rest.substr(0, rest.find('='))] = rest.substr(rest.find('=') + 1);
    return "stored";
  }};
};

// The first answer is the database's, the second the cache's.
template <class F>
void check(Backends& backends, F ask, const std::string& id, const std::string& expected) {
  const int queries = backends.queries;
  lines::require(ask(id) == expected, "the first answer");
  lines::require(ask(id) == expected, "the second answer");
  lines::require(backends.queries == queries + 1 && backends.cached[id] == "row " + id,
                 "one query");
}
