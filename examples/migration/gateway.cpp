// An internal API behind a gateway, which migrates one method at a time: those who call it are the
// same text above all three of its states.

#include "lines.hpp"

#include <cstdint>
#include <cstdio>
#include <map>

namespace {

green::Address store;  // where it listens

namespace before {
// [before]
class ApiGateway {
 public:
  std::string fetch_data(const std::string& id) { return lines::ask(store, "get " + id); }
  void save_data(const std::string& id, const std::string& data) {
    lines::ask(store, "set " + id + " " + data);
  }
};
// [/before]
#include "gateway_callers.hpp"
}  // namespace before

namespace halfway {
// [halfway]
class ApiGateway {
 public:
  std::string fetch_data(const std::string& id) { return green::awaitlet(fetch_data_async(id)); }
  void save_data(const std::string& id, const std::string& data) {  // its turn comes later
    lines::ask(store, "set " + id + " " + data);
  }

 private:
  aio::task<std::string> fetch_data_async(std::string id) {
    co_return co_await lines::ask_async(store, "get " + id);
  }
};
// [/halfway]
#include "gateway_callers.hpp"
}  // namespace halfway

namespace after {
// [after]
class ApiGateway {
 public:
  std::string fetch_data(const std::string& id) { return green::awaitlet(fetch_data_async(id)); }
  void save_data(const std::string& id, const std::string& data) {
    green::awaitlet(save_data_async(id, data));
  }

  aio::task<std::string> fetch_data_async(std::string id) {
    co_return co_await lines::ask_async(store, "get " + id);
  }
  aio::task<> save_data_async(std::string id, std::string data) {
    co_await lines::ask_async(store, "set " + id + " " + data);
  }
};
// [/after]
#include "gateway_callers.hpp"
}  // namespace after

namespace together {
using after::ApiGateway;
// [together]
// When the caller's turn comes: one coroutine of its three steps, and one awaitlet around it.
aio::task<> rename_async(ApiGateway& gateway, std::string from, std::string to) {
  const std::string data = co_await gateway.fetch_data_async(from);
  co_await gateway.save_data_async(to, data);
  co_await gateway.save_data_async(from, "gone");
}
void rename_resource(ApiGateway& gateway, const std::string& from, const std::string& to) {
  green::awaitlet(rename_async(gateway, from, to));
}
// [/together]
}  // namespace together

// How often `program` crosses from ordinary functions into coroutines, as the report counts it.
template <class F>
std::uint64_t crossings(F program) {
  green::reset_transitions();
  green::debug::transitions(true);
  program();
  green::debug::transitions(false);
  std::uint64_t calls = 0;
  for (const green::Transition& point : green::transitions()) calls += point.calls;
  return calls;
}

}  // namespace

int main() {
  std::map<std::string, std::string> held{{"a", "some data"}};
  lines::Server server([&](const std::string& line) -> std::string {
    const std::string key = line.substr(4, 1);
    if (line.starts_with("get")) return held.at(key);
    held[key] = line.substr(6);
    return "saved";
  });
  store = server.address();

  before::ApiGateway old_gateway;
  halfway::ApiGateway gateway;
  after::ApiGateway new_gateway;
  const auto none = crossings([&] { before::rename_resource(old_gateway, "a", "b"); });
  const auto one = crossings([&] { halfway::rename_resource(gateway, "b", "c"); });
  const auto three = crossings([&] { after::rename_resource(new_gateway, "c", "d"); });
  const auto again = crossings([&] { together::rename_resource(new_gateway, "d", "e"); });
  lines::require(held.at("e") == "some data" && held.at("d") == "gone" && held.at("a") == "gone",
                 "four renames, one after the other");
  lines::require(none == 0 && one == 1 && three == 3 && again == 1, "the transition points");
  std::printf("crossings: 0 before, 1 halfway, 3 after, 1 with one coroutine\n");
}
