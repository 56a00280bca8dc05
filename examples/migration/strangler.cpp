// One endpoint moves from green code to a coroutine while the program serves: first compared, then
// for a part of the users, then for all.

#include "lines.hpp"

#include <green/strangler.hpp>

#include <cstdio>
#include <iostream>

namespace {

std::string old_user(const green::Address& server, int id) {
  return lines::ask(server, "user " + std::to_string(id));
}
aio::task<std::string> new_user(green::Address server, int id) {
  co_return co_await lines::ask_async(server, "user " + std::to_string(id));
}

}  // namespace

int main() {
  using lines::require;
  lines::Server server([](const std::string& line) { return "U" + line.substr(5); });

  // [switch]
  const green::Address address = server.address();
  green::Strangler<std::string(int)> get_user(
      "get_user", [address](int id) { return old_user(address, id); },
      [address](int id) { return new_user(address, id); });
  get_user.set_key([](int id) { return id; });  // a user stays on one side
  // [/switch]
  require(get_user(1) == "U1", "the old side, until told otherwise");

  // [shadow]
  get_user.set_shadow();  // both run, callers have the old one's result
  for (int id = 0; id < 20; ++id) require(get_user(id) == "U" + std::to_string(id), "shadowed");
  get_user.wait_for_shadows();
  require(get_user.report().shadow.mismatches == 0, "no mismatch");
  // [/shadow]

  // [percentage]
  get_user.set_retreat(0.1, 100);  // back to the old side if a tenth of the new calls fails
  for (const double part : {10.0, 50.0, 100.0}) {
    get_user.set_percentage(part);
    for (int id = 0; id < 20; ++id) require(get_user(id) == "U" + std::to_string(id), "moved");
  }
  // [/percentage]
  require(!get_user.retreated(), "it stays");
  require(get_user.report().new_side.calls >= 20, "all calls of the last round are new");
  green::print_stranglers(std::cout);
}
