#pragma once

#include <source_location>

namespace uvlet {

// Where a call stands in the source. Not std::source_location itself, which clang 14 has not: a
// program and the library may come from different compilers. It converts from one.
class CallSite {
 public:
  static constexpr CallSite current(const char* file = __builtin_FILE(),
                                    unsigned line = __builtin_LINE(),
                                    const char* function = __builtin_FUNCTION()) noexcept {
    return {file, line, function};
  }
#if defined(__cpp_lib_source_location)
  constexpr CallSite(const std::source_location& location) noexcept
      : CallSite(location.file_name(), location.line(), location.function_name()) {}
#endif

  constexpr const char* file_name() const noexcept { return file_; }
  constexpr unsigned line() const noexcept { return line_; }
  constexpr const char* function_name() const noexcept { return function_; }

 private:
  constexpr CallSite(const char* file, unsigned line, const char* function) noexcept
      : file_(file), line_(line), function_(function) {}

  const char* file_;
  unsigned line_;
  const char* function_;
};

}  // namespace uvlet
