#pragma once

#include <uvlet/config.hpp>
#include <uvlet/list.hpp>
#include <uvlet/traceback.hpp>
#include <uvlet/waiter.hpp>

#include <exception>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace uvlet::inline UVLET_ABI {

// How a result is kept: void as std::monostate.
template <class T>
using stored_t = std::conditional_t<std::is_void_v<T>, std::monostate, std::remove_cvref_t<T>>;

// Whether a T can really be copied: a vector of move-only items only claims that it can.
template <class T>
concept holds_values = !std::is_same_v<typename T::value_type, T>;
template <class T>
struct copyable : std::is_copy_constructible<T> {};
template <holds_values T>
struct copyable<T> : std::bool_constant<std::is_copy_constructible_v<T> &&
                                        copyable<typename T::value_type>::value> {};
template <class... T>
struct copyable<std::tuple<T...>> : std::bool_constant<(copyable<T>::value && ...)> {};
template <class A, class B>
struct copyable<std::pair<A, B>> : std::bool_constant<copyable<A>::value && copyable<B>::value> {};

// Whether a result has come, and who wants to hear of it.
class OutcomeBase {
 public:
  bool settled() const noexcept { return settled_; }
  const std::exception_ptr& error() const noexcept { return error_; }
  void listen(Listener& listener) noexcept { listeners_.push_back(&listener); }

  void set_error(std::exception_ptr error) noexcept {
    error_ = std::move(error);
    settled_ = true;
  }
  // In the order in which they came. None of them runs yet.
  void notify_listeners() noexcept {
    List<Listener> present;
    present.take(listeners_);
    while (!present.empty()) present.pop_front()->notify();
  }

 private:
  List<Listener> listeners_;

 protected:
  std::exception_ptr error_;
  bool settled_ = false;  // last: what is derived uses the padding after it
};

// A value or an exception that comes once and is kept for any number of readers.
template <class T>
class Outcome : public OutcomeBase {
 public:
  template <class... V>
  void set_value(V&&... value) {
    value_.emplace(std::forward<V>(value)...);
    settled_ = true;
  }
  void reset() noexcept {
    value_.reset();
    error_ = nullptr;
    settled_ = false;
  }

  // Only where one was set.
  const stored_t<T>& value() const noexcept { return *value_; }

  T copy() const {
    if (error_) rethrow(error_);
    if constexpr (std::is_void_v<T>)
      return;
    else if constexpr (copyable<stored_t<T>>::value)
      return *value_;
    else
      throw std::logic_error("a move-only result can be taken by its only handle alone");
  }

  // Moves the value out where nobody else can ask for it again.
  T take(bool only_reader) {
    if constexpr (!std::is_void_v<T>)
      if (only_reader && !error_) return std::move(*value_);
    return copy();
  }

 private:
  std::optional<stored_t<T>> value_;
};

}  // namespace uvlet::inline UVLET_ABI
