#pragma once

#include <uvlet/config.hpp>

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace uvlet::inline UVLET_ABI {

class Timeout;

// The root of what interrupts a green thread or a coroutine from outside. Not a std::exception:
// `catch (const std::exception&)` must not swallow a kill, as `except Exception` does not.
struct UVLET_API BaseException {
  BaseException() = default;
  BaseException(const BaseException&) = default;
  BaseException& operator=(const BaseException&) = default;
  virtual ~BaseException();
  virtual const char* what() const noexcept;  // never empty
};

// What kill() throws into its victim.
struct UVLET_API GreenletExit : BaseException {
  const char* what() const noexcept override;
};

// What cancelling throws into a coroutine.
struct UVLET_API CancelledError : BaseException {
  const char* what() const noexcept override;
};

// What an expired Timeout throws; what() is "5 seconds".
struct UVLET_API TimeoutExpired : BaseException {
  explicit TimeoutExpired(double seconds = 0);
  TimeoutExpired(double seconds, std::uint64_t timeout);
  const char* what() const noexcept override;

  // Whether it is this Timeout that threw it: how nested timeouts are told apart.
  bool is(const Timeout& timeout) const noexcept;
  double seconds() const noexcept { return seconds_; }

 private:
  double seconds_;
  std::uint64_t timeout_ = 0;  // the Timeout's number; 0 for one that no Timeout threw
  std::string text_;
};

// A call that would have to wait where nothing may wait: in a raw libuv callback.
struct UVLET_API NoAwaitletContext : std::logic_error {
  NoAwaitletContext();
  using std::logic_error::logic_error;
};

// A function run by async_def_strict that never waited for anything.
struct UVLET_API NoAwaitOccurred : std::logic_error {
  NoAwaitOccurred();
  using std::logic_error::logic_error;
};

// Every green thread and coroutine of the hub waits, and nothing can wake any of them. Thrown in
// the hub's main green thread; what() lists who is parked, and on what.
struct UVLET_API Deadlock : std::logic_error {
  using std::logic_error::logic_error;
};

// A name that could not be resolved; code() is getaddrinfo's EAI_ number.
struct UVLET_API gaierror : std::runtime_error {
  // `reason` null: what the system calls the code.
  gaierror(int code, const std::string& host, const char* reason = nullptr);
  int code() const noexcept { return code_; }

 private:
  int code_;
};

// An exception passed as an object, or a std::exception_ptr, which means the one it holds.
template <class E>
std::exception_ptr as_exception_ptr(E&& exception) {
  if constexpr (std::is_same_v<std::decay_t<E>, std::exception_ptr>) {
    if (!exception) throw std::invalid_argument("a null exception_ptr is no exception");
    return std::forward<E>(exception);
  } else {
    return std::make_exception_ptr(std::forward<E>(exception));
  }
}

// "std::runtime_error: text", for reports.
UVLET_API std::string describe(const std::exception_ptr& exception);

}  // namespace uvlet::inline UVLET_ABI
