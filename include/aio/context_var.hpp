#pragma once

#include <uvlet/context_vars.hpp>
#include <uvlet/hub.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace aio {
namespace detail {

UVLET_API std::uint64_t next_variable() noexcept;
// The context of who runs; null where nothing was ever set in it.
UVLET_API uvlet::Handle<uvlet::ContextVars>& current_context() noexcept;

}  // namespace detail

// A variable that has a value of its own in each green thread and task. A new one starts with a
// copy of the values of who creates it (create_task, spawn, a pool, a branch of gather); awaitlet
// and async_def share those of who calls, and a callback or link has those of who added it. Nothing
// is copied to another hub. Usually a global. Source: contextvars.ContextVar.
template <class T>
class ContextVar {
 public:
  // What set() replaced.
  class Token {
   public:
    // nullopt: it was not set.
    std::optional<T> old_value() const {
      if (!state_->before) return std::nullopt;
      return *static_cast<const T*>(state_->before.get());
    }

   private:
    friend class ContextVar;
    struct State {
      std::uint64_t variable;
      uvlet::Handle<uvlet::ContextVars> context;
      uvlet::ContextVars::Value before;
      bool used = false;
    };
    explicit Token(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };

  explicit ContextVar(std::string name, std::optional<T> initial = {})
      : id_(detail::next_variable()), name_(std::move(name)), initial_(std::move(initial)) {}
  ContextVar(const ContextVar&) = delete;
  ContextVar& operator=(const ContextVar&) = delete;

  const std::string& name() const noexcept { return name_; }

  // A copy of its value here, else of the initial one. Throws out_of_range if there is neither.
  T get() const {
    if (const uvlet::ContextVars::Value value = find()) return *static_cast<const T*>(value.get());
    if (initial_) return *initial_;
    throw std::out_of_range("the context variable " + name_ + " is not set");
  }
  // A copy of its value here, else the fallback, even if there is an initial one.
  T get(T fallback) const {
    if (const uvlet::ContextVars::Value value = find()) return *static_cast<const T*>(value.get());
    return fallback;
  }

  // The Token undoes it. O(variables that are set).
  Token set(T value) {
    uvlet::Handle<uvlet::ContextVars>& context = detail::current_context();
    if (!context) context = uvlet::Handle<uvlet::ContextVars>::adopt(new uvlet::ContextVars);
    auto state = std::make_shared<typename Token::State>();
    state->variable = id_;
    state->context = context;
    state->before = context->set(id_, std::make_shared<const T>(std::move(value)));
    return Token(std::move(state));
  }
  // It is again what it was before the set() that gave the token. Throws invalid_argument for a
  // token of another variable, or of another context; logic_error if it was used before.
  void reset(Token token) {
    typename Token::State& state = *token.state_;
    if (state.variable != id_)
      throw std::invalid_argument("a Token of another variable than " + name_);
    if (state.used) throw std::logic_error("a Token of " + name_ + " was used before");
    if (state.context.get() != detail::current_context().get())
      throw std::invalid_argument("a Token of " + name_ + " from another context");
    state.context->set(id_, state.before);
    state.used = true;
  }

 private:
  uvlet::ContextVars::Value find() const {
    const uvlet::Handle<uvlet::ContextVars>& context = detail::current_context();
    return context ? context->get(id_) : nullptr;
  }

  std::uint64_t id_;
  std::string name_;
  std::optional<T> initial_;
};

}  // namespace aio
