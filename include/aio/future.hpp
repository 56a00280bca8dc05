#pragma once

#include <aio/exceptions.hpp>
#include <aio/task.hpp>
#include <uvlet/outcome.hpp>

#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace aio {

template <class T>
class Future;

namespace detail {

class FutureWait;

// The part of a Future's state that does not depend on its type.
class UVLET_API FutureBase : public uvlet::Identity {
 public:
  using Identity::Identity;

  virtual uvlet::OutcomeBase& outcome() noexcept = 0;
  bool cancelled() const noexcept { return cancelled_; }
  bool failed() const noexcept { return failed_; }
  // Somebody takes care of what it ends with: an exception that nobody ever read is reported.
  void retrieve() noexcept { retrieved_ = true; }
  void belongs_to_task() noexcept { of_task_ = true; }

  // Asks for a CancelledError: in a task's coroutine, or, if that awaits another Future, there; a
  // Future without a task is cancelled at once. False if it is done. Never switches. Throws
  // bad_alloc.
  bool cancel();
  // It has its outcome: waiters are woken and callbacks scheduled, in the order in which they came.
  void complete() noexcept;
  void set_error(std::exception_ptr error) noexcept;

  // Owns itself from when it is added: it holds the Future, which refers to it until it is done.
  struct Callback : uvlet::Listener {
    Callback() : context(uvlet::Hub::get().running()->copy_context()) {}
    virtual ~Callback() = default;
    void notify() noexcept final;
    virtual void call() = 0;                    // where blocking is allowed
    uvlet::Handle<uvlet::ContextVars> context;  // of who added it
  };
  void add_callback(std::unique_ptr<Callback> callback);

 protected:
  const char* name_prefix() const noexcept override { return of_task_ ? "Task-" : "Future-"; }
  void dropped(const std::exception_ptr& error) noexcept {
    if (error && !retrieved_) [[unlikely]]
      report_unretrieved(error);
  }

 private:
  UVLET_COLD void report_unretrieved(const std::exception_ptr& error) noexcept;
  FutureWait* wait() const noexcept;

  bool cancelled_ : 1 = false;
  bool failed_ : 1 = false;
  bool of_task_ : 1 = false;
  bool retrieved_ : 1 = false;
  bool visiting_ : 1 = false;  // by cancel(): Futures may await each other in a circle
};

template <class T>
class FutureState final : public FutureBase {
 public:
  using FutureBase::FutureBase;
  ~FutureState() override { dropped(value.error()); }
  uvlet::OutcomeBase& outcome() noexcept override { return value; }
  uvlet::Outcome<T> value;
};

// The wait for a Future, of any type.
class UVLET_API FutureWait : public uvlet::Waiter {
 public:
  static constexpr bool forwards_cancel = true;
  explicit FutureWait(uvlet::Handle<FutureBase> future) noexcept : future_(std::move(future)) {}
  FutureWait(FutureWait&&) noexcept = default;
  FutureBase& future() const noexcept { return *future_; }

  // Cancels the Future; the wait is over when it is, or at once in a circle.
  uvlet::Cancel cancel() noexcept override;
  void cancel_again() noexcept override { future_->cancel(); }
  const char* describe() const noexcept override { return "a Future"; }
  // What it waits for waits for it.
  void is_in_circle() noexcept { in_circle_ = true; }

 protected:
  // Throws logic_error if that is who waits.
  void require_other() const {
    if (root_ == future_->root) [[unlikely]]
      refuse_itself();
  }

  uvlet::Handle<FutureBase> future_;

 private:
  [[noreturn]] UVLET_COLD void refuse_itself() const;
  bool in_circle_ = false;
};

}  // namespace detail

// The wait for a Future, as an operation.
template <class T>
class FutureAwait final : public uvlet::Operation<FutureAwait<T>, detail::FutureWait> {
 public:
  // `take`: the result is moved out if nobody else can read it; `only_reader`: nobody else can.
  FutureAwait(uvlet::Handle<detail::FutureState<T>> future, bool take,
              bool only_reader = false) noexcept
      : uvlet::Operation<FutureAwait, detail::FutureWait>(
            uvlet::Handle<detail::FutureBase>::share(future.get())),
        take_(take),
        only_reader_(only_reader) {}
  FutureAwait(FutureAwait&&) noexcept = default;

  bool ready() const noexcept { return state().value.settled(); }
  void suspend(uvlet::Hub&) {
    this->require_other();
    state().value.listen(*this);
  }
  T result() {
    state().retrieve();
    if (!take_) return state().value.copy();
    return state().value.take(only_reader_ || state().references == 1);
  }

 private:
  detail::FutureState<T>& state() const noexcept {
    return static_cast<detail::FutureState<T>&>(*this->future_);
  }
  bool take_;
  bool only_reader_;
};

// A result that comes later: asyncio's Future, and its Task. A shared handle; awaitable any number
// of times. Dropping all handles to a task's Future lets the task run on. An exception that nobody
// has read by the time the last handle goes is reported on stderr, unless it is CancelledError or
// GreenletExit.
template <class T = void>
class Future {
 public:
  Future() noexcept = default;
  explicit Future(uvlet::Handle<detail::FutureState<T>> state) noexcept
      : state_(std::move(state)) {}

  // One that somebody will complete by hand. On this hub's thread.
  static Future create() {
    return Future(uvlet::Handle<detail::FutureState<T>>::adopt(
        new detail::FutureState<T>(uvlet::Hub::get().next_id())));
  }

  // Wakes who waits; never switches. Throws InvalidStateError if it is done.
  void set_result(uvlet::stored_t<T> value) requires(!std::is_void_v<T>) {
    require(!done());
    state_->value.set_value(std::move(value));
    state_->complete();
  }
  void set_result() requires std::is_void_v<T> {
    require(!done());
    state_->value.set_value();
    state_->complete();
  }
  void set_exception(std::exception_ptr error) {
    require(!done());
    if (!error) throw std::invalid_argument("set_exception: a null exception_ptr");
    state_->set_error(std::move(error));
  }

  bool done() const { return shared().value.settled(); }
  bool cancelled() const { return shared().cancelled(); }
  // Throws CancelledError into the task's coroutine on the next turn. False if it is done.
  bool cancel() { return shared().cancel(); }
  // The result, or rethrows. Throws InvalidStateError before it is done.
  T result() const {
    require(done());
    state_->retrieve();
    return state_->value.copy();
  }
  // Null if it has a result.
  std::exception_ptr exception() const {
    require(done());
    state_->retrieve();
    return state_->value.error();
  }

  // Calls f(Future) when it is done, in a green thread of its own; soon, if it is done already.
  template <class F>
  void add_done_callback(F f) {
    struct Call final : detail::FutureBase::Callback {
      Call(F function, Future future) : run(std::move(function)), done(std::move(future)) {}
      void call() override { run(std::move(done)); }
      F run;
      Future done;
    };
    shared().add_callback(std::make_unique<Call>(std::move(f), *this));
  }

  const std::string& name() const { return shared().name(); }
  void set_name(std::string name) { shared().set_name(std::move(name)); }

  // Cancelling who awaits it cancels it.
  FutureAwait<T> operator co_await() const& { return FutureAwait<T>(state(), false); }
  FutureAwait<T> operator co_await() && {
    shared();
    return FutureAwait<T>(std::move(state_), true);
  }

  // For the rest of the library.
  explicit operator bool() const noexcept { return static_cast<bool>(state_); }
  const uvlet::Handle<detail::FutureState<T>>& state() const {
    shared();
    return state_;
  }

 private:
  detail::FutureState<T>& shared() const {
    if (!state_) throw InvalidStateError("a Future that was moved from or never made");
    return *state_;
  }
  void require(bool allowed) const {
    if (!allowed) throw InvalidStateError();
  }

  uvlet::Handle<detail::FutureState<T>> state_;
};

namespace detail {

// A top-level task: a Root whose coroutine completes a Future.
template <class T>
struct TaskRoot final : uvlet::StacklessRoot {
  TaskRoot(uvlet::Hub& owner, Frame<T> frame) noexcept
      : StacklessRoot(owner, Kind::task), body(std::move(frame)) {}
  std::coroutine_handle<> first_step() const noexcept override { return body.get(); }
  void off_stack() noexcept override {
    if (!body.done()) return;
    FutureState<T>& state = future();
    try {
      if constexpr (std::is_void_v<T>) {
        body.promise().take();
        state.value.set_value();
      } else {
        state.value.set_value(body.promise().take());
      }
    } catch (...) {
      end(uvlet::caught_exception(this));
      return;
    }
    end(nullptr);
  }
  void never_started() noexcept override { end(std::exchange(thrown, nullptr)); }

 private:
  FutureState<T>& future() noexcept { return static_cast<FutureState<T>&>(*identity); }
  void end(std::exception_ptr error) noexcept {
    if (this->locals) this->free_locals();
    const auto state = uvlet::Handle<FutureState<T>>::share(&future());
    delete this;
    if (error)
      state->set_error(std::move(error));
    else
      state->complete();
  }

  Frame<T> body;
};

}  // namespace detail

// Runs it concurrently, as a Greenlet of its own: it starts on the next turn. Cancelled before, it
// never runs.
template <class T>
Future<T> create_task(task<T> work, std::string name = {}) {
  uvlet::Hub& hub = uvlet::Hub::get();
  auto state = uvlet::Handle<detail::FutureState<T>>::adopt(new detail::FutureState<T>);
  if (!name.empty()) state->set_name(std::move(name));
  state->belongs_to_task();
  auto* root = new detail::TaskRoot<T>(hub, work.consume());
  root->adopt_identity(*state);
  hub.make_ready(*root);
  return Future<T>(std::move(state));
}
template <awaitable A>
Future<await_result_t<A>> create_task(A work, std::string name = {}) {
  return create_task(as_task(std::move(work)), std::move(name));
}

template <class T>
Future<T> ensure_future(Future<T> future) {
  return future;
}
template <awaitable A>
Future<await_result_t<A>> ensure_future(A work) {
  return create_task(as_task(std::move(work)));
}
template <class T>
Future<T> ensure_future(task<T> work) {
  return create_task(std::move(work));
}

// Runs a task to its end, from a function that is none: a plain main().
// Blocks the green thread. Cancel point.
template <class T>
T run(Future<T> future) {
  return uvlet::block(std::move(future).operator co_await());
}
template <awaitable A>
await_result_t<A> run(A work) {
  // Only Greenlets, which cannot read it, may refer to this task beside us.
  using T = await_result_t<A>;
  return uvlet::block(FutureAwait<T>(ensure_future(std::move(work)).state(), true, true));
}
template <class T>
T run(task<T> work) {
  return run<task<T>>(std::move(work));
}

}  // namespace aio
