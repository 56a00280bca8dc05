// A deep chain of calls: only its lowest layer becomes asynchronous, what lies above is the same
// text before and after.

#include "lines.hpp"

#include <cstdio>
#include <map>

namespace {

using Params = std::map<std::string, std::string>;
using Record = std::map<std::string, std::string>;

green::Address database;  // where it listens

Record make_record(const std::string& id, const std::string& answer) {
  if (answer == "none") throw std::out_of_range("no record " + id);
  return {{"id", id}, {"value", answer}};
}

namespace before {
// [before]
Record fetch_from_db(const Params& params) {
  return make_record(params.at("id"), lines::ask(database, "get " + params.at("id")));
}
Record data_access_layer(const Params& params) {
  return green::spawn(fetch_from_db, params).wait();
}
// [/before]
#include "deep_call_chain_callers.hpp"
}  // namespace before

namespace after {
// [after]
aio::task<Record> fetch_from_db_async(Params params) {
  const std::string answer = co_await lines::ask_async(database, "get " + params.at("id"));
  co_return make_record(params.at("id"), answer);
}
Record data_access_layer(const Params& params) {
  return green::awaitlet(fetch_from_db_async(params));
}
// [/after]
#include "deep_call_chain_callers.hpp"
}  // namespace after

using Endpoint = std::string (*)(const Params&);

void check(Endpoint api_endpoint) {
  using lines::require;
  const Params seven{{"id", "7"}}, none{{"id", "none"}}, lost{{"id", "lost"}}, pair{{"id", "pair"}};
  require(api_endpoint(seven) == "7 has value 7, checked: yes", "what the database holds");

  // An exception of the edge passes all layers as the type it is.
  std::string error;
  try {
    api_endpoint(none);
  } catch (const std::out_of_range& caught) {
    error = caught.what();
  }
  require(error == "no record none", "the edge's exception");

  // So does a time limit, in the other direction.
  const bool finished = green::move_on_after(0.05, [&] { api_endpoint(lost); });
  require(!finished, "a time limit reaches the edge");

  // One that waits keeps nobody else: the database answers these two together, or never.
  auto one = green::spawn(api_endpoint, pair);
  auto other = green::spawn(api_endpoint, pair);
  require(one.wait() == other.wait(), "two requests at once");
}

}  // namespace

int main() {
  green::debug::hub_exceptions(false);
  int asked_in_pairs = 0;
  green::Semaphore pairs(0);
  const green::Event<> never;
  lines::Server server([&](const std::string& line) -> std::string {
    if (line == "get none") return "none";
    if (line == "get lost") never.wait();
    if (line == "get pair") {
      if (++asked_in_pairs % 2 == 1) {
        pairs.acquire();
      } else {
        pairs.release();
      }
    }
    return "value " + line.substr(4);
  });
  database = server.address();
  check(before::api_endpoint);
  check(after::api_endpoint);
  std::printf("the same answers, errors and time limits before and after\n");
}
