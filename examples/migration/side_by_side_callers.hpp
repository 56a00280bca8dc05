// side_by_side.cpp includes this twice: a component of the application, in the old style.

// [callers]
void report(DbClient& db, CacheService& cache, green::Queue<std::string>& results,
            const std::string& id) {
  const std::string row = db.query("meet " + id);
  cache.set(id, row);
  results.put(cache.get(id));
}
// [/callers]
