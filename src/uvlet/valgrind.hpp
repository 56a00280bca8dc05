#pragma once

// What valgrind is told of stacks that are no OS thread's, if the library was built with
// -Dvalgrind=true; else nothing. Outside of valgrind a call costs a few instructions.

#include <uvlet/config.hpp>

#if defined(UVLET_VALGRIND)
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#endif

namespace uvlet::inline UVLET_ABI {

// Returns the number that valgrind knows it by.
inline unsigned register_stack([[maybe_unused]] char* low, [[maybe_unused]] char* high) noexcept {
#if defined(UVLET_VALGRIND)
  return VALGRIND_STACK_REGISTER(low, high - 1);
#else
  return 0;
#endif
}

inline void deregister_stack([[maybe_unused]] unsigned number) noexcept {
#if defined(UVLET_VALGRIND)
  VALGRIND_STACK_DEREGISTER(number);
#endif
}

// Somebody else begins on it: frames that were left on it are gone.
inline void renew_stack([[maybe_unused]] char* low, [[maybe_unused]] char* high) noexcept {
#if defined(UVLET_VALGRIND)
  VALGRIND_MAKE_MEM_UNDEFINED(low, high - low);
#endif
}

}  // namespace uvlet::inline UVLET_ABI
