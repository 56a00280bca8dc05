#pragma once

// Moving one endpoint at a time: an old green function and the coroutine that is to replace it
// behind one call, which chooses between them while the program runs, or compares them.

#include <aio/event.hpp>
#include <green/awaitlet.hpp>
#include <green/strangler_core.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace green {

template <class Signature>
class Strangler;

// A switch between old(args...), which blocks, and new(args...), a coroutine with the same
// arguments and result. Every caller gets the old one until it is told otherwise; the last of
// set_percentage, set_rule and set_shadow holds. Arguments are values or const references.
// Threads: calls and set_* belong to one hub's thread; reports and set_percentage to any.
// Shadow runs may outlive it. Source: Fowler's strangler fig; GitHub's Scientist.
template <class R, class... A>
class Strangler<R(A...)> {
  static_assert(!std::is_reference_v<R>, "a Strangler's result is a value");
  static_assert(((!std::is_reference_v<A> || std::is_const_v<std::remove_reference_t<A>>)&&...),
                "a Strangler's arguments are values or const references");
  static_assert((!std::is_rvalue_reference_v<A> && ...), "pass what is moved by value");

 public:
  using Result = uvlet::stored_t<R>;  // void as std::monostate
  using Arguments = std::tuple<std::decay_t<A>...>;
  static constexpr bool can_shadow =
      uvlet::copyable<Arguments>::value && uvlet::copyable<Result>::value;

  // How one side ended.
  struct Outcome {
    Outcome() noexcept {}
    std::optional<Result> value;
    std::exception_ptr error;
  };
  struct Mismatch {
    const Arguments& arguments;
    const Outcome& old_side;
    const Outcome& new_side;
  };

  // The name stands in the report. Throws invalid_argument for an empty function.
  Strangler(std::string name, std::function<R(A...)> old_side,
            std::function<aio::task<R>(A...)> new_side)
      : shared_(std::make_shared<Shared>(std::move(name))) {
    if (!old_side || !new_side) throw std::invalid_argument("Strangler: an empty function");
    shared_->old_side = std::move(old_side);
    shared_->new_side = std::move(new_side);
    detail::list_strangler(shared_);
  }
  Strangler(const Strangler&) = delete;
  Strangler& operator=(const Strangler&) = delete;

  // The new side gets this part of the calls, 0 to 100 in steps of 0.0001: in an even sequence,
  // or, with a key, always the same keys, which only grow with the percentage. Throws
  // invalid_argument outside of that.
  void set_percentage(double percentage) { shared_->set_percentage(percentage); }
  double percentage() const { return shared_->report().percentage; }
  // key(args...) gives an integer or a string, such as the user: equal keys go to one side, in
  // every process. Must not block.
  template <class F>
  void set_key(F key) {
    shared_->key = [key = std::move(key)](const std::decay_t<A>&... arguments) {
      return detail::key_hash(std::invoke(key, arguments...));
    };
  }
  // The new side gets the calls for which rule(args...) holds. Must not block; what it throws the
  // caller gets. Throws invalid_argument for an empty one.
  void set_rule(std::function<bool(const std::decay_t<A>&...)> rule) {
    if (!rule) throw std::invalid_argument("Strangler: an empty rule");
    shared_->rule = std::move(rule);
    shared_->set_mode(StranglerMode::rule);
  }

  // Both run, and are compared: the caller has the old one's result, when the old one has it. The
  // new one runs as a task of its own on copies of the arguments; nothing that it throws comes
  // out. At most `limit` at a time, other calls have no shadow and are counted as dropped. A kill
  // or cancel of the caller cancels its shadow. Both throwing the same type and text is a match.
  // Does not compile where the arguments or the result cannot be copied, nor, without `same`, if
  // results have no ==. Throws invalid_argument for a limit of 0 and an empty `same`.
  void set_shadow(std::size_t limit = 16) {
    static_assert(can_shadow, "shadow mode copies the arguments and the result");
    static_assert(std::equality_comparable<Result>, "pass a function that compares results");
    set_shadow(limit, std::equal_to<Result>());
  }
  void set_shadow(std::size_t limit, std::function<bool(const Result&, const Result&)> same) {
    static_assert(can_shadow, "shadow mode copies the arguments and the result");
    if (!same) throw std::invalid_argument("Strangler: an empty function");
    shared_->set_shadow_limit(limit);
    shared_->same = std::move(same);
    shared_->set_mode(StranglerMode::shadow);
  }
  // Called in the shadow's task for each mismatch and each exception of one side alone. It may
  // block; what it throws is reported on stderr.
  void on_mismatch(std::function<void(const Mismatch&)> f) { shared_->on_mismatch = std::move(f); }
  // Waits until no shadow runs. Blocks the green thread. Cancel point.
  void wait_for_shadows() { awaitlet(wait_for_shadows_async()); }
  aio::task<> wait_for_shadows_async() { return idle(shared_); }

  // All calls go to the old side once more than this part of the new side's (0 to 1) in a row of
  // `calls` fails, until the next set_percentage or set_rule. Throws invalid_argument.
  void set_retreat(double error_rate, unsigned calls) { shared_->set_retreat(error_rate, calls); }
  bool retreated() const { return shared_->report().retreated; }

  StranglerReport report() const { return shared_->report(); }
  const std::string& name() const noexcept { return shared_->name(); }

  // Calls the side whose turn it is. What it throws passes through, as do a kill or Timeout.
  // Blocks the green thread. Cancel point.
  R operator()(A... arguments, CallSite site = CallSite::current()) {
    const std::shared_ptr<Shared> shared = shared_;
    const StranglerRoute route = shared->choose(arguments...);
    Trial trial;
    if constexpr (can_shadow)
      if (route.shadow) begin_shadow(shared, trial, arguments...);
    detail::MeasuredCall call(*shared, route.side, true);
    try {
      if constexpr (std::is_void_v<R>) {
        run(*shared, route.side, site, std::forward<A>(arguments)...);
        call.succeeded();
        trial.succeeded(Result());
      } else {
        R result = run(*shared, route.side, site, std::forward<A>(arguments)...);
        call.succeeded();
        trial.succeeded(result);
        return result;
      }
    } catch (...) {
      if (call.failed()) trial.failed(std::current_exception());
      throw;
    }
  }

  // The same for coroutines; it chooses when it is awaited. The old side runs on a green thread of
  // its own, which cancelling kills.
  aio::task<R> call_async(std::decay_t<A>... arguments) {
    return run_async(shared_, Arguments(std::move(arguments)...));
  }

 private:
  struct Shared : detail::StranglerCore {
    using StranglerCore::StranglerCore;
    StranglerRoute choose(const std::decay_t<A>&... arguments) {
      const StranglerMode mode = this->mode();
      if (mode == StranglerMode::rule) return route_by_rule(rule(arguments...));
      if (mode == StranglerMode::percentage && key) return route_by_key(key(arguments...));
      return route();
    }
    std::function<R(A...)> old_side;
    std::function<aio::task<R>(A...)> new_side;
    std::function<std::uint64_t(const std::decay_t<A>&...)> key;
    std::function<bool(const std::decay_t<A>&...)> rule;
    std::function<bool(const Result&, const Result&)> same;
    std::function<void(const Mismatch&)> on_mismatch;
  };

  using Trial = std::conditional_t<can_shadow, detail::Shadow<Outcome>, detail::NoShadow<Result>>;

  static void begin_shadow(const std::shared_ptr<Shared>& shared, Trial& trial,
                           const std::decay_t<A>&... arguments) noexcept {
    detail::ShadowTicket ticket(shared);
    if (!ticket) return;
    try {
      auto old_side = aio::Future<Outcome>::create();
      aio::task<> work = run_shadow(shared, std::move(ticket), Arguments(arguments...), old_side);
      trial.began(aio::create_task(std::move(work)), std::move(old_side));
    } catch (...) {  // no memory, or an argument that cannot be copied: cancelled
    }
  }

  static R run(Shared& shared, StranglerSide side, CallSite site, A... arguments) {
    if (side == StranglerSide::old_side) return shared.old_side(std::forward<A>(arguments)...);
    return awaitlet(shared.new_side(std::forward<A>(arguments)...), site);
  }

  static aio::task<R> begin(const std::shared_ptr<Shared>& shared, StranglerSide side,
                            Arguments&& arguments) {
    if (side == StranglerSide::new_side) return std::apply(shared->new_side, std::move(arguments));
    auto blocking = [shared, arguments = std::move(arguments)]() mutable -> R {
      return std::apply(shared->old_side, std::move(arguments));
    };
    return aio::async_def(std::move(blocking));
  }

  static aio::task<R> run_async(std::shared_ptr<Shared> shared, Arguments arguments) {
    const auto choose = [&](const auto&... each) { return shared->choose(each...); };
    const StranglerRoute route = std::apply(choose, arguments);
    Trial trial;
    if constexpr (can_shadow)
      if (route.shadow)
        std::apply([&](const auto&... a) { begin_shadow(shared, trial, a...); }, arguments);
    detail::MeasuredCall call(*shared, route.side, true);
    try {
      // A coroutine may have references to the arguments: those here stay.
      aio::task<R> work = begin(shared, route.side, std::move(arguments));
      if constexpr (std::is_void_v<R>) {
        co_await std::move(work);
        call.succeeded();
        trial.succeeded(Result());
      } else {
        R result = co_await std::move(work);
        call.succeeded();
        trial.succeeded(result);
        co_return result;
      }
    } catch (...) {
      if (call.failed()) trial.failed(std::current_exception());
      throw;
    }
  }

  static aio::task<> run_shadow(std::shared_ptr<Shared> shared, detail::ShadowTicket ticket,
                                Arguments arguments, aio::Future<Outcome> old_outcome) {
    Outcome new_side;
    detail::MeasuredCall call(*shared, StranglerSide::new_side, false);
    try {
      aio::task<R> work = std::apply(shared->new_side, std::as_const(arguments));
      if constexpr (std::is_void_v<R>) {
        co_await std::move(work);
        new_side.value.emplace();
      } else {
        new_side.value.emplace(co_await std::move(work));
      }
      call.succeeded();
    } catch (...) {
      if (!call.failed()) throw;
      new_side.error = std::current_exception();
    }
    const Outcome old_side = co_await old_outcome;
    try {
      const ShadowVerdict verdict = compare(*shared, old_side, new_side);
      ticket.judge(verdict);
      const auto report = shared->on_mismatch;
      if (verdict != ShadowVerdict::match && report)
        report(Mismatch{arguments, old_side, new_side});
    } catch (...) {
      uvlet::report_exception(*uvlet::Hub::get().running(), std::current_exception());
    }
  }

  static ShadowVerdict compare(Shared& shared, const Outcome& old_side, const Outcome& new_side) {
    if (old_side.error && new_side.error)
      return uvlet::describe(old_side.error) == uvlet::describe(new_side.error)
                 ? ShadowVerdict::match
                 : ShadowVerdict::mismatch;
    if (old_side.error) return ShadowVerdict::old_failed;
    if (new_side.error) return ShadowVerdict::new_failed;
    const auto same = shared.same;
    return same(*old_side.value, *new_side.value) ? ShadowVerdict::match : ShadowVerdict::mismatch;
  }

  static aio::task<> idle(std::shared_ptr<Shared> shared) {
    while (!shared->no_shadows.is_set()) co_await shared->no_shadows.wait();
  }

  std::shared_ptr<Shared> shared_;
};

}  // namespace green
