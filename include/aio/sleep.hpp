#pragma once

#include <aio/task.hpp>
#include <uvlet/sleep.hpp>

#include <utility>

namespace aio {

// Waits for a length of time; zero goes to the back of the line.
class Sleep final : public uvlet::Sleep {
 public:
  using uvlet::Sleep::Sleep;
  operator task<void>() && { return as_task(std::move(*this)); }
};

inline Sleep sleep(Duration length) { return Sleep(length); }
// A number is taken as it is: a Duration made of it for the call would be kept in the frame of who
// awaits the Sleep.
template <uvlet::seconds_number A>
Sleep sleep(A seconds) {
  return Sleep(seconds);
}

// The same, and gives a value.
template <class T>
class SleepWith final : public uvlet::Operation<SleepWith<T>, uvlet::Sleep> {
 public:
  SleepWith(Duration length, T value)
      : uvlet::Operation<SleepWith, uvlet::Sleep>(length), value_(std::move(value)) {}
  SleepWith(SleepWith&&) = default;
  T result() { return std::move(value_); }
  operator task<T>() && { return as_task(std::move(*this)); }

 private:
  T value_;
};

template <class T>
SleepWith<std::decay_t<T>> sleep(Duration length, T&& value) {
  return SleepWith<std::decay_t<T>>(length, std::forward<T>(value));
}

}  // namespace aio
