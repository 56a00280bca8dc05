#include "../support.hpp"

#include <aio/aio.hpp>
#include <green/green.hpp>
#include <uvlet/exceptions.hpp>

#include <cstring>
#include <new>
#include <stdexcept>
#include <type_traits>

namespace {

// What would be thrown if this were rethrown, by its text.
std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const uvlet::BaseException& exception) {
    return exception.what();
  } catch (const std::exception& exception) {
    return exception.what();
  }
}

template <class E>
bool passes_by_std_exception() {
  try {
    try {
      throw E();
    } catch (const std::exception&) {
      return false;
    }
  } catch (const uvlet::BaseException&) {
    return true;
  }
}

}  // namespace

TEST_CASE("catching std::exception does not catch a kill, a cancel or a timeout") {
  static_assert(!std::is_base_of_v<std::exception, uvlet::BaseException>);
  static_assert(!std::is_base_of_v<std::exception, green::GreenletExit>);
  static_assert(!std::is_base_of_v<std::exception, green::TimeoutExpired>);
  static_assert(!std::is_base_of_v<std::exception, aio::CancelledError>);
  CHECK(passes_by_std_exception<green::GreenletExit>());
  CHECK(passes_by_std_exception<green::TimeoutExpired>());
  CHECK(passes_by_std_exception<aio::CancelledError>());
}

TEST_CASE("each is a BaseException, default-constructible, with a text") {
  static_assert(std::is_base_of_v<uvlet::BaseException, green::GreenletExit>);
  static_assert(std::is_base_of_v<uvlet::BaseException, green::TimeoutExpired>);
  static_assert(std::is_base_of_v<uvlet::BaseException, aio::CancelledError>);
  static_assert(noexcept(std::declval<const uvlet::BaseException&>().what()));
  static_assert(std::has_virtual_destructor_v<uvlet::BaseException>);
  CHECK(std::strlen(uvlet::BaseException().what()) > 0);
  CHECK(std::strlen(green::GreenletExit().what()) > 0);
  CHECK(std::strlen(green::TimeoutExpired().what()) > 0);
  CHECK(std::strlen(aio::CancelledError().what()) > 0);
}

TEST_CASE("the names in green, aio and uvlet are the same types") {
  static_assert(std::is_same_v<green::BaseException, uvlet::BaseException>);
  static_assert(std::is_same_v<green::GreenletExit, uvlet::GreenletExit>);
  static_assert(std::is_same_v<green::TimeoutExpired, uvlet::TimeoutExpired>);
  static_assert(std::is_same_v<green::NoAwaitletContext, uvlet::NoAwaitletContext>);
  static_assert(std::is_same_v<green::NoAwaitOccurred, uvlet::NoAwaitOccurred>);
  static_assert(std::is_same_v<aio::CancelledError, uvlet::CancelledError>);
  static_assert(std::is_same_v<green::Shield, uvlet::Shield>);
}

TEST_CASE("errors of use and of the world are std::exceptions") {
  static_assert(std::is_base_of_v<std::logic_error, green::NoAwaitletContext>);
  static_assert(std::is_base_of_v<std::logic_error, green::NoAwaitOccurred>);
  static_assert(std::is_base_of_v<std::logic_error, uvlet::Deadlock>);
  static_assert(std::is_base_of_v<std::runtime_error, aio::TimeoutError>);
  static_assert(std::is_base_of_v<std::logic_error, aio::InvalidStateError>);
  static_assert(std::is_base_of_v<std::exception, uvlet::gaierror>);
  CHECK(std::strlen(green::NoAwaitletContext().what()) > 0);
  CHECK(std::strlen(green::NoAwaitOccurred().what()) > 0);
}

TEST_CASE("a TimeoutExpired tells its seconds as eventlet does") {
  CHECK(std::string(green::TimeoutExpired(5).what()) == "5 seconds");
  CHECK(std::string(green::TimeoutExpired(1).what()) == "1 second");
  CHECK(std::string(green::TimeoutExpired(0.5).what()) == "0.5 seconds");
  CHECK(std::string(green::TimeoutExpired().what()) == "0 seconds");
  CHECK(green::TimeoutExpired(5).seconds() == 5);
  CHECK(green::TimeoutExpired().seconds() == 0);
}

TEST_CASE("a TimeoutExpired that no Timeout threw belongs to none") {
  const green::Timeout timeout(5);
  CHECK_FALSE(green::TimeoutExpired(5).is(timeout));
}

TEST_CASE("they can be copied, assigned and thrown again") {
  green::TimeoutExpired first(1);
  const green::TimeoutExpired second(2);
  first = second;
  CHECK(first.seconds() == 2);
  CHECK(std::string(first.what()) == "2 seconds");
  const std::exception_ptr kept = std::make_exception_ptr(green::GreenletExit());
  CHECK_THROWS_AS(std::rethrow_exception(kept), green::GreenletExit);
}

TEST_CASE("users derive exceptions of their own from GreenletExit and BaseException") {
  struct Shutdown : green::GreenletExit {
    const char* what() const noexcept override { return "shutdown"; }
  };
  const std::exception_ptr error = std::make_exception_ptr(Shutdown());
  CHECK(text_of(error) == "shutdown");
  CHECK_THROWS_AS(std::rethrow_exception(error), green::GreenletExit);
}

TEST_CASE("an exception_ptr stands for the exception it holds") {
  const std::exception_ptr held = std::make_exception_ptr(std::runtime_error("inner"));
  CHECK(uvlet::as_exception_ptr(held) == held);
  CHECK(text_of(uvlet::as_exception_ptr(std::runtime_error("plain"))) == "plain");
}

TEST_CASE("kill, Timeout and send_exception throw what an exception_ptr holds") {
  const std::exception_ptr held = std::make_exception_ptr(std::runtime_error("inner"));
  test::in_green_thread([&] {
    auto thread = green::spawn([] { green::sleep(test::watchdog); });
    green::sleep(0);
    const test::Quiet quiet;
    thread.kill(held);
    CHECK_THROWS_WITH_AS(thread.wait(), "inner", std::runtime_error);

    auto timed = [&] {
      const green::Timeout timeout(0.001, held);
      green::sleep(test::watchdog);
    };
    CHECK_THROWS_WITH_AS(timed(), "inner", std::runtime_error);

    green::Event<int> event;
    event.send_exception(held);
    CHECK_THROWS_WITH_AS(event.wait(), "inner", std::runtime_error);
    CHECK(event.poll_exception() == held);
  });
}

TEST_CASE("a null exception_ptr is an invalid argument") {
  const std::exception_ptr none;
  CHECK_THROWS_AS(uvlet::as_exception_ptr(none), std::invalid_argument);
  CHECK_THROWS_AS(green::Timeout(1, none), std::invalid_argument);
  green::Event<> event;
  CHECK_THROWS_AS(event.send_exception(none), std::invalid_argument);
  CHECK_FALSE(event.ready());
  auto thread = green::spawn([] { return 1; });
  CHECK_THROWS_AS(thread.kill(none), std::invalid_argument);
  CHECK(thread.wait() == 1);
}

TEST_CASE("a description names the type and the text") {
  CHECK(uvlet::describe(std::make_exception_ptr(std::runtime_error("broken"))) ==
        "std::runtime_error: broken");
  CHECK(uvlet::describe(std::make_exception_ptr(5)) == "int");
  CHECK(uvlet::describe(std::make_exception_ptr(green::GreenletExit())).find("GreenletExit") !=
        std::string::npos);
  CHECK(uvlet::describe(std::make_exception_ptr(green::TimeoutExpired(5))).find("5 seconds") !=
        std::string::npos);
}
