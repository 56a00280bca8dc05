#pragma once

// The switch between stacks: the only place that knows Boost.Context, and the only one that knows
// what a switch must carry over (exception state, errno) and tell the sanitizers.

#include <uvlet/config.hpp>

#include <cerrno>
#include <cstddef>
#include <cxxabi.h>

#if defined(UVLET_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(UVLET_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace uvlet::inline UVLET_ABI {

// Boost's fcontext, declared under names of our own so that a program may include Boost as well.
struct Transfer {
  void* context;
  void* data;
};
Transfer jump_context(void* to, void* data) __asm__("jump_fcontext");
void* make_context(void* top, std::size_t size, void (*entry)(Transfer)) __asm__("make_fcontext");
Transfer jump_on_top(void* to, void* data,
                     Transfer (*function)(Transfer)) __asm__("ontop_fcontext");

// The two words behind __cxa_get_globals(), fixed by the Itanium C++ ABI.
struct ExceptionState {
  void* caught;
  unsigned int uncaught;
};

// The parts of an OS thread's state that belong to whoever runs on it.
struct ThreadState {
  ExceptionState* exceptions;
  int* error;

  static ThreadState of_this_thread() noexcept {
    return {reinterpret_cast<ExceptionState*>(abi::__cxa_get_globals()), &errno};
  }
};

// One suspended line of execution. While it runs the fields are stale. The exceptions that it
// handles are kept on its stack, where it is parked.
struct Context {
  void* sp = nullptr;  // null: has no stack (a coroutine suspended at a co_await)
  unsigned int uncaught = 0;
  int saved_errno = 0;
#if defined(UVLET_ASAN)
  const void* stack_low = nullptr;
  std::size_t stack_size = 0;
  void* fake_stack = nullptr;
#endif
#if defined(UVLET_TSAN)
  void* tsan_fiber = nullptr;
#endif

#if defined(UVLET_ASAN)
  void set_stack(const char* low, std::size_t size) noexcept {
    stack_low = low;
    stack_size = size;
  }
#else
  void set_stack(const char*, std::size_t) noexcept {}
#endif

#if defined(UVLET_ASAN) || defined(UVLET_TSAN)
  void stands_on(const Context& other) noexcept {
#if defined(UVLET_ASAN)
    stack_low = other.stack_low;
    stack_size = other.stack_size;
#endif
#if defined(UVLET_TSAN)
    tsan_fiber = other.tsan_fiber;
#endif
  }
#else
  void stands_on(const Context&) noexcept {}
#endif
};

UVLET_INLINE void before_jump([[maybe_unused]] Context& from, [[maybe_unused]] Context& to,
                              [[maybe_unused]] bool from_ends = false) noexcept {
#if defined(UVLET_ASAN)
  __sanitizer_start_switch_fiber(from_ends ? nullptr : &from.fake_stack, to.stack_low,
                                 to.stack_size);
#endif
#if defined(UVLET_TSAN)
  __tsan_switch_to_fiber(to.tsan_fiber, 0);
#endif
}

UVLET_INLINE void after_jump([[maybe_unused]] Context& self) noexcept {
#if defined(UVLET_ASAN)
  __sanitizer_finish_switch_fiber(self.fake_stack, nullptr, nullptr);
#endif
}

// For functions that a stack's line of execution enters and never returns from: ThreadSanitizer's
// call stack is kept with the stack, and what they push to it would add up.
#if !defined(UVLET_TSAN)
#define UVLET_UNTRACED
#elif defined(__clang__)
#define UVLET_UNTRACED __attribute__((disable_sanitizer_instrumentation))
#else
#define UVLET_UNTRACED __attribute__((no_sanitize("thread")))
#endif

// Suspends `from`, which is running, and resumes `to`; returns when somebody switches to `from`.
// Inlined up to the user's call: each `ret` after the jump would be mispredicted (7-11 ns).
UVLET_INLINE void switch_context(Context& from, Context& to, const ThreadState& thread) noexcept {
  void* const caught = thread.exceptions->caught;
  from.uncaught = thread.exceptions->uncaught;
  from.saved_errno = *thread.error;
  before_jump(from, to);
  const Transfer transfer = jump_context(to.sp, &from);
  static_cast<Context*>(transfer.data)->sp = transfer.context;
  after_jump(from);
  thread.exceptions->caught = caught;
  thread.exceptions->uncaught = from.uncaught;
  *thread.error = from.saved_errno;
}

// The first act on a new stack.
UVLET_INLINE void enter_context(Transfer transfer, Context& self,
                                const ThreadState& thread) noexcept {
  static_cast<Context*>(transfer.data)->sp = transfer.context;
  after_jump(self);
  *thread.exceptions = ExceptionState{};
  *thread.error = 0;
}

// The last act on a stack: `self` never runs again.
UVLET_INLINE void leave_context(Context& self, Context& to) noexcept {
  before_jump(self, to, true);
  jump_context(to.sp, &self);
}

// Calls function(where it is parked) on the stack of a suspended Context, as if its wait had called
// it, and comes back; what was parked there is as it was. `self` runs. The function may not switch,
// throw, or return anything.
UVLET_API void call_on_top(Context& self, Context& parked,
                           void (*function)(const void* return_address, void* argument) noexcept,
                           void* argument) noexcept;

}  // namespace uvlet::inline UVLET_ABI
