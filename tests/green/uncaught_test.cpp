// What becomes of an exception that leaves a green thread: of each kind, in each way to end.

#include "../standard_error.hpp"
#include "../support.hpp"

#include <aio/aio.hpp>

#include <exception>
#include <functional>
#include <stdexcept>
#include <string>

namespace {

struct Kind {
  const char* name;
  std::exception_ptr error;
  std::string described;  // in reports
  bool (*is_it)(const std::exception_ptr&);
};

std::exception_ptr nested() {
  try {
    try {
      throw std::runtime_error("inner");
    } catch (...) {
      std::throw_with_nested(std::logic_error("outer"));
    }
  } catch (...) {
    return std::current_exception();
  }
}

template <class E>
bool holds(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const E&) {
    return true;
  } catch (...) {
    return false;
  }
}

bool holds_nested(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::logic_error& outer) {
    try {
      std::rethrow_if_nested(outer);
    } catch (const std::runtime_error& inner) {
      return std::string(inner.what()) == "inner" && std::string(outer.what()) == "outer";
    }
  } catch (...) {
  }
  return false;
}

const Kind kinds[] = {
    {"std", std::make_exception_ptr(std::runtime_error("of std")), "std::runtime_error: of std",
     holds<std::runtime_error>},
    {"other", std::make_exception_ptr(5), "int", holds<int>},
    {"nested", nested(), "outer", holds_nested},
};

template <class F>
std::exception_ptr error_of(F function) {
  try {
    function();
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

// Runs `end` and checks that stderr was told of one exception of this kind.
void check_report(const Kind& kind, const std::function<void()>& end) {
  CAPTURE(kind.name);
  test::StandardError printed;
  end();
  green::sleep(0);
  const std::string text = printed.text();
  CHECK(count(text, " ended with ") == 1);
  CHECK(text.find(kind.described) != std::string::npos);
}

green::GreenThread<void> thrower(const Kind& kind) {
  return green::spawn([&kind] {
    green::sleep(0);
    std::rethrow_exception(kind.error);
  });
}

}  // namespace

TEST_CASE("who joins gets it, as often as it asks, and it is printed once") {
  for (const Kind& kind : kinds)
    check_report(kind, [&] {
      auto thread = thrower(kind);
      const std::exception_ptr first = error_of([&] { thread.wait(); });
      CHECK(kind.is_it(first));
      CHECK(error_of([&] { thread.wait(); }) == first);
    });
}

TEST_CASE("where nobody joins it is printed") {
  for (const Kind& kind : kinds) {
    check_report(kind, [&] {
      thrower(kind);
      for (int i = 0; i < 3; ++i) green::sleep(0);
    });
    check_report(kind, [&] {
      green::spawn_n([&] { std::rethrow_exception(kind.error); });
      green::sleep(0);
    });
  }
}

TEST_CASE("a link gets it") {
  for (const Kind& kind : kinds)
    check_report(kind, [&] {
      bool linked = false;
      auto thread = thrower(kind);
      thread.link([&](green::GreenThread<void> ended) {
        linked = kind.is_it(error_of([&] { ended.wait(); }));
      });
      CHECK(kind.is_it(error_of([&] { thread.wait(); })));
      CHECK(linked);
    });
}

TEST_CASE("who is killed with it ends with it") {
  for (const Kind& kind : kinds)
    check_report(kind, [&] {
      auto thread = green::spawn([] { green::sleep(test::watchdog); });
      green::sleep(0);
      thread.kill(kind.error);
      CHECK(thread.dead());
      CHECK(kind.is_it(error_of([&] { thread.wait(); })));
    });
}

TEST_CASE("who catches it while it is killed with it goes on") {
  for (const Kind& kind : kinds) {
    auto thread = green::spawn([&] {
      const std::exception_ptr error = error_of([] { green::sleep(test::watchdog); });
      green::sleep(0);
      return kind.is_it(error);
    });
    green::sleep(0);
    thread.kill(kind.error);
    CHECK(thread.wait());
  }
}

TEST_CASE("a coroutine passes it on") {
  const test::Quiet quiet;
  for (const Kind& kind : kinds) {
    CAPTURE(kind.name);
    auto throws = [](const Kind& what) -> aio::task<void> {
      co_await aio::sleep(0);
      std::rethrow_exception(what.error);
    };
    CHECK(kind.is_it(error_of([&] { green::awaitlet(throws(kind)); })));
    auto future = aio::create_task(throws(kind));
    CHECK(kind.is_it(error_of([&] { green::awaitlet(future); })));
    auto thread = green::spawn([&] { green::awaitlet(throws(kind)); });
    CHECK(kind.is_it(error_of([&] { thread.wait(); })));
  }
}
