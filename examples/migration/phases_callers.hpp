// phases.cpp includes this in each of its phases: the application, which is never touched.

// [callers]
std::string analytics(DbClient& db, CacheService& cache, const std::string& id) {
  std::string result = cache.get(id);
  if (!result.empty()) return result;
  result = db.query("SELECT * FROM analytics WHERE id=" + id);
  cache.set(id, result);
  return result;
}
// [/callers]
