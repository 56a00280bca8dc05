#pragma once

#include <green/transitions.hpp>
#include <uvlet/call.hpp>
#include <uvlet/exceptions.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/outcome.hpp>
#include <uvlet/sleep.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace green {

using uvlet::BaseException;
using uvlet::CancelledError;
using uvlet::Duration;
using uvlet::GreenletExit;
using uvlet::NoAwaitletContext;
using uvlet::NoAwaitOccurred;

template <class T>
class GreenThread;
namespace detail {
class Kill;
}

// An untyped handle to a green thread or a top-level task: copyable, shared. Dropping it does
// nothing to what it names. Default-constructed it names nothing, which counts as dead.
class Greenlet {
 public:
  Greenlet() noexcept = default;
  explicit Greenlet(uvlet::Handle<uvlet::Identity> identity) noexcept
      : identity_(std::move(identity)) {}

  bool dead() const noexcept { return !identity_ || identity_->finished; }
  bool started() const noexcept { return identity_ && identity_->started; }
  explicit operator bool() const noexcept { return started() && !dead(); }
  std::uint64_t id() const noexcept { return identity_ ? identity_->id : 0; }
  UVLET_API const std::string& name() const;
  UVLET_API void set_name(std::string name);

  // Throws GreenletExit into it: at once if what it waits for can stop at once (it runs, then what
  // was ready, then the caller), else as soon as it can. No effect on a dead one; on oneself throws
  // at the call. Killed before its start the function never runs, its links do.
  // Blocks the green thread. Cancel point.
  void kill() const { interrupt(nullptr); }
  template <class E>
  void kill(E exception) const {
    interrupt(uvlet::as_exception_ptr(std::move(exception)));
  }
  detail::Kill kill_async() const;
  template <class E>
  detail::Kill kill_async(E exception) const;
  // kill(), but only if it has not started. Blocks the green thread. Cancel point.
  void cancel() const {
    if (!started()) kill();
  }
  template <class E>
  void cancel(E exception) const {
    if (!started()) kill(std::move(exception));
  }
  detail::Kill cancel_async() const;
  template <class E>
  detail::Kill cancel_async(E exception) const;

  friend bool operator==(const Greenlet& a, const Greenlet& b) noexcept {
    return a.identity_.get() == b.identity_.get();
  }

  // For the rest of the library.
  const uvlet::Handle<uvlet::Identity>& identity() const noexcept { return identity_; }

 private:
  friend class detail::Kill;
  UVLET_API void interrupt(std::exception_ptr error) const;

  uvlet::Handle<uvlet::Identity> identity_;
};

namespace detail {

// A kill, when it is awaited: the coroutine is suspended as a green thread that kills is.
class [[nodiscard]] Kill final : public uvlet::Operation<Kill, uvlet::Parked> {
 public:
  // A null error is GreenletExit.
  Kill(Greenlet target, std::exception_ptr error, bool even_if_started) noexcept
      : target_(std::move(target)), error_(std::move(error)), even_if_started_(even_if_started) {}
  Kill(Kill&&) noexcept = default;

  bool ready() {
    if (even_if_started_ || !target_.started()) target_.interrupt(std::move(error_));
    return true;
  }
  void suspend(uvlet::Hub&) noexcept {}
  void result() const noexcept {}
  uvlet::Cancel cancel() noexcept override { return uvlet::Cancel::done; }
  const char* describe() const noexcept override { return "a kill"; }

 private:
  Greenlet target_;
  std::exception_ptr error_;
  bool even_if_started_;
};

}  // namespace detail

inline detail::Kill Greenlet::kill_async() const { return {*this, nullptr, true}; }
template <class E>
detail::Kill Greenlet::kill_async(E exception) const {
  return {*this, uvlet::as_exception_ptr(std::move(exception)), true};
}
inline detail::Kill Greenlet::cancel_async() const { return {*this, nullptr, false}; }
template <class E>
detail::Kill Greenlet::cancel_async(E exception) const {
  return {*this, uvlet::as_exception_ptr(std::move(exception)), false};
}

// Names one link() of a GreenThread.
struct LinkId {
  std::uint64_t number = 0;
  friend bool operator==(const LinkId&, const LinkId&) = default;
};

namespace detail {

// What the handles of a GreenThread<T> share: its identity, its result, its links.
template <class T>
class State final : public uvlet::Identity, public uvlet::Outcome<T> {
 public:
  State() noexcept = default;

  struct LinkCall {
    virtual ~LinkCall() = default;
    virtual void call(GreenThread<T> thread) = 0;
    LinkId id;
    uvlet::Handle<uvlet::ContextVars> context;  // of who linked it
  };

  // The function has ended, in `self`: links, then waiters.
  void finish(uvlet::Root& self) noexcept {
    outlived_kill = self.killed || self.thrown;
    self.clear_interrupts();
    this->finished = true;
    if (!links.empty()) run_links(self);
    announced = true;
    this->notify_listeners();
  }

  // A green thread that gives its own handle would keep itself alive: that one is not counted.
  void discount_own_handle() noexcept {
    if constexpr (std::is_same_v<T, Greenlet>)
      if (this->value().identity().get() == this) --this->references;
  }

  std::vector<std::unique_ptr<LinkCall>> links;
  std::uint64_t last_link = 0;
  bool announced = false;      // the links have run
  bool outlived_kill = false;  // it ended before a kill was thrown into it

 private:
  void run_links(uvlet::Root& self) noexcept {
    try {
      while (!links.empty()) {
        const std::unique_ptr<LinkCall> first = std::move(links.front());
        links.erase(links.begin());
        self.context = std::move(first->context);
        retain();
        first->call(GreenThread<T>(uvlet::Handle<State>::adopt(this)));
      }
    } catch (...) {  // the links after it are not run, as in eventlet
      uvlet::report_exception(self, uvlet::caught_exception(&self));
    }
  }
};

// Waits for the end of a green thread.
template <class T>
class Join : public uvlet::Operation<Join<T>> {
 public:
  Join(uvlet::Handle<State<T>> state, bool take) noexcept : state_(std::move(state)), take_(take) {}
  Join(Join&&) noexcept = default;

  // Its own links need not wait for themselves.
  bool ready() const noexcept {
    return state_->announced ||
           (state_->finished && state_->root == uvlet::Hub::existing()->running());
  }
  void suspend(uvlet::Hub&) noexcept { state_->listen(*this); }
  T result() {
    if (!exit_is_cancelled_) return take();
    try {
      return take();
    } catch (const GreenletExit&) {
      throw uvlet::CancelledError();
    }
  }
  uvlet::Cancel cancel() noexcept override {
    this->unlink();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "the end of a green thread"; }

 protected:
  T take() {
    // A handle is copied, as it may be one that is not counted.
    if (!take_ || std::is_same_v<T, Greenlet>) return state_->copy();
    return state_->take(state_->references == 1);
  }

  uvlet::Handle<State<T>> state_;
  bool take_;
  bool exit_is_cancelled_ = false;  // the target's GreenletExit, not the awaiter's own
};

// co_await of a green thread: cancelling the awaiter kills it, and its GreenletExit is
// CancelledError. The awaiter goes on when it has ended.
template <class T>
class Await : public uvlet::Operation<Await<T>, Join<T>> {
 public:
  static constexpr bool forwards_cancel = true;
  Await(uvlet::Handle<State<T>> state, bool take) noexcept
      : uvlet::Operation<Await, Join<T>>(std::move(state), take) {
    this->exit_is_cancelled_ = true;
  }
  Await(Await&&) noexcept = default;

  uvlet::Cancel cancel() noexcept override {
    if (this->state_->finished || !this->state_->root) return Join<T>::cancel();
    this->state_->root->kill();
    return uvlet::Cancel::later;
  }

  void cancel_again() noexcept override {
    if (this->state_->root) this->state_->root->kill();
  }

  // The first who knows from where says it.
  void called_from(const uvlet::CallSite& site) noexcept {
    if (!site_) site_ = site;
  }
  bool await_ready() {
    if (counting()) [[unlikely]]
      crossing_ = std::make_unique<Crossing>(site_.value_or(uvlet::CallSite::current()),
                                             Crossing::Direction::to_sync);
    const bool ready = this->ready();
    if (crossing_) crossing_->suspended = !ready;
    return ready;
  }

 private:
  std::optional<uvlet::CallSite> site_;
  std::unique_ptr<Crossing> crossing_;
};

// The same for what reads the result later: it learns of the end only.
template <class T>
class AwaitEnd final : public uvlet::Operation<AwaitEnd<T>, Await<T>> {
 public:
  explicit AwaitEnd(const GreenThread<T>& thread)
      : uvlet::Operation<AwaitEnd, Await<T>>(thread.state(), false) {}
  AwaitEnd(AwaitEnd&&) noexcept = default;
  bool await_ready() { return Await<T>::await_ready(); }
  void result() const noexcept {}
  // Whether what it was awaited for is still to be thrown: the target never knew of it.
  static bool outlived_kill(const GreenThread<T>& thread) { return thread.state()->outlived_kill; }
};

using uvlet::Call;
using uvlet::call_result_t;
using uvlet::make_call;

// What a green thread does before its function: nothing, or wait and see.
struct AtOnce {
  void operator()(uvlet::Root&) const noexcept {}
};
struct After {
  uvlet::Time deadline;
  uvlet::Handle<uvlet::Identity> only_while;  // null: always
  UVLET_API void operator()(uvlet::Root& self) const;
};

// The function of a spawned green thread, from its first step to its links.
template <class T, class Function, class Before>
struct Body {
  void operator()(uvlet::Root& self) noexcept {
    auto* state = static_cast<State<T>*>(self.identity);
    try {
      before(self);
      self.start();
      if constexpr (std::is_void_v<T>) {
        (*function)();
        state->set_value();
      } else {
        state->set_value((*function)());
        state->discount_own_handle();
      }
    } catch (...) {
      state->set_error(uvlet::caught_exception(&self));
      if (reported) uvlet::report_exception(self, state->error());
    }
    function.reset();
    state->finish(self);
  }

  std::optional<Function> function;
  Before before;
  bool reported;  // what it throws is printed as well
};

template <class T, class Function, class Before = AtOnce>
UVLET_INLINE GreenThread<T> start(uvlet::Hub& hub, void* spawned_at, Function&& function,
                                  Before before = {}, bool reported = true, void* pool = nullptr) {
  using Stored = std::decay_t<Function>;
  auto state = uvlet::Handle<State<T>>::adopt(new State<T>);
  uvlet::GreenRoot& root = hub.make_green(
      Body<T, Stored, Before>{std::forward<Function>(function), std::move(before), reported},
      spawned_at);
  root.adopt_identity(*state);
  root.pool = pool;
  hub.make_ready(root);
  return GreenThread<T>(std::move(state));
}

}  // namespace detail

// A handle to a green thread and its result.
template <class T>
class GreenThread : public Greenlet {
 public:
  GreenThread() noexcept = default;
  explicit GreenThread(uvlet::Handle<detail::State<T>> state) noexcept
      : Greenlet(uvlet::Handle<uvlet::Identity>::share(state.get())) {}

  // The result, copied; or rethrows, each time the same exception object. Any number of waiters,
  // any number of times. A waiter that is killed leaves the target alone.
  // Blocks the green thread. Cancel point.
  UVLET_INLINE T wait() const& { return uvlet::block(wait_async()); }
  // Moves the result out if this is the only handle; else copies it, or throws logic_error.
  // Blocks the green thread. Cancel point.
  UVLET_INLINE T wait() && { return uvlet::block(std::move(*this).wait_async()); }
  detail::Join<T> wait_async() const& { return detail::Join<T>(state(), false); }
  detail::Join<T> wait_async() && { return detail::Join<T>(release(), true); }

  // As wait_async, but cancelling the awaiter kills the green thread and waits for its end; its
  // GreenletExit is a CancelledError here.
  detail::Await<T> operator co_await() const& { return detail::Await<T>(state(), false); }
  detail::Await<T> operator co_await() && { return detail::Await<T>(release(), true); }

  // Calls f(GreenThread<T>, a...) in the finished thread, in link order, before waiters resume; if
  // all its links have been called already, in the caller, at once.
  template <class F, class... A>
  LinkId link(F f, A... a) {
    detail::State<T>& shared = *state();
    auto bound = [f = std::move(f),
                  a = std::tuple<A...>(std::move(a)...)](GreenThread<T> thread) mutable {
      std::apply(
          [&](A&... argument) {
            std::invoke(std::move(f), std::move(thread), std::move(argument)...);
          },
          a);
    };
    const LinkId id{++shared.last_link};
    if (shared.announced) {
      bound(*this);
      return id;
    }
    using Bound = decltype(bound);
    struct Node final : detail::State<T>::LinkCall {
      explicit Node(Bound function) : run(std::move(function)) {}
      void call(GreenThread<T> thread) override { run(std::move(thread)); }
      Bound run;
    };
    shared.links.push_back(std::make_unique<Node>(std::move(bound)));
    shared.links.back()->id = id;
    shared.links.back()->context = uvlet::Hub::get().running()->copy_context();
    return id;
  }
  // True: it was linked, and will not be called.
  bool unlink(LinkId id) {
    auto& links = state()->links;
    return std::erase_if(links, [&](const auto& link) { return link->id == id; }) > 0;
  }

 private:
  friend class detail::AwaitEnd<T>;
  uvlet::Handle<detail::State<T>> state() const {
    if (!identity()) throw std::logic_error("a GreenThread that names no green thread");
    return uvlet::Handle<detail::State<T>>::share(static_cast<detail::State<T>*>(identity().get()));
  }
  uvlet::Handle<detail::State<T>> release() {
    auto shared = state();
    static_cast<Greenlet&>(*this) = Greenlet();
    return shared;
  }
};

// Runs f(a...) in a new green thread that starts when it is its turn, in the order spawned. What it
// throws goes to wait(), and is printed while debug::hub_exceptions is on. Never switches.
// Throws system_error(ENOMEM), naming the limit, when there is no stack for it.
template <class F, class... A>
[[gnu::always_inline]] inline auto spawn(F&& f, A&&... a)
    -> GreenThread<detail::call_result_t<F, A...>> {
  return detail::start<detail::call_result_t<F, A...>>(
      uvlet::Hub::get(), uvlet::this_address(),
      detail::make_call(std::forward<F>(f), std::forward<A>(a)...));
}

// The same without a result; an exception is printed.
template <class F, class... A>
[[gnu::always_inline]] inline Greenlet spawn_n(F&& f, A&&... a) {
  uvlet::Hub& hub = uvlet::Hub::get();
  auto body = [call = detail::make_call(std::forward<F>(f), std::forward<A>(a)...)](
                  uvlet::Root& self) mutable noexcept {
    try {
      self.start();
      call();
    } catch (...) {
      uvlet::report_exception(self, uvlet::caught_exception(&self));
    }
    self.clear_interrupts();
  };
  auto identity = uvlet::Handle<uvlet::Identity>::adopt(new uvlet::Identity);
  uvlet::GreenRoot& root = hub.make_green(std::move(body), uvlet::this_address());
  root.attach_identity(*identity);
  hub.make_ready(root);
  return Greenlet(std::move(identity));
}

// Starts it after a delay. Until then cancel() and kill() prevent it.
template <class F, class... A>
[[gnu::always_inline]] inline auto spawn_after(Duration delay, F&& f, A&&... a)
    -> GreenThread<detail::call_result_t<F, A...>> {
  uvlet::Hub& hub = uvlet::Hub::get();
  return detail::start<detail::call_result_t<F, A...>>(
      hub, uvlet::this_address(), detail::make_call(std::forward<F>(f), std::forward<A>(a)...),
      detail::After{uvlet::deadline_after(hub.now(), delay), {}});
}

// The same, but it is not run if the green thread that calls has ended by then: its wait() throws
// GreenletExit.
template <class F, class... A>
[[gnu::always_inline]] inline auto spawn_after_local(Duration delay, F&& f, A&&... a)
    -> GreenThread<detail::call_result_t<F, A...>> {
  uvlet::Hub& hub = uvlet::Hub::get();
  return detail::start<detail::call_result_t<F, A...>>(
      hub, uvlet::this_address(), detail::make_call(std::forward<F>(f), std::forward<A>(a)...),
      detail::After{uvlet::deadline_after(hub.now(), delay), hub.running()->identify()});
}

// Waits; sleep(0) goes to the back of the line. Blocks the green thread. Cancel point.
[[gnu::always_inline]] inline void sleep(Duration length = 0) {
  if (length.seconds() > 0)
    uvlet::block(uvlet::Sleep(length));
  else
    uvlet::Hub::get().yield();
}
// So that sleep(0.1) and sleep(1) are not ::sleep under `using namespace green`.
template <uvlet::seconds_number A>
[[gnu::always_inline]] inline void sleep(A seconds) {
  sleep(Duration(seconds));
}
inline void sleep(unsigned seconds) { sleep(Duration(seconds)); }
template <class A>
requires(std::is_arithmetic_v<A> && !uvlet::seconds_number<A>) void sleep(A) =
    delete;  // a truth value or a character is no length of time
inline uvlet::Sleep sleep_async(Duration length = 0) { return uvlet::Sleep(length); }

// Who runs: the green thread, or the top-level task, that this call is part of.
UVLET_API Greenlet getcurrent();

// Blocks the green thread. Cancel point.
inline void kill(const Greenlet& target) { target.kill(); }
template <class E>
void kill(const Greenlet& target, E exception) {
  target.kill(std::move(exception));
}
inline detail::Kill kill_async(const Greenlet& target) { return target.kill_async(); }
template <class E>
detail::Kill kill_async(const Greenlet& target, E exception) {
  return target.kill_async(std::move(exception));
}

}  // namespace green

#include <green/spawn_on.hpp>
