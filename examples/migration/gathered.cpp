// Many calls at once: a pool of green threads, the same pool over a bridged function, and one
// awaitlet of a gather. A loop of awaitlets is for calls that depend on each other.

#include "lines.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace {

green::Address web;  // where the server of all pages listens

namespace before {
// [before]
std::string fetch_data(const std::string& url) { return lines::ask(web, url); }
// [/before]
#include "gathered_pool.hpp"

#include "gathered_callers.hpp"
}  // namespace before

namespace bridged {
// [bridged]
std::string fetch_data(const std::string& url) {
  return green::awaitlet(lines::ask_async(web, url));
}
// [/bridged]
#include "gathered_pool.hpp"

#include "gathered_callers.hpp"
}  // namespace bridged

namespace in_turn {
using bridged::fetch_data;
// [in_turn]
std::vector<std::string> process_urls(const std::vector<std::string>& urls) {
  std::vector<std::string> results;
  for (const std::string& url : urls) results.push_back(fetch_data(url));
  return results;
}
// [/in_turn]
#include "gathered_callers.hpp"
}  // namespace in_turn

namespace after {
// [after]
aio::task<std::vector<std::string>> fetch_all_async(std::vector<std::string> urls) {
  std::vector<aio::task<std::string>> work;
  for (const std::string& url : urls) work.push_back(lines::ask_async(web, url));
  co_return co_await aio::gather(std::move(work));
}
std::vector<std::string> process_urls(const std::vector<std::string>& urls) {
  return green::awaitlet(fetch_all_async(urls));
}
// [/after]
#include "gathered_callers.hpp"
}  // namespace after

// Answers nobody before `expected` have asked, and knows how many asked at once.
class Meeting {
 public:
  void expect(int expected) {
    expected_ = expected;
    most_ = 0;
    if (everybody_.ready()) everybody_.reset();
  }
  std::string answer(const std::string& line) {
    most_ = std::max(most_, ++inside_);
    if (inside_ == expected_ && !everybody_.ready()) everybody_.send();
    everybody_.wait();
    --inside_;
    return "<" + line + ">";
  }
  int most() const { return most_; }

 private:
  int expected_ = 1;
  int inside_ = 0;
  int most_ = 0;
  green::Event<> everybody_;
};

}  // namespace

int main() {
  Meeting meeting;
  lines::Server server([&](const std::string& line) { return meeting.answer(line); });
  web = server.address();
  const std::vector<std::string> urls{"a", "b", "c", "d", "e"};
  const auto check = [&](auto contents, int at_once) {
    meeting.expect(at_once);
    lines::require(contents(urls) == "<a> <b> <c> <d> <e> ", "all contents, in order");
    lines::require(meeting.most() == at_once, "how many at once");
  };
  check(before::contents, 5);
  check(bridged::contents, 5);
  check(in_turn::contents, 1);
  check(after::contents, 5);
  std::printf("five at once: green, bridged, gathered; one at a time in a loop\n");
}
