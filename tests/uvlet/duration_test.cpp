#include <uvlet/duration.hpp>

#include <green/green.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include <unistd.h>

using namespace std::chrono_literals;
using uvlet::Duration;

namespace {

double seconds(Duration length) { return length.seconds(); }

}  // namespace

TEST_CASE("any number stands for seconds") {
  CHECK(seconds(0.25) == 0.25);
  CHECK(seconds(0.5F) == 0.5);
  CHECK(seconds(2.0L) == 2.0);
  CHECK(seconds(3) == 3.0);
  CHECK(seconds(3U) == 3.0);
  CHECK(seconds(static_cast<short>(4)) == 4.0);
  CHECK(seconds(5L) == 5.0);
  CHECK(seconds(6ULL) == 6.0);
}

TEST_CASE("any chrono duration is taken") {
  CHECK(seconds(250ms) == 0.25);
  CHECK(seconds(2s) == 2.0);
  CHECK(seconds(1min) == 60.0);
  CHECK(seconds(1h) == 3600.0);
  CHECK(seconds(500us) == doctest::Approx(0.0005));
  CHECK(seconds(1ns) == doctest::Approx(1e-9));
  CHECK(seconds(std::chrono::duration<double>(1.5)) == 1.5);
  CHECK(seconds(std::chrono::duration<float, std::milli>(1.5F)) == doctest::Approx(0.0015));
  CHECK(seconds(std::chrono::days(1)) == 86400.0);
}

TEST_CASE("truth values, characters and pointers are no lengths of time") {
  static_assert(!std::is_constructible_v<Duration, bool>);
  static_assert(!std::is_constructible_v<Duration, char>);
  static_assert(!std::is_constructible_v<Duration, signed char>);
  static_assert(!std::is_constructible_v<Duration, unsigned char>);
  static_assert(!std::is_constructible_v<Duration, wchar_t>);
  static_assert(!std::is_constructible_v<Duration, char8_t>);
  static_assert(!std::is_constructible_v<Duration, char16_t>);
  static_assert(!std::is_constructible_v<Duration, char32_t>);
  static_assert(!std::is_constructible_v<Duration, const char*>);
  static_assert(!std::is_constructible_v<Duration, std::nullptr_t>);
  static_assert(!std::is_constructible_v<Duration, std::string>);
  static_assert(!std::is_convertible_v<bool, std::optional<Duration>>);
}

TEST_CASE("the conversions are implicit, also into an optional") {
  static_assert(std::is_convertible_v<int, Duration>);
  static_assert(std::is_convertible_v<double, Duration>);
  static_assert(std::is_convertible_v<std::chrono::milliseconds, Duration>);
  static_assert(std::is_convertible_v<double, std::optional<Duration>>);
  static_assert(std::is_convertible_v<std::chrono::seconds, std::optional<Duration>>);
  static_assert(std::is_same_v<Duration, green::Duration>);
  static_assert(std::is_same_v<Duration, aio::Duration>);
  const std::optional<Duration> half = 500ms;
  CHECK(half->seconds() == 0.5);
}

TEST_CASE("negative is zero") {
  CHECK(seconds(-1) == 0);
  CHECK(seconds(-0.5) == 0);
  CHECK(seconds(-3s) == 0);
  CHECK(seconds(-std::numeric_limits<double>::infinity()) == 0);
  CHECK_FALSE(std::signbit(seconds(-0.0)));
}

TEST_CASE("infinity is for ever") {
  CHECK(std::isinf(seconds(std::numeric_limits<double>::infinity())));
  CHECK(std::isinf(Duration::forever().seconds()));
  CHECK(
      std::isinf(seconds(std::chrono::duration<double>(std::numeric_limits<double>::infinity()))));
}

TEST_CASE("NaN is an invalid argument") {
  CHECK_THROWS_AS(Duration(std::nan("")), std::invalid_argument);
  CHECK_THROWS_AS(Duration(std::nanf("")), std::invalid_argument);
  CHECK_THROWS_AS(Duration(std::chrono::duration<double>(std::nan(""))), std::invalid_argument);
  CHECK_THROWS_AS(green::sleep(std::nan("")), std::invalid_argument);
  CHECK_THROWS_AS(green::Timeout(std::nan("")), std::invalid_argument);
}

TEST_CASE("durations compare by their length") {
  CHECK(Duration(1) == Duration(1000ms));
  CHECK(Duration(1) != Duration(2));
  CHECK(Duration(0.1) < Duration(0.2));
  CHECK(Duration(2min) > Duration(1min));
  CHECK(Duration(1) <= Duration(1.0));
  CHECK(Duration(1) >= Duration(-1));
  CHECK(Duration(1) < Duration::forever());
  CHECK(Duration() == Duration(0));
  CHECK(Duration(2) > 1);  // what converts compares too
}

TEST_CASE("it is usable in constant expressions") {
  constexpr Duration quarter = 0.25;
  static_assert(quarter.seconds() == 0.25);
  static_assert(Duration(1s) == Duration(1));
}

TEST_CASE("a deadline is never before the length is over") {
  const uvlet::Time start = 1'000;
  CHECK(uvlet::deadline_after(start, 1ns) == start + 1);
  CHECK(uvlet::deadline_after(start, 0.5e-9) == start + 1);
  CHECK(uvlet::deadline_after(start, 1.5e-9) == start + 2);
  CHECK(uvlet::deadline_after(start, 1) == start + 1'000'000'000);
  CHECK(uvlet::deadline_after(start, -5) == start);
}

TEST_CASE("a deadline beyond the end of the clock is never") {
  CHECK(uvlet::deadline_after(0, Duration::forever()) == uvlet::never);
  CHECK(uvlet::deadline_after(0, 1e300) == uvlet::never);
  CHECK(uvlet::deadline_after(uvlet::never - 10, 1) == uvlet::never);
  CHECK(uvlet::deadline_after(0, std::chrono::hours::max()) == uvlet::never);
  CHECK(uvlet::deadline_after(1, std::chrono::nanoseconds::max()) == uvlet::never);
}

namespace with_using {

using namespace green;

template <class A>
concept sleeps_for = requires(A length) {
  sleep(length);
};

TEST_CASE("under `using namespace green` sleep is ours, and ambiguous rather than ::sleep") {
  sleep();
  sleep(0);
  sleep(0.0);
  sleep(1ms);
  static_assert(sleeps_for<int> && sleeps_for<double> && sleeps_for<float> && sleeps_for<long>);
  static_assert(sleeps_for<std::chrono::milliseconds>);
  static_assert(!sleeps_for<unsigned>);  // ::sleep(unsigned) is as good
  static_assert(!sleeps_for<bool*>);
}

}  // namespace with_using
