#include <green/transitions.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace {

struct Counting {
  Counting() {
    green::reset_transitions();
    green::debug::transitions(true);
  }
  ~Counting() {
    green::debug::transitions(false);
    green::reset_transitions();
  }
};

aio::task<int> ready(int value) { co_return value; }
aio::task<int> suspends(int value) {
  co_await aio::sleep(0.001);
  co_return value;
}

const green::Transition& at_line(const std::vector<green::Transition>& sites, unsigned line) {
  const auto found =
      std::find_if(sites.begin(), sites.end(), [&](const auto& site) { return site.line == line; });
  REQUIRE(found != sites.end());
  return *found;
}

struct TemporaryFile {
  std::string path = "/tmp/uvlet-transitions-" + std::to_string(getpid());
  ~TemporaryFile() { std::remove(path.c_str()); }
  std::string text() const {
    std::stringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
  }
};

// What a Python program, which has json and sys, makes of its input.
std::string by_python(const std::string& program, const std::string& input) {
  green::PopenOptions pipes;
  pipes.in = pipes.out = green::PIPE;
  green::Popen python({"python3", "-c", "import json, sys\n" + program}, pipes);
  const std::string output = python.communicate(input).first;
  CHECK(python.returncode() == 0);
  return output;
}

}  // namespace

TEST_CASE("each call of awaitlet is counted at its line, and whether it had to wait") {
  const Counting counting;
  for (int i = 0; i < 3; ++i) green::awaitlet(ready(i));
  const unsigned ready_line = __LINE__ - 1;
  green::awaitlet(suspends(1));
  const unsigned suspending_line = __LINE__ - 1;
  auto future = aio::create_task(suspends(2));
  green::awaitlet(future);
  const unsigned future_line = __LINE__ - 1;

  const auto sites = green::transitions();
  REQUIRE(sites.size() == 3);
  const auto& first = at_line(sites, ready_line);
  CHECK(first.file.ends_with("transitions_test.cpp"));
  CHECK_FALSE(first.function.empty());
  CHECK(first.direction == "sync->async");
  CHECK(first.calls == 3);
  CHECK(first.suspended == 0);
  CHECK(first.max_depth == 1);
  const auto& second = at_line(sites, suspending_line);
  CHECK(second.calls == 1);
  CHECK(second.suspended == 1);
  CHECK(second.total_seconds >= 0.001);
  CHECK(second.max_seconds == second.total_seconds);
  CHECK(at_line(sites, future_line).suspended == 1);
}

TEST_CASE("the other direction is co_await of a green thread, and depth counts the changes") {
  const Counting counting;
  unsigned inner_line = 0, await_line = 0;
  auto coroutine = [&]() -> aio::task<int> {
    auto thread = green::spawn([] { return 4; });
    const int from_green = co_await std::move(thread);
    await_line = __LINE__ - 1;
    // An ordinary call in a coroutine that goes back to one: two changes more.
    const int nested = green::awaitlet(ready(1));
    inner_line = __LINE__ - 1;
    co_return from_green + nested;
  };
  CHECK(green::awaitlet(coroutine()) == 5);
  const auto sites = green::transitions();
  CHECK(at_line(sites, await_line).direction == "async->sync");
  CHECK(at_line(sites, await_line).max_depth == 2);
  CHECK(at_line(sites, await_line).suspended == 1);
  CHECK(at_line(sites, inner_line).max_depth == 3);
}

TEST_CASE("a function run by async_def is one change deeper") {
  const Counting counting;
  unsigned line = 0;
  auto plain = [&] {
    const int got = green::awaitlet(ready(3));
    line = __LINE__ - 1;
    return got;
  };
  CHECK(aio::run(aio::async_def(plain)) == 3);
  CHECK(at_line(green::transitions(), line).max_depth == 3);  // task, function, task
}

TEST_CASE("async_def is counted where it is called, each call site by itself") {
  const Counting counting;
  const auto plain = [] { green::sleep(0); };
  aio::run(aio::async_def(plain));
  const unsigned first_line = __LINE__ - 1;
  const auto strict = [](int value) {
    green::sleep(0);
    return value;
  };
  const auto both = [&]() -> aio::task<int> {
    co_await aio::async_def(plain);
    const int got = co_await aio::async_def_strict(strict, 3);
    co_return got;
  };
  const unsigned last_line = __LINE__ - 3;
  CHECK(aio::run(both()) == 3);
  const auto sites = green::transitions();
  REQUIRE(sites.size() == 3);
  for (const green::Transition& site : sites) {
    CHECK(site.file.ends_with("transitions_test.cpp"));
    CHECK(site.direction == "async->sync");
    CHECK(site.calls == 1);
    CHECK(site.suspended == 1);
  }
  CHECK(at_line(sites, first_line).max_depth == 2);
  CHECK(at_line(sites, last_line).calls == 1);
  CHECK(at_line(sites, last_line - 1).calls == 1);
}

TEST_CASE("aio::run and the faces of one object are no transitions") {
  const Counting counting;
  const auto reads = [](green::GreenThread<int> thread) -> aio::task<int> {
    co_return co_await thread.wait_async();
  };
  CHECK(aio::run(reads(green::spawn([] { return 2; }))) == 2);
  CHECK(green::transitions().empty());
}

TEST_CASE("nothing is counted while it is off, and an exception ends a crossing too") {
  green::reset_transitions();
  green::awaitlet(ready(1));
  CHECK(green::transitions().empty());
  const Counting counting;
  auto fails = []() -> aio::task<void> {
    co_await aio::sleep(0);
    throw std::runtime_error("mine");
  };
  CHECK_THROWS_AS(green::awaitlet(fails()), std::runtime_error);
  CHECK(green::transitions().at(0).calls == 1);
  auto victim = green::spawn([] { green::awaitlet(aio::sleep(test::watchdog)); });
  green::sleep(0);
  victim.kill();
  CHECK(green::transitions().size() == 2);
}

TEST_CASE("the report is a table, JSON or a graph") {
  const Counting counting;
  green::awaitlet(ready(1));
  std::ostringstream table;
  green::print_transitions(table);
  CHECK(table.str().find("transitions_test.cpp:") != std::string::npos);
  CHECK(table.str().find("sync->async") != std::string::npos);
}

TEST_CASE("the JSON is what a parser reads, whatever the files are called") {
  const Counting counting;
  CHECK(by_python("print(json.load(sys.stdin))", green::transitions_json()) == "[]\n");
  for (int i = 0; i < 2; ++i)
    green::awaitlet(suspends(1), green::CallSite::current("a \"b\"\\c\td.cpp", 7, "f"));
  const std::string fields =
      "for t in json.load(sys.stdin): print(t['file'], t['line'], t['function'], t['direction'], "
      "t['calls'], t['suspended'], 0 < t['max_seconds'] <= t['total_seconds'], t['max_depth'])";
  CHECK(by_python(fields, green::transitions_json()) ==
        "a \"b\"\\c d.cpp 7 f sync->async 2 2 True 1\n");
}

TEST_CASE("the graph has a box for each function, and an arrow for each call site") {
  const Counting counting;
  green::awaitlet(ready(1), green::CallSite::current("src/a \"b\".cpp", 7, "f"));
  using green::detail::Crossing;
  for (int i = 0; i < 2; ++i)
    Crossing(green::CallSite::current("src/c.cpp", 9, "g"), Crossing::Direction::to_sync);
  CHECK(green::transitions_graphviz() ==
        "digraph transitions {\n  rankdir=LR;\n  node [shape=box];\n"
        "  \"a \\\"b\\\".cpp\\nf\" -> \"coroutines\" [label=\"line 7: 1 calls\"];\n"
        "  \"c.cpp\\ng\" -> \"green threads\" [label=\"line 9: 2 calls\"];\n}\n");
}

TEST_CASE("a call site that is not in the baseline fails the check, moved lines do not") {
  const Counting counting;
  const TemporaryFile baseline;
  green::awaitlet(ready(1));
  green::save_transitions(baseline.path);
  green::reset_transitions();
  green::awaitlet(ready(2));  // another line of the same function
  CHECK_NOTHROW(green::check_transitions(baseline.path));
  const auto elsewhere = [] { green::awaitlet(ready(3)); };
  elsewhere();
  CHECK_THROWS_AS(green::check_transitions(baseline.path), std::runtime_error);
  try {
    green::check_transitions(baseline.path);
  } catch (const std::runtime_error& error) {
    CHECK(std::string(error.what()).find("transitions_test.cpp:") != std::string::npos);
  }
  CHECK_THROWS_AS(green::check_transitions("/nowhere/baseline"), std::system_error);
}

TEST_CASE("a baseline serves build directories of every depth") {
  const Counting counting;
  const TemporaryFile baseline;
  green::awaitlet(ready(1), green::CallSite::current("../../src/a.cpp", 1, "f"));
  green::save_transitions(baseline.path);
  CHECK(baseline.text() == "src/a.cpp f sync->async\n");
  for (const char* path : {"../src/a.cpp", "./../../../src/a.cpp", "src/a.cpp"}) {
    green::reset_transitions();
    green::awaitlet(ready(1), green::CallSite::current(path, 1, "f"));
    CHECK_NOTHROW(green::check_transitions(baseline.path));
  }
  std::ofstream(baseline.path) << "../../src/a.cpp f sync->async\n";
  CHECK_NOTHROW(green::check_transitions(baseline.path));
  green::awaitlet(ready(1), green::CallSite::current("../other/a.cpp", 1, "f"));
  CHECK_THROWS_AS(green::check_transitions(baseline.path), std::runtime_error);
}

TEST_CASE("what sync and spawn_for_awaitable make is counted where they are called") {
  const Counting counting;
  const auto one = green::sync(ready);
  const unsigned sync_line = __LINE__ - 1;
  CHECK(one(1) == 1);
  CHECK(green::spawn_for_awaitable(ready(2)).wait() == 2);
  CHECK(at_line(green::transitions(), sync_line).calls == 1);
  CHECK(at_line(green::transitions(), __LINE__ - 2).calls == 1);
}

TEST_CASE("a second call site in the same function fails the check") {
  const Counting counting;
  const TemporaryFile baseline;
  const auto either = [](bool second) {
    if (second) return green::awaitlet(ready(2));
    return green::awaitlet(ready(1));
  };
  either(false);
  green::save_transitions(baseline.path);
  green::check_transitions(baseline.path);
  either(true);
  std::string text;
  try {
    green::check_transitions(baseline.path);
  } catch (const std::runtime_error& error) {
    text = error.what();
  }
  CHECK(text.find("(2 sites there, 1 in the baseline)") != std::string::npos);
}

TEST_CASE("a switch between two green threads keeps their depths apart") {
  const Counting counting;
  auto work = [] {
    for (int i = 0; i < 5; ++i) green::awaitlet(suspends(i));
  };
  auto one = green::spawn(work);
  auto other = green::spawn(work);
  one.wait();
  other.wait();
  const auto sites = green::transitions();
  REQUIRE(sites.size() == 1);
  CHECK(sites[0].calls == 10);
  CHECK(sites[0].max_depth == 1);
}
