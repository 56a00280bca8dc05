#pragma once

#include <uvlet/config.hpp>

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace uvlet::inline UVLET_ABI {

// A callable and its arguments, decayed and kept as std::thread keeps them.
template <class F, class... A>
struct Call {
  F function;
  std::tuple<A...> arguments;
  decltype(auto) operator()() {
    return std::apply(
        [this](A&... argument) -> decltype(auto) {
          return std::invoke(std::move(function), std::move(argument)...);
        },
        arguments);
  }
};

template <class F, class... A>
using call_result_t =
    std::remove_cvref_t<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>>;

template <class F, class... A>
Call<std::decay_t<F>, std::decay_t<A>...> make_call(F&& function, A&&... arguments) {
  return {std::forward<F>(function), std::tuple<std::decay_t<A>...>(std::forward<A>(arguments)...)};
}

}  // namespace uvlet::inline UVLET_ABI
