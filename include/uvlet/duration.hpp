#pragma once

#include <uvlet/config.hpp>

#include <chrono>
#include <compare>
#include <concepts>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <type_traits>

namespace uvlet::inline UVLET_ABI {

// Numbers that may stand for seconds: arithmetic, but neither truth values nor characters.
template <class A>
concept seconds_number =
    std::is_arithmetic_v<A> && !std::same_as<A, bool> && !std::same_as<A, char> &&
    !std::same_as<A, signed char> && !std::same_as<A, unsigned char> && !std::same_as<A, wchar_t> &&
    !std::same_as<A, char8_t> && !std::same_as<A, char16_t> && !std::same_as<A, char32_t>;

// A length of time: implicitly from a number of seconds or from any std::chrono::duration.
// Negative is zero, infinity is for ever, NaN is std::invalid_argument.
class Duration {
 public:
  constexpr Duration() noexcept = default;
  template <seconds_number A>
  constexpr Duration(A seconds) : seconds_(checked(static_cast<double>(seconds))) {}
  template <class Rep, class Period>
  constexpr Duration(std::chrono::duration<Rep, Period> time)
      : seconds_(checked(std::chrono::duration<double>(time).count())) {}

  static constexpr Duration forever() { return std::numeric_limits<double>::infinity(); }

  constexpr double seconds() const noexcept { return seconds_; }
  friend constexpr auto operator<=>(const Duration&, const Duration&) noexcept = default;
  friend constexpr bool operator==(const Duration&, const Duration&) noexcept = default;

 private:
  static constexpr double checked(double seconds) {
    if (seconds != seconds) throw std::invalid_argument("a duration of NaN seconds");
    return seconds > 0 ? seconds : 0;
  }

  double seconds_ = 0;
};

// A point on a hub's clock: nanoseconds of CLOCK_MONOTONIC, or of a virtual clock.
using Time = std::int64_t;
inline constexpr Time never = std::numeric_limits<Time>::max();

// The first tick not before `start + length`; `never` where that is past the end of the clock.
inline Time deadline_after(Time start, Duration length) noexcept {
  const double nanoseconds = length.seconds() * 1e9;
  if (!(nanoseconds < 9.2e18)) return never;
  Time whole = static_cast<Time>(nanoseconds);
  if (static_cast<double>(whole) < nanoseconds) ++whole;
  return whole > never - start ? never : start + whole;
}

}  // namespace uvlet::inline UVLET_ABI
