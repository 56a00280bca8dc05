// An application in its phases: the database's client, the cache's, and a new service that awaits.
// The fourth, which needs the module for HTTP, is phase4.cpp.

#include "analytics.hpp"

#include <cstdio>

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
  std::printf("before and in three phases, the same answers\n");
}
