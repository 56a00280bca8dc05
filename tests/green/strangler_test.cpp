#include <green/strangler.hpp>

#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>
#include <uvlet/testing.hpp>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <limits>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using green::Strangler;
using uvlet::testing::simulate;

using Numbers = Strangler<int(int)>;

int old_double(int n) { return 2 * n; }
aio::task<int> new_double(int n) { co_return 2 * n; }

int slow_double(int n) {
  green::sleep(1);
  return 2 * n;
}
aio::task<int> slower_double(int n) {
  co_await aio::sleep(3);
  co_return 2 * n;
}

// How many of the calls the new side has had.
std::uint64_t new_calls(const Numbers& numbers) { return numbers.report().new_side.calls; }

// Whether brackets and quotes close each other, and nothing that JSON lacks stands in it.
bool is_json(const std::string& text) {
  std::string open;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      open += c == '{' ? '}' : ']';
    } else if (c == '}' || c == ']') {
      if (open.empty() || open.back() != c) return false;
      open.pop_back();
    }
  }
  return open.empty() && !in_string && text.find("nan") == std::string::npos;
}

}  // namespace

TEST_CASE("a percentage of 100,000 calls goes to the new side, in an even sequence") {
  Numbers numbers("even", old_double, new_double);
  for (int i = 0; i < 1000; ++i) REQUIRE(numbers(i) == 2 * i);
  CHECK(new_calls(numbers) == 0);  // until it is told otherwise
  numbers.set_percentage(30);
  for (int i = 1; i <= 100'000; ++i) {
    REQUIRE(numbers(i) == 2 * i);
    if (i % 10 == 0) REQUIRE(new_calls(numbers) == static_cast<unsigned>(i / 10 * 3));
  }
  numbers.set_percentage(0.01);  // while it runs
  for (int i = 0; i < 100'000; ++i) numbers(i);
  CHECK(new_calls(numbers) == 30'010);
  numbers.set_percentage(100);
  for (int i = 0; i < 100; ++i) numbers(i);
  CHECK(new_calls(numbers) == 30'110);
  CHECK(numbers.report().old_side.calls == 1000 + 70'000 + 99'990);
  CHECK(numbers.report().old_side.running == 0);
}

TEST_CASE("with a key each user stays on one side, and a higher percentage only adds users") {
  std::set<std::string> on_new;
  auto old_side = [](std::string) { return 0; };
  auto new_side = [](std::string user) -> aio::task<int> {
    (void)user;
    co_return 1;
  };
  const auto user = [](int i) { return "user" + std::to_string(i); };
  Strangler<int(std::string)> users("users", old_side, new_side);
  users.set_key([](const std::string& name) { return name; });
  users.set_percentage(20);
  for (int i = 0; i < 10'000; ++i)
    if (users(user(i))) on_new.insert(user(i));
  CHECK(on_new.size() > 1'800);  // of a hash that never changes: 2,000 and five deviations
  CHECK(on_new.size() < 2'200);
  for (int i = 0; i < 10'000; ++i) REQUIRE(users(user(i)) == on_new.contains(user(i)));
  users.set_percentage(50);
  for (const std::string& name : on_new) REQUIRE(users(name) == 1);
  Strangler<int(std::string)> twin("users", old_side, new_side);
  twin.set_key([](const std::string& name) { return name; });
  twin.set_percentage(20);
  for (int i = 0; i < 10'000; ++i) REQUIRE(twin(user(i)) == on_new.contains(user(i)));
}

TEST_CASE("a key's hash stays between versions, and each name has users of its own") {
  CHECK(green::detail::hash_bytes("a") == 0xaf63dc4c8601ec8c);  // FNV-1a
  const auto zero = [](int) { return 0; };
  Numbers one("one", zero, new_double), other("other", zero, new_double);
  for (Numbers* each : {&one, &other}) each->set_key([](int n) { return n; });
  for (Numbers* each : {&one, &other}) each->set_percentage(50);
  int apart = 0;
  for (int n = 1; n <= 1000; ++n) apart += one(n) != other(n);
  CHECK(apart > 300);
}

TEST_CASE("a rule decides by the arguments, and what it throws the caller gets") {
  Numbers numbers("rule", old_double, new_double);
  numbers.set_rule([](int n) {
    if (n < 0) throw std::out_of_range("negative");
    return n % 2 == 1;
  });
  for (int i = 0; i < 10; ++i) CHECK(numbers(i) == 2 * i);
  CHECK(new_calls(numbers) == 5);
  CHECK_THROWS_AS(numbers(-1), std::out_of_range);
  CHECK(numbers.report().old_side.calls == 5);
}

TEST_CASE("move-only arguments and results, void, and const references") {
  using Box = std::unique_ptr<int>;
  Strangler<Box(Box)> boxes(
      "boxes", [](Box box) { return box; },
      [](Box box) -> aio::task<Box> {
        ++*box;
        co_return box;
      });
  static_assert(!Strangler<Box(Box)>::can_shadow);
  CHECK(*boxes(std::make_unique<int>(1)) == 1);
  CHECK(*green::awaitlet(boxes.call_async(std::make_unique<int>(1))) == 1);
  boxes.set_percentage(100);
  CHECK(*boxes(std::make_unique<int>(1)) == 2);
  CHECK(*green::awaitlet(boxes.call_async(std::make_unique<int>(1))) == 2);

  std::string seen;
  Strangler<void(const std::string&)> sink(
      "sink", [&](const std::string& s) { seen = "old " + s; },
      [&](const std::string& s) -> aio::task<> {
        co_await aio::sleep(0);
        seen = "new " + s;
      });
  sink("a");
  CHECK(seen == "old a");
  green::awaitlet(sink.call_async("b"));
  CHECK(seen == "old b");
  sink.set_percentage(100);
  green::awaitlet(sink.call_async("c"));
  CHECK(seen == "new c");
}

TEST_CASE("in shadow mode the caller has the old result at the old one's speed") {
  simulate({}, [] {
    Numbers numbers("shadow", slow_double, slower_double);
    numbers.set_shadow();
    const uvlet::Time start = uvlet::Hub::get().now();
    CHECK(numbers(4) == 8);
    CHECK(uvlet::Hub::get().now() - start == 1'000'000'000);
    CHECK(numbers.report().shadow.running == 1);
    CHECK(green::awaitlet(numbers.call_async(5)) == 10);
    CHECK(uvlet::Hub::get().now() - start == 2'000'000'000);
    numbers.wait_for_shadows();
    CHECK(uvlet::Hub::get().now() - start == 4'000'000'000);
    const green::StranglerReport report = numbers.report();
    CHECK(report.shadow.runs == 2);
    CHECK(report.shadow.matches == 2);
    CHECK(report.old_side.max_seconds == doctest::Approx(1));
    CHECK(report.new_side.p50_seconds == doctest::Approx(3));
  });
}

TEST_CASE("mismatches and exceptions of one side are counted and told, and hurt nobody") {
  simulate({}, [] {
    std::vector<std::string> told;
    Numbers numbers(
        "differs",
        [](int n) {
          if (n >= 3) throw std::runtime_error("text " + std::to_string(n));
          return n;
        },
        [](int n) -> aio::task<int> {
          co_await aio::sleep(1);
          if (n == 1) throw std::runtime_error("new");
          if (n == 4) throw std::runtime_error("text 4");
          if (n == 5) throw std::runtime_error("other");
          co_return n == 2 ? 20 : n;
        });
    numbers.set_shadow();
    numbers.on_mismatch([&](const Numbers::Mismatch& mismatch) {
      std::string line = std::to_string(std::get<0>(mismatch.arguments)) + ":";
      for (const auto* side : {&mismatch.old_side, &mismatch.new_side})
        line += side->error ? " threw" : " " + std::to_string(*side->value);
      told.push_back(line);
    });
    for (int n = 0; n < 3; ++n) CHECK(numbers(n) == n);
    for (int n = 3; n < 6; ++n) CHECK_THROWS_AS(numbers(n), std::runtime_error);
    numbers.wait_for_shadows();
    const green::ShadowReport shadow = numbers.report().shadow;
    CHECK(shadow.matches == 2);  // 0, and 4: the same exception
    CHECK(shadow.mismatches == 2);
    CHECK(shadow.new_failed == 1);
    CHECK(shadow.old_failed == 1);
    std::sort(told.begin(), told.end());  // they end at one time
    CHECK(told ==
          std::vector<std::string>{"1: 1 threw", "2: 2 20", "3: threw 3", "5: threw threw"});
    CHECK(numbers.report().new_side.errors == 3);
  });
}

TEST_CASE("a comparison of one's own, and a callback that throws") {
  simulate({}, [] {
    Numbers numbers("near", old_double, [](int n) -> aio::task<int> { co_return 2 * n + 1; });
    numbers.set_shadow(4, [](int a, int b) { return a / 10 == b / 10; });
    const bool before = uvlet::report_exceptions.exchange(false);
    numbers.on_mismatch([](const Numbers::Mismatch&) { throw std::runtime_error("callback"); });
    CHECK(numbers(1) == 2);
    numbers.set_shadow(4, [](int a, int b) { return a == b; });
    numbers.wait_for_shadows();  // compared as it is by then
    uvlet::report_exceptions = before;
    CHECK(numbers.report().shadow.mismatches == 1);
    numbers.set_shadow(4, [](int a, int b) { return a / 10 == b / 10; });
    CHECK(numbers(1) == 2);
    numbers.wait_for_shadows();
    CHECK(numbers.report().shadow.matches == 1);
  });
}

TEST_CASE("no more shadows than the limit run at a time, the others are counted as dropped") {
  simulate({}, [] {
    unsigned running = 0, most = 0;
    Numbers numbers("limit", old_double, [&](int n) -> aio::task<int> {
      most = std::max(most, ++running);
      co_await aio::sleep(1);
      --running;
      co_return 2 * n;
    });
    numbers.set_shadow(3);
    for (int i = 0; i < 10; ++i) CHECK(numbers(i) == 2 * i);
    CHECK(numbers.report().shadow.dropped == 7);
    numbers.wait_for_shadows();
    CHECK(most == 3);
    CHECK(numbers(1) == 2);
    numbers.wait_for_shadows();
    CHECK(numbers.report().shadow.matches == 4);
    CHECK(numbers.report().shadow.dropped == 7);
  });
}

TEST_CASE("a kill of the caller passes through, and cancels the shadow") {
  simulate({}, [] {
    Numbers numbers("killed", slow_double, slower_double);
    for (const bool shadow : {false, true}) {
      if (shadow) numbers.set_shadow();
      auto caller = green::spawn([&] { return numbers(1); });
      green::sleep(0.5);
      caller.kill();
      CHECK_THROWS_AS(caller.wait(), green::GreenletExit);
    }
    numbers.wait_for_shadows();
    const green::StranglerReport report = numbers.report();
    CHECK(report.shadow.cancelled == 1);
    CHECK(report.old_side.cancelled == 2);
    CHECK(report.new_side.cancelled == 1);
    CHECK(report.old_side.running + report.new_side.running + report.shadow.running == 0);
    CHECK(report.old_side.errors == 0);

    numbers.set_percentage(100);
    CHECK_THROWS_AS(green::with_timeout(1, [&] { numbers(1); }), green::TimeoutExpired);
    CHECK(numbers.report().new_side.errors == 1);  // too slow for its caller
  });
}

TEST_CASE("cancelling a call_async kills the old side or cancels the new one, and the shadow") {
  simulate({}, [] {
    int ended_early = 0;
    Numbers numbers(
        "cancelled",
        [&](int n) {
          try {
            green::sleep(10);
          } catch (const green::GreenletExit&) {
            ++ended_early;
            throw;
          }
          return n;
        },
        [&](int n) -> aio::task<int> {
          try {
            co_await aio::sleep(10);
          } catch (const aio::CancelledError&) {
            ++ended_early;
            throw;
          }
          co_return n;
        });
    const auto cancel_one = [&] {
      auto call = aio::create_task(numbers.call_async(1));
      green::sleep(1);
      call.cancel();
      CHECK_THROWS_AS(green::awaitlet(call), aio::CancelledError);
    };
    cancel_one();
    CHECK(ended_early == 1);
    numbers.set_percentage(100);
    cancel_one();
    CHECK(ended_early == 2);
    numbers.set_shadow();
    cancel_one();
    green::awaitlet(numbers.wait_for_shadows_async());
    CHECK(ended_early == 4);
    CHECK(numbers.report().shadow.cancelled == 1);
    CHECK(numbers.report().old_side.cancelled == 2);
  });
}

TEST_CASE("shadows and calls outlive their Strangler") {
  simulate({}, [] {
    auto numbers = std::make_unique<Numbers>("gone", slow_double, slower_double);
    numbers->set_shadow();
    auto caller = green::spawn([&] { return (*numbers)(3); });
    green::sleep(0.5);
    numbers.reset();
    CHECK(caller.wait() == 6);
    green::sleep(5);  // the shadow ends
  });
}

TEST_CASE("too many errors of the new side bring all calls back to the old one") {
  Numbers numbers("retreat", old_double, [](int n) -> aio::task<int> {
    if (n % 4 == 0) throw std::runtime_error("new");
    co_return 2 * n;
  });
  numbers.set_retreat(0.25, 20);
  numbers.set_percentage(100);
  const auto call = [&](int n) {
    try {
      numbers(n);
    } catch (const std::runtime_error&) {
    }
  };
  for (int i = 1; i <= 200; ++i) call(i);  // 5 of each 20: not more than the rate
  CHECK_FALSE(numbers.retreated());
  CHECK(new_calls(numbers) == 200);
  for (int i = 0; i < 6; ++i) call(0);
  CHECK(numbers.retreated());
  for (int i = 0; i < 10; ++i) CHECK(numbers(0) == 0);
  CHECK(new_calls(numbers) == 206);
  numbers.set_percentage(100);
  CHECK_FALSE(numbers.retreated());
  CHECK(numbers(1) == 2);
  CHECK(new_calls(numbers) == 207);
  numbers.set_shadow();
  for (int i = 0; i < 10; ++i) numbers(0);
  numbers.wait_for_shadows();
  CHECK_FALSE(numbers.retreated());  // no caller saw those
}

TEST_CASE("percentiles are at most 1/32 too high, and never above the maximum") {
  green::LatencyHistogram histogram;
  CHECK(histogram.percentile(50) == 0);
  for (int i = 1; i <= 100'000; ++i) histogram.record(i * std::int64_t{1'000});
  for (const double percent : {0.001, 1.0, 50.0, 90.0, 99.0, 99.99}) {
    const double exact = percent / 100 * 0.1;
    CHECK(histogram.percentile(percent) >= exact * 0.999999);
    CHECK(histogram.percentile(percent) <= exact * (1 + 1.0 / 32) + 1e-9);
  }
  CHECK(histogram.percentile(100) == doctest::Approx(0.1).epsilon(1e-12));
  green::LatencyHistogram ends;
  ends.record(-5);
  CHECK(ends.percentile(100) == 0);
  ends.record(std::numeric_limits<std::int64_t>::max());
  CHECK(ends.percentile(50) == 0);
  CHECK(ends.percentile(99) == ends.max());
  CHECK(ends.count() == 2);
}

TEST_CASE("the latency of both sides is measured by the hub's clock") {
  simulate({}, [] {
    Numbers numbers(
        "latency",
        [](int n) {
          green::sleep(n * 0.01);
          return n;
        },
        [](int n) -> aio::task<int> {
          co_await aio::sleep(n);
          co_return n;
        });
    for (int i = 1; i <= 100; ++i) numbers(i);
    numbers.set_percentage(100);
    numbers(1);
    const green::StranglerReport report = numbers.report();
    CHECK(report.old_side.p50_seconds == doctest::Approx(0.5).epsilon(0.04));
    CHECK(report.old_side.p90_seconds == doctest::Approx(0.9).epsilon(0.04));
    CHECK(report.old_side.p99_seconds == doctest::Approx(0.99).epsilon(0.04));
    CHECK(report.old_side.max_seconds == doctest::Approx(1));
    CHECK(report.new_side.max_seconds == doctest::Approx(1));
  });
}

TEST_CASE("one report lists all Stranglers, as a table and as JSON") {
  const std::size_t others = green::stranglers().size();
  Numbers first("first", old_double, new_double);
  {
    Numbers second("a \"quoted\"\n\\name", old_double, new_double);
    second.set_shadow();
    second(1);
    second.wait_for_shadows();
    REQUIRE(green::stranglers().size() == others + 2);
    CHECK(green::stranglers()[others].name == "first");
    const std::string json = green::stranglers_json();
    CHECK(is_json(json));
    CHECK(json.find("\"name\": \"a \\\"quoted\\\"\\u000a\\\\name\", \"mode\": \"shadow\"") !=
          std::string::npos);
    CHECK(json.find("\"matches\": 1") != std::string::npos);
    std::ostringstream table;
    green::print_stranglers(table);
    CHECK(table.str().find("shadow: 1 runs, 1 match") != std::string::npos);
  }
  first.set_percentage(12.5);
  std::ostringstream table;
  green::print_stranglers(table);
  CHECK(table.str().find("12.5%") != std::string::npos);
  CHECK(green::stranglers().size() == others + 1);
}

TEST_CASE("another thread may read the report and set the percentage while calls run") {
  Numbers numbers("threads", old_double, new_double);
  std::atomic<bool> stop{false};
  bool balanced = true;
  std::thread operator_console([&] {
    for (int i = 0; !stop; ++i) {
      numbers.set_percentage(i % 101);
      for (const green::StranglerReport& each : green::stranglers())
        if (each.name == "threads") balanced &= each.old_side.running + each.new_side.running <= 1;
    }
  });
  for (int i = 0; i < 20'000; ++i) CHECK(numbers(i) == 2 * i);
  stop = true;
  operator_console.join();
  CHECK(balanced);
  CHECK(numbers.report().old_side.calls + new_calls(numbers) == 20'000);
}

TEST_CASE("a result that cannot be moved to the caller ends its call once") {
  struct Fragile {
    explicit Fragile(int* moves_left) : left(moves_left) {}
    Fragile(const Fragile& other) : left(other.left) {
      if ((*left)-- == 0) throw std::runtime_error("moved");
    }
    int* left;
  };
  int left = 0, thrown = 0;
  Strangler<Fragile()> fragile(
      "fragile", [&] { return Fragile(&left); },
      [&]() -> aio::task<Fragile> { co_return Fragile(&left); });
  for (const double percentage : {0.0, 100.0}) {
    fragile.set_percentage(percentage);
    for (int moves = 0; moves < 12; ++moves) {
      left = moves;
      try {
        green::awaitlet(fragile.call_async());
      } catch (const std::runtime_error&) {
        ++thrown;
      }
    }
  }
  const green::StranglerReport report = fragile.report();
  CHECK((thrown > 4 && thrown < 24));
  CHECK(report.old_side.calls + report.new_side.calls == 24);
  CHECK(report.old_side.running + report.new_side.running == 0);
}

TEST_CASE("misuse is refused") {
  CHECK_THROWS_AS(Numbers("none", nullptr, new_double), std::invalid_argument);
  CHECK_THROWS_AS(Numbers("none", old_double, nullptr), std::invalid_argument);
  Numbers numbers("misuse", old_double, new_double);
  for (const double wrong : {-0.1, 100.1, std::numeric_limits<double>::quiet_NaN()})
    CHECK_THROWS_AS(numbers.set_percentage(wrong), std::invalid_argument);
  CHECK_THROWS_AS(numbers.set_rule(nullptr), std::invalid_argument);
  CHECK_THROWS_AS(numbers.set_shadow(0), std::invalid_argument);
  CHECK_THROWS_AS(numbers.set_shadow(1, nullptr), std::invalid_argument);
  CHECK_THROWS_AS(numbers.set_retreat(1, 10), std::invalid_argument);
  CHECK_THROWS_AS(numbers.set_retreat(0.1, 0), std::invalid_argument);
  CHECK(numbers(2) == 4);  // none of it changed the route
  CHECK(new_calls(numbers) == 0);
  CHECK(numbers.report().shadow.runs == 0);
}
