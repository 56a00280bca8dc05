#pragma once

// Where an exception came from: the frames that it left on its way, across coroutines and stacks.
//
// While traces are on, an exception remembers the stack where it was thrown; whoever of ours
// catches it to hand it on keeps the frames that it has left by then, and the stack where it is
// thrown again. So neither coroutines nor awaitlet need to know more of it than caught_exception()
// and rethrow().

#include <uvlet/call_site.hpp>
#include <uvlet/config.hpp>

#include <atomic>
#include <exception>
#include <string>

namespace uvlet::inline UVLET_ABI {

class Root;

// Whether exceptions remember their way. On at first in a library built for debugging (without
// NDEBUG and without optimisation) and with UVLET_EXCEPTION_TRACES=1 in the environment, 0 there
// means off. Thread-safe. While on, a throw anywhere in the process costs a walk of its stack, and
// so does each coroutine and awaitlet that it passes: microseconds. While off, it costs a branch.
// In a program that links the C++ library statically a way begins where one is first handed on.
// What is thrown by kill and cancel (GreenletExit, CancelledError) is never traced.
UVLET_API void exception_traces(bool on) noexcept;

// The way of an exception so far, innermost frame first, each line ending in "\n": a line for each
// frame of a function or a coroutine, "  a::f+0x12"; one where it crossed from coroutines to an
// ordinary function, "awaitlet at file.cpp:12, in g"; one where a green thread or task ended with
// it, "green thread 7, spawned at h+0x34". Last come the functions that are not left yet, down to
// the first of the stack that it was last thrown on. Frames of the library's own are left out. ""
// if traces were off when it was thrown. Several who read the same exception add to the same way;
// it ends after 256 lines, and a stack after its 64 innermost frames. Thread-safe.
UVLET_API std::string traceback(const std::exception_ptr& exception = std::current_exception());

// --- for the rest of the library

// What looks at crossings between ordinary functions and coroutines: one word, one branch.
struct CrossingWatch {
  static constexpr unsigned counted = 1;  // see green::transitions()
  static constexpr unsigned traced = 2;
  UVLET_API static std::atomic<unsigned> active;
  static bool any() noexcept { return active.load(std::memory_order_relaxed) != 0; }
  static bool is(unsigned one) noexcept { return active.load(std::memory_order_relaxed) & one; }
  static void set(unsigned one, bool on) noexcept {
    if (on)
      active |= one;
    else
      active &= ~one;
  }
};

// std::current_exception(), by who hands it on; `ended`: whose end it is, if it is one.
UVLET_API UVLET_COLD std::exception_ptr caught_exception(Root* ended = nullptr) noexcept;
// std::rethrow_exception(), of what was handed on.
[[noreturn]] UVLET_API UVLET_COLD void rethrow(std::exception_ptr error);
// Before a `throw;`: what is being handled goes on into an ordinary function.
UVLET_API UVLET_COLD void trace_awaitlet(const CallSite& site) noexcept;

}  // namespace uvlet::inline UVLET_ABI
