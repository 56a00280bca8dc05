#pragma once

// Two clients that a program shares, as they were and as they are after their migration.

#include "lines.hpp"

namespace old_clients {

// [old]
class DbClient {
 public:
  explicit DbClient(green::Address server) : server_(std::move(server)) {}
  std::string query(const std::string& sql) {
    return green::spawn(lines::ask, server_, sql).wait();
  }

 private:
  green::Address server_;
};

class CacheService {
 public:
  explicit CacheService(green::Address server) : server_(std::move(server)) {}
  std::string get(const std::string& key) { return lines::ask(server_, "get " + key); }
  void set(const std::string& key, const std::string& value) {
    lines::ask(server_, "set " + key + "=" + value);
  }

 private:
  green::Address server_;
};
// [/old]

}  // namespace old_clients

namespace new_clients {

// [db]
class DbClient {
 public:
  explicit DbClient(green::Address server) : server_(std::move(server)) {}
  std::string query(const std::string& sql) { return green::awaitlet(query_async(sql)); }
  aio::task<std::string> query_async(std::string sql) { return lines::ask_async(server_, sql); }

 private:
  green::Address server_;
};
// [/db]

// [cache]
class CacheService {
 public:
  explicit CacheService(green::Address server) : server_(std::move(server)) {}
  std::string get(const std::string& key) { return green::awaitlet(get_async(key)); }
  void set(const std::string& key, const std::string& value) {
    green::awaitlet(set_async(key, value));
  }
  aio::task<std::string> get_async(std::string key) {
    return lines::ask_async(server_, "get " + key);
  }
  aio::task<> set_async(std::string key, std::string value) {
    co_await lines::ask_async(server_, "set " + key + "=" + value);
  }

 private:
  green::Address server_;
};
// [/cache]

}  // namespace new_clients
