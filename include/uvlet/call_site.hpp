#pragma once

#include <source_location>

namespace uvlet {

// Where a call stands in the source.
#if defined(__cpp_lib_source_location)
using CallSite = std::source_location;
#else
// For compilers without std::source_location (clang 14).
struct CallSite {
  static constexpr CallSite current(const char* file = __builtin_FILE(),
                                    unsigned line = __builtin_LINE(),
                                    const char* function = __builtin_FUNCTION()) noexcept {
    return {file, line, function};
  }
  constexpr const char* file_name() const noexcept { return file; }
  constexpr unsigned line() const noexcept { return line_number; }
  constexpr const char* function_name() const noexcept { return function; }
  const char* file;
  unsigned line_number;
  const char* function;
};
#endif

}  // namespace uvlet
