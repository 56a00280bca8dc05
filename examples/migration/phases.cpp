// An application in four phases: the database's client, the cache's, a new service that awaits, and
// a handler that is a coroutine throughout.

#include "clients.hpp"

#include <cstdio>
#include <map>

namespace {

namespace phase0 {
using old_clients::CacheService;
using old_clients::DbClient;
#include "phases_callers.hpp"
}  // namespace phase0

// [phases]
namespace phase1 {
using new_clients::DbClient;
using old_clients::CacheService;
#include "phases_callers.hpp"
}  // namespace phase1

namespace phase2 {
using new_clients::CacheService;
using new_clients::DbClient;
#include "phases_callers.hpp"
}  // namespace phase2
// [/phases]

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

// [handler]
// Serves the requests of one connection; nothing below it blocks.
aio::task<> handle_requests(aio::Stream connection, AnalyticsService& service) {
  for (;;) {
    std::string id = co_await connection.readline();
    if (!id.ends_with('\n')) co_return;
    id.pop_back();
    const std::string result = co_await service.process_data_async(id);
    connection.write("200 " + result + "\n");
    co_await connection.drain();
  }
}

// The last transition point: the accept loop is still eventlet's.
void serve(green::Socket& listener, AnalyticsService& service) {
  green::serve(listener, [&](green::Socket peer, const green::Address&) {
    aio::Stream connection = aio::Stream::from_fd(peer.detach());
    green::awaitlet(handle_requests(std::move(connection), service));
  });
}
// [/handler]

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

}  // namespace

int main() {
  Backends backends;
  old_clients::DbClient old_db(backends.database.address());
  old_clients::CacheService old_cache(backends.cache.address());
  new_clients::DbClient db(backends.database.address());
  new_clients::CacheService cache(backends.cache.address());
  const auto before = [&](const auto& id) { return phase0::analytics(old_db, old_cache, id); };
  const auto first = [&](const auto& id) { return phase1::analytics(db, old_cache, id); };
  const auto second = [&](const auto& id) { return phase2::analytics(db, cache, id); };
  check(backends, before, "0", "row 0");
  check(backends, first, "1", "row 1");
  check(backends, second, "2", "row 2");

  AnalyticsService service(db, cache);
  const auto third = [&](const auto& id) { return aio::run(service.process_data_async(id)); };
  check(backends, third, "3", "row 3");

  green::Socket listener = green::listen(green::Address("127.0.0.1", 0));
  auto server = green::spawn([&] { serve(listener, service); });
  const auto fourth = [&](const auto& id) { return lines::ask(listener.getsockname(), id); };
  check(backends, fourth, "4", "200 row 4");
  server.kill();
  std::printf("four phases, the same answers in each\n");
}
