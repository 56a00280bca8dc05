#pragma once

// Include in one file of a test program: syscall(2) of that program is this one, which counts what
// io_uring does, and lets it take fewer calls than it is asked to, or none.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace fake {

inline std::atomic<int> rings = 0;            // made
inline std::atomic<int> enters = 0;           // calls of io_uring_enter
inline std::atomic<long> calls_taken = 1000;  // at most, by one io_uring_enter; -1: it fails

}  // namespace fake

extern "C" long syscall(long number, ...) noexcept {
  using Syscall = long (*)(long, ...);
  static const auto real = reinterpret_cast<Syscall>(dlsym(RTLD_NEXT, "syscall"));
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_io_uring_enter) {
    ++fake::enters;
    const long most = fake::calls_taken;
    if (most < 0) {
      errno = EPERM;
      return -1;
    }
    a[1] = std::min(a[1], most);  // to submit
  }
  const long result = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (number == SYS_io_uring_setup && result >= 0) ++fake::rings;
  return result;
}
