#pragma once

// Who is running: a Root is what a Greenlet names, a green thread or a top-level task. It is one
// chain of frames, on at most one stack, waiting for at most one thing.

#include <uvlet/config.hpp>
#include <uvlet/context_vars.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/exceptions.hpp>
#include <uvlet/frame.hpp>
#include <uvlet/list.hpp>
#include <uvlet/switch.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace uvlet::inline UVLET_ABI {

class Hub;
class Root;
struct LocalValue;
class Parked;

// What handles to a Root share, and what is left of it when it is dead. Counted by hand: handles
// belong to one hub, so the count needs no atomic.
class UVLET_API Identity : public FrameAllocated {
 public:
  explicit Identity(std::uint64_t number = 0) noexcept : id(number) {}
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  bool dead() const noexcept { return finished; }
  const std::string& name();
  static std::string default_name(bool main, std::uint64_t id);
  const std::string* name_given() const noexcept { return name_.get(); }  // null: none yet
  void set_name(std::string name);

  void retain() noexcept { ++references; }
  void release() noexcept {
    if (--references == 0) destroy();
  }

  std::uint64_t id;      // its Root's, from when it has one
  Root* root = nullptr;  // null once its frames are gone

 protected:
  virtual ~Identity();
  // Of the name of what was given none: "green-thread-" and its number.
  virtual const char* name_prefix() const noexcept;

 private:
  void destroy() noexcept;

  std::unique_ptr<std::string> name_;

 public:
  std::uint32_t references = 1;
  bool started = false;
  bool finished = false;
};

// A counted pointer to an Identity or to a class derived from it.
template <class I>
class Handle {
 public:
  Handle() noexcept = default;
  // Takes over a reference that was already counted.
  static Handle adopt(I* identity) noexcept {
    Handle handle;
    handle.identity_ = identity;
    return handle;
  }
  static Handle share(I* identity) noexcept {
    if (identity) identity->retain();
    return adopt(identity);
  }
  Handle(const Handle& other) noexcept : identity_(other.identity_) {
    if (identity_) identity_->retain();
  }
  Handle(Handle&& other) noexcept : identity_(std::exchange(other.identity_, nullptr)) {}
  Handle& operator=(Handle other) noexcept {
    std::swap(identity_, other.identity_);
    return *this;
  }
  ~Handle() {
    if (identity_) identity_->release();
  }

  I* get() const noexcept { return identity_; }
  I* operator->() const noexcept { return identity_; }
  I& operator*() const noexcept { return *identity_; }
  explicit operator bool() const noexcept { return identity_ != nullptr; }

 private:
  I* identity_ = nullptr;
};

// A copy of a context; null where nothing was ever set.
inline Handle<ContextVars> copy_of(const Handle<ContextVars>& context) {
  return context ? Handle<ContextVars>::adopt(context->copy()) : Handle<ContextVars>();
}

// A pending kill, cancel or expired Timeout. See docs/architecture.md, "Interrupts". It may not end
// while it is queued.
struct Interrupt {
  bool queued() const noexcept { return next != nullptr; }

  Interrupt* next = nullptr;  // null: not queued
  std::exception_ptr error;
  std::uint64_t level = 0;    // scopes with a larger serial are crossed; 0: the Root's base
  unsigned int uncaught = 0;  // it waits while more exceptions than this are being unwound
  bool owned = false;         // made by kill or cancel: freed when taken
};

// The Interrupts of a Root, in one word: most have none. They form a circle.
class InterruptQueue {
 public:
  bool empty() const noexcept { return !last_; }
  Interrupt* front() const noexcept { return last_->next; }
  Interrupt* after(const Interrupt* interrupt) const noexcept {  // null: that was the last one
    return interrupt == last_ ? nullptr : interrupt->next;
  }

  void push_front(Interrupt& interrupt) noexcept;
  // Before Timeouts, behind the kills and cancels that came before it.
  void push_urgent(Interrupt& interrupt) noexcept;
  void push_back(Interrupt& interrupt) noexcept {
    push_front(interrupt);
    last_ = &interrupt;
  }
  void remove(Interrupt& interrupt) noexcept;  // O(its place)

 private:
  Interrupt* last_ = nullptr;
};

// A boundary that interrupts from outside cross: one awaitlet of a task, one wait_for. Within it
// they look like CancelledError; where it ends the interrupt itself goes on.
class Scope {
 public:
  explicit Scope(Root& root) noexcept;
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // The interrupt that crosses this boundary; null if none does.
  std::exception_ptr take_forced() noexcept { return std::exchange(forced_, nullptr); }
  // What a coroutine around this boundary sees of it: CancelledError if it crosses that one too.
  std::exception_ptr take_forced_for_coroutine() noexcept {
    if (forced_ && outer_ && outer_->serial_ > forced_level_)
      return std::make_exception_ptr(CancelledError());
    return take_forced();
  }
  bool forced() const noexcept { return forced_ != nullptr; }

 private:
  friend class Root;
  void force(const std::exception_ptr& error, std::uint64_t level) noexcept;

  Root& root_;
  Scope* outer_;
  std::uint64_t serial_;  // one count a hub for Scopes and Timeouts: later ones are inside
  std::uint64_t forced_level_ = 0;
  std::exception_ptr forced_;
};

class UVLET_API Root : public Context, public Link {
 public:
  enum class Kind : std::uint8_t { main, loop, green, dispatcher, task, foreign };

  Root(Hub& owner, Kind what) noexcept;
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  // The handle block, made on first use.
  Handle<Identity> identify();
  // Uses this block as the Root's own, and holds a reference to it until the end.
  void adopt_identity(Identity& block) noexcept {
    attach_identity(block);
    block.retain();
    holds_identity = true;
  }
  // Uses it without a reference, as long as somebody else has one.
  void attach_identity(Identity& block) noexcept {
    identity = &block;
    block.root = this;
    block.id = id;
    block.started = started;
  }

  // Queues an interrupt, an urgent one before Timeouts, and delivers the first one that may be:
  // then `thrown` is set and the Root is ready. Never switches.
  void interrupt(Interrupt& interrupt, bool urgent = false) noexcept;
  void withdraw(Interrupt& interrupt) noexcept;
  void kill() noexcept;  // GreenletExit, without an allocation
  void deliver() noexcept;
  // The same for one that runs and has just begun to wait.
  void deliver_now() noexcept;
  void clear_interrupts() noexcept {
    if (attention) [[unlikely]]
      drop_interrupts();
  }

  // Whether its next wait ends with an interrupt, or the one that it resumes from.
  bool interrupt_due() noexcept;
  // Whether one of this type was not thrown yet, and will be: a Timeout's may be withdrawn.
  bool holds_interrupt(const std::type_info& type) const noexcept;
  // Takes the first interrupt that may be delivered to a running Root; false if there is none.
  bool take_interrupt() noexcept;
  // Throws what was taken. A coroutine of a deeper scope gets CancelledError in its place.
  [[noreturn]] void raise(bool in_coroutine);
  // With `attention` set, where a wait may be cut short: throws if an interrupt is due.
  UVLET_COLD void resume_interrupted(bool in_coroutine);
  // The same after an operation: a result that came first is not thrown away.
  UVLET_COLD void operation_interrupted(bool in_coroutine);

  // Its function begins. Throws instead if it was killed before.
  void start() {
    if (thrown) raise(false);
    started = true;
    if (identity) identity->started = true;
  }

  // Its function has ended: what it has of its own goes, while it can still run. See LocalValue.
  UVLET_COLD void free_locals() noexcept;

  // Its context, made if there is none.
  ContextVars& own_context();
  Handle<ContextVars> copy_context() const { return copy_of(context); }
  // From now on what either sets is set for both.
  void share_context(Root& other) { context = Handle<ContextVars>::share(&other.own_context()); }

  void refresh_attention() noexcept;
  // Its next wait sets blocking_called, at no cost to the waits of others.
  void watch_for_wait() noexcept { watched = attention = true; }
  UVLET_COLD void waits() noexcept;
  // Where it was spawned; null for all but green threads.
  void* spawned_at() const noexcept;
  bool may_wait() const noexcept { return kind != Kind::loop; }

  // --- state; the hot part first
  Hub* hub;
  Time parked_at;              // when it last ran, or was made: the turn of the loop before that
  Parked* waiting = nullptr;   // what it waits for, from its start until its result is taken
  Scope* scope = nullptr;      // the innermost
  bool attention : 1 = false;  // an interrupt is pending or taken, or it may not wait at all
  bool killed : 1 = false;     // a default kill is pending
  bool cancel_requested : 1 = false;  // `waiting` was asked to end and will do so later
  bool started : 1 = false;
  bool watched : 1 = false;  // the next wait is to be noticed: it keeps `attention` set
  bool holds_identity : 1 = false;
  bool delivered : 1 = false;  // the deliver() that is on has been here
  bool crosses : 1 = false;    // what was taken ends at a boundary outside of the innermost one
  Kind kind;
  // Changes between green code and coroutines around what runs, if counted, modulo 65,536.
  std::uint16_t depth = 0;
  int shields = 0;
  std::exception_ptr thrown;  // taken, not yet thrown
  InterruptQueue pending;
  Identity* identity = nullptr;
  std::uint64_t id;
  LocalValue* locals = nullptr;
  Handle<ContextVars> context;  // null: nothing was ever set

 protected:
  ~Root();

 private:
  UVLET_COLD void drop_interrupts() noexcept;
  unsigned int uncaught_now() const noexcept;
  void deliver_one() noexcept;
  void take(std::exception_ptr error, std::uint64_t level) noexcept;
  Interrupt* first_deliverable() noexcept;
};

// The coroutine that a suspended Root will go on with; null where it waits on a stack.
UVLET_API std::coroutine_handle<> innermost_coroutine(const Root& root) noexcept;

// The context of this OS thread's own stack: a hub that is made later takes it for its main Root.
UVLET_API Handle<ContextVars>& thread_context() noexcept;

}  // namespace uvlet::inline UVLET_ABI
