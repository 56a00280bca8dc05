#include "../support.hpp"

#include <aio/sleep.hpp>
#include <aio/timeout.hpp>
#include <aio/wait_for.hpp>

#include <stdexcept>

namespace {

aio::task<std::string> limited(double limit, double length) {
  aio::timeout scope(limit);
  try {
    co_await aio::sleep(length);
  } catch (const aio::TimeoutError&) {
    co_return scope.expired() ? "timed out" : "timed out, not expired";
  }
  co_return scope.expired() ? "expired" : "done";
}

}  // namespace

TEST_CASE("what waits beyond the deadline gets TimeoutError where it waits") {
  CHECK(aio::run(limited(0.002, 10)) == "timed out");
  CHECK(aio::run(limited(0, 10)) == "timed out");
  CHECK(aio::run(limited(10, 0.001)) == "done");
  CHECK(green::awaitlet(limited(0.002, 10)) == "timed out");
}

TEST_CASE("it leaves the scope like any exception, and later waits are free of it") {
  auto body = []() -> aio::task<bool> {
    bool caught = false;
    try {
      aio::timeout scope(0.001);
      co_await aio::sleep(10);
    } catch (const std::exception&) {
      caught = true;
    }
    co_await aio::sleep(0.003);
    co_return caught;
  };
  CHECK(aio::run(body()));
}

TEST_CASE("the outer of two scopes may end first") {
  auto body = []() -> aio::task<std::string> {
    aio::timeout outer(0.002);
    try {
      aio::timeout inner(10);
      try {
        co_await aio::sleep(20);
      } catch (const aio::TimeoutError&) {
        CHECK(!inner.expired());
        throw;
      }
    } catch (const aio::TimeoutError&) {
      co_return outer.expired() ? "outer" : "?";
    }
    co_return "none";
  };
  CHECK(aio::run(body()) == "outer");
}

TEST_CASE("reschedule moves the deadline, either way") {
  auto body = [](double first, double second, double length) -> aio::task<bool> {
    aio::timeout scope(first);
    scope.reschedule(second);
    try {
      co_await aio::sleep(length);
    } catch (const aio::TimeoutError&) {
      co_return true;
    }
    co_return false;
  };
  CHECK(aio::run(body(20, 0.001, 10)));
  CHECK(aio::run(body(0.001, 20, 0.01)) == false);
  CHECK(aio::run(body(20, 0, 10)));
}

TEST_CASE("a scope without a deadline gets one by reschedule") {
  auto body = []() -> aio::task<bool> {
    aio::timeout scope(std::nullopt);
    co_await aio::sleep(0);
    scope.reschedule(0.001);
    try {
      co_await aio::sleep(10);
    } catch (const aio::TimeoutError&) {
      co_return true;
    }
    co_return false;
  };
  CHECK(aio::run(body()));
}

TEST_CASE("another task may reschedule it: who made it is interrupted") {
  aio::timeout* scope = nullptr;
  auto body = [](aio::timeout*& place) -> aio::task<bool> {
    aio::timeout own(20);
    place = &own;
    try {
      co_await aio::sleep(10);
    } catch (const aio::TimeoutError&) {
      co_return true;
    }
    co_return false;
  };
  auto task = aio::create_task(body(scope));
  green::sleep(0);
  REQUIRE(scope);
  scope->reschedule(0.001);
  CHECK(green::awaitlet(task));
}

TEST_CASE("rescheduled in an inner scope it is still the outer one's") {
  auto body = []() -> aio::task<std::string> {
    std::string seen;
    aio::timeout scope(20);
    auto inner = [](aio::timeout& outer, std::string& to) -> aio::task<> {
      outer.reschedule(0.001);
      try {
        co_await aio::sleep(10);
      } catch (const aio::CancelledError&) {
        to = "cancelled";
        throw;
      }
    };
    try {
      co_await aio::wait_for(inner(scope, seen), 10);
    } catch (const aio::TimeoutError&) {
      seen += scope.expired() ? ", then timed out" : ", by the wrong one";
    }
    co_return seen;
  };
  CHECK(aio::run(body()) == "cancelled, then timed out");
}

TEST_CASE("a scope that has expired cannot be rescheduled") {
  auto body = []() -> aio::task<> {
    aio::timeout scope(0.001);
    try {
      co_await aio::sleep(10);
    } catch (const aio::TimeoutError&) {
    }
    scope.reschedule(1);
  };
  CHECK_THROWS_AS(aio::run(body()), std::logic_error);
}
