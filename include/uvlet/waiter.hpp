#pragma once

// The one kind of waiting: Parked is whatever waits, a fiber or a coroutine, a Waiter one that
// stands in the list of a primitive, and an Operation what is waited for. Each primitive is written
// once as an Operation and serves both worlds.

#include <uvlet/config.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/list.hpp>
#include <uvlet/root.hpp>

#include <cassert>
#include <coroutine>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace uvlet::inline UVLET_ABI {

// A promise whose coroutine is part of the Root that awaits it: its handle is resumed by the
// driver. Coroutines of other libraries are not.
struct NativePromise {
  // The promise of a coroutine that has one of these, as its first base. (A promise of no more than
  // the alignment of a frame stands at one place in it.)
  static NativePromise& of(std::coroutine_handle<> coroutine) noexcept {
    return std::coroutine_handle<NativePromise>::from_address(coroutine.address()).promise();
  }
  static constexpr std::size_t alignment_max = 2 * sizeof(void*);

  std::coroutine_handle<> continuation{};  // the coroutine that awaits this one; null: the driver
  void** owner = nullptr;                  // where that one keeps the address of this one's frame
};
template <class P>
concept native_promise = std::is_base_of_v<NativePromise, P>;

// Something that wants to hear, once, that an event happened. notify() may not switch.
struct Listener : Link {
  virtual void notify() noexcept = 0;

 protected:
  ~Listener() = default;
};

// What became of a request to cut a wait short.
enum class Cancel {
  done,      // it is over: nothing refers to what waited, what was granted went to the next one
  later,     // it ends later; the interrupt is thrown then, and the result dropped
  too_late,  // it has a result that cannot be given back: the interrupt waits for the next wait
};

// A parked Root. It lives in the operation that is waited for: on the parked stack or in the
// coroutine's frame.
class UVLET_API Parked {
 public:
  Parked() noexcept = default;
  // Movable until awaited.
  Parked(Parked&& other) noexcept { assert(!other.root_); }
  Parked& operator=(Parked&&) = delete;

  // Cuts the wait short, if it can.
  virtual Cancel cancel() noexcept = 0;
  // After it answered `later`: another interrupt has come.
  virtual void cancel_again() noexcept {}
  // Whether what is waited for is cancelled with the wait. Then an interrupt that is due already
  // does not keep the wait from beginning, but cuts it short: who awaits another leaves none
  // behind.
  static constexpr bool forwards_cancel = false;
  // What is waited for, for reports: "sleep", "event".
  virtual const char* describe() const noexcept = 0;

  Root* root() const noexcept { return root_; }
  std::coroutine_handle<> coroutine() const noexcept { return handle_; }

 protected:
  ~Parked() {
    if (root_) [[unlikely]]
      abandon();
  }

  // Throws NoAwaitletContext where nothing may wait. False: an interrupt is due, do not wait.
  UVLET_COLD bool attend(Root& root, bool in_spite);

  friend class Root;
  // The operation is complete. Never switches.
  void make_ready() noexcept { root_->hub->make_ready(*root_); }

  Root* root_ = nullptr;              // set while waited for
  std::coroutine_handle<> handle_{};  // null: the Root waits on a stack

 private:
  UVLET_COLD void abandon() noexcept;
};

// One that is linked in the list of the primitive that it waits for.
class UVLET_API Waiter : public Parked, public Listener {
 public:
  Waiter() noexcept = default;
  Waiter(Waiter&& other) noexcept : Parked(std::move(other)) {}

  // The operation is complete: unlinks the Waiter and makes its Root ready. Never switches.
  void wake() noexcept {
    unlink();
    make_ready();
  }
  void notify() noexcept final { wake(); }

 protected:
  ~Waiter() = default;

  // Takes back a wake() whose Root has not run since: it waits on.
  void unwake() noexcept { root_->unlink(); }
};

// What blocking calls are made of. A derived class defines
//   bool ready()          done without waiting?
//   void suspend(Hub&)    links it into what it waits for; may throw, then nothing is linked
//   T    result()         the result, or throws what the operation ended with
//   Cancel cancel() noexcept, const char* describe() const noexcept   as in Parked
// `block(op)` parks the green thread that runs; `co_await op` suspends the coroutine.
// `Base` is Waiter, Parked where no list is needed, or a class derived from one of them.
template <class Derived, class Base = Waiter>
class Operation : public Base {
 public:
  using Base::Base;
  Operation() noexcept = default;
  Operation(Operation&&) noexcept = default;

  bool await_ready() { return derived().ready(); }

  template <class P>
  bool await_suspend(std::coroutine_handle<P> handle) {
    Hub& hub = Hub::get();
    if constexpr (native_promise<P>) {
      return begin(hub, *hub.running(), handle);
    } else {
      StacklessRoot& root = hub.adopt(handle);
      try {
        begin(hub, root, handle);
      } catch (...) {
        root.off_stack();
        throw;
      }
      return true;
    }
  }

  decltype(auto) await_resume() {
    if (this->root_) settle();
    return derived().result();
  }

  UVLET_INLINE bool begin(Hub& hub, Root& root, std::coroutine_handle<> handle) {
    if (root.attention) [[unlikely]] {
      if (!this->attend(root, Derived::forwards_cancel)) {
        this->root_ = &root;
        this->handle_ = handle;
        return false;
      }
    }
    this->root_ = &root;
    this->handle_ = handle;
    if constexpr (noexcept(derived().suspend(hub))) {
      derived().suspend(hub);
    } else {
      try {
        derived().suspend(hub);
      } catch (...) {
        this->root_ = nullptr;
        throw;
      }
    }
    root.waiting = this;
    if constexpr (Derived::forwards_cancel)
      if (root.attention) [[unlikely]]
        root.deliver_now();
    return true;
  }

 private:
  void settle() {
    Root* root = std::exchange(this->root_, nullptr);
    root->waiting = nullptr;
    if (root->attention) [[unlikely]]
      root->operation_interrupted(static_cast<bool>(this->handle_));
  }
  Derived& derived() noexcept { return static_cast<Derived&>(*this); }
};

template <class A>
concept operation = std::is_base_of_v<Parked, std::remove_cvref_t<A>>;

// Waits for an operation in the green thread that runs. Blocks the green thread. Cancel point.
// `suspended`, if not null, is set if it has to wait.
template <operation Op>
UVLET_INLINE decltype(auto) block(Op&& op, bool* suspended = nullptr) {
  if (!op.await_ready()) {
    if (suspended) *suspended = true;
    Hub& hub = Hub::get();
    Root& self = *hub.running();
    if (op.begin(hub, self, nullptr)) hub.wait_turn(self);
  } else {
    notice_blocking_call();
  }
  return op.await_resume();
}

}  // namespace uvlet::inline UVLET_ABI
