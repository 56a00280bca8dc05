// An API with two faces and one implementation: old consumers block, new ones await.

#include "lines.hpp"

#include <cstdio>
#include <vector>

namespace before {
// [before]
class DatabaseApi {
 public:
  explicit DatabaseApi(green::Address server) : server_(std::move(server)) {}

  std::string get_user(int id) {
    ++queries_;
    return lines::ask(server_, "user " + std::to_string(id));
  }
  int queries() const { return queries_; }

 private:
  green::Address server_;
  int queries_ = 0;
};
// [/before]
#include "dual_mode_callers.hpp"
}  // namespace before

namespace after {
// [after]
class DatabaseApi {
 public:
  explicit DatabaseApi(green::Address server) : server_(std::move(server)) {}

  std::string get_user(int id) { return green::awaitlet(get_user_async(id)); }
  aio::task<std::string> get_user_async(int id) {
    ++queries_;
    co_return co_await lines::ask_async(server_, "user " + std::to_string(id));
  }
  int queries() const { return queries_; }

 private:
  green::Address server_;
  int queries_ = 0;
};
// [/after]
#include "dual_mode_callers.hpp"
}  // namespace after

namespace {

// [consumer]
// A new consumer, at its own pace.
aio::task<std::string> process_user_async(after::DatabaseApi& api, int id) {
  const std::string user = co_await api.get_user_async(id);
  co_return "Dear " + user;
}
// One that is halfway: in a coroutine the blocking face suspends this coroutine only.
aio::task<std::string> process_both(after::DatabaseApi& api) {
  const std::string first = api.get_user(1);
  const std::string second = co_await api.get_user_async(2);
  co_return first + " and " + second;
}
// [/consumer]

// [free_functions]
aio::task<std::string> greeting_async(green::Address server) {
  co_return co_await lines::ask_async(server, "user 0");
}
const auto greeting = green::sync(greeting_async);  // std::string greeting(green::Address)
// [/free_functions]

}  // namespace

int main() {
  using lines::require;
  lines::Server server([](const std::string& line) { return "U" + line.substr(5); });
  before::DatabaseApi old_api(server.address());
  after::DatabaseApi api(server.address());
  require(before::process_users(old_api) == "Dear U1. Dear U2. Dear U3. ", "before");
  require(after::process_users(api) == "Dear U1. Dear U2. Dear U3. ", "after");
  require(old_api.queries() == 3 && api.queries() == 3, "as many queries");

  // Both faces of one object at once.
  auto modern = aio::create_task(process_user_async(api, 4));
  auto legacy = green::spawn([&] { return after::process_user(api, 5); });
  require(green::awaitlet(modern) == "Dear U4" && legacy.wait() == "Dear U5", "both at once");
  require(aio::run(process_both(api)) == "U1 and U2", "the blocking face in a coroutine");
  require(api.queries() == 7, "one implementation counts for both");
  require(greeting(server.address()) == "U0", "a face made by sync");
  std::printf("old and new consumers of one API\n");
}
