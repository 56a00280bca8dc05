// A client of remote procedure calls, with a pool of green threads, and its successor.

#include "lines.hpp"

#include <cstdio>
#include <map>
#include <sstream>

namespace {

struct RemoteError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... A>
std::string encode(const std::string& method, const A&... arguments) {
  std::ostringstream line;
  line << method;
  ((line << ' ' << arguments), ...);
  return line.str();
}
std::string decode(const std::string& answer) {
  if (answer.starts_with("error ")) throw RemoteError(answer.substr(6));
  return answer.substr(3);  // "ok "
}

namespace before {
// [before]
class RpcClient {
 public:
  explicit RpcClient(green::Address server) : server_(std::move(server)) {}

  template <class... A>
  std::string call_remote(const std::string& method, const A&... arguments) {
    const std::string line = encode(method, arguments...);
    return pool_.spawn([this, line] { return decode(lines::ask(server_, line)); }).wait();
  }

 private:
  green::Address server_;
  green::GreenPool pool_;
};
// [/before]
#include "rpc_client_callers.hpp"
}  // namespace before

namespace after {
// [after]
class RpcClient {
 public:
  explicit RpcClient(green::Address server) : server_(std::move(server)) {}

  template <class... A>
  std::string call_remote(const std::string& method, const A&... arguments) {
    return green::awaitlet(call_remote_async(method, arguments...));
  }
  template <class... A>
  aio::task<std::string> call_remote_async(std::string method, A... arguments) {
    const std::string answer = co_await lines::ask_async(server_, encode(method, arguments...));
    co_return decode(answer);
  }

 private:
  green::Address server_;
};
// [/after]
#include "rpc_client_callers.hpp"
}  // namespace after

// [consumer]
aio::task<int> total_async(after::RpcClient& client) {
  auto [a, b] = co_await aio::gather(client.call_remote_async("balance", std::string("a")),
                                     client.call_remote_async("balance", std::string("b")));
  co_return std::stoi(a) + std::stoi(b);
}
// [/consumer]

template <class F>
std::string remote_error(F call) {
  try {
    call();
  } catch (const RemoteError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

int main() {
  using lines::require;
  green::debug::hub_exceptions(false);
  std::map<std::string, int> accounts{{"a", 100}, {"b", 0}};
  lines::Server server([&](const std::string& line) -> std::string {
    std::istringstream words(line);
    std::string method, account;
    int amount = 0;
    words >> method >> account >> amount;
    if (!accounts.contains(account)) return "error no account " + account;
    if (method == "add") accounts[account] += amount;
    return "ok " + std::to_string(accounts[account]);
  });
  before::RpcClient old_client(server.address());
  after::RpcClient client(server.address());
  require(before::transfer(old_client, "a", "b", 30), "a transfer before");
  require(after::transfer(client, "a", "b", 30), "a transfer after");
  require(!before::transfer(old_client, "a", "b", 50), "refused before");
  require(!after::transfer(client, "a", "b", 50), "refused after");
  require(accounts["a"] == 40 && accounts["b"] == 60, "the accounts");
  require(remote_error([&] { before::balance(old_client, "c"); }) == "no account c", "an error");
  require(remote_error([&] { after::balance(client, "c"); }) == "no account c", "the same error");
  require(aio::run(total_async(client)) == 100, "a consumer that awaits");
  std::printf("the same transfers, refusals and errors through both clients\n");
}
