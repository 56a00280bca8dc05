#pragma once

// Include in one file of a test program: accept4(2) of that program is this one, which fails with
// fake::accept_errors first, one a call, and takes the connection that was to be accepted with it.

#include <cerrno>
#include <dlfcn.h>
#include <mutex>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace fake {

inline std::mutex accept_mutex;
inline std::vector<int> accept_errors;

inline int next_accept_error() {
  const std::lock_guard lock(accept_mutex);
  if (accept_errors.empty()) return 0;
  const int error = accept_errors.front();
  accept_errors.erase(accept_errors.begin());
  return error;
}

}  // namespace fake

extern "C" int accept4(int listener, sockaddr* peer, socklen_t* length, int flags) {
  static const auto real = reinterpret_cast<decltype(&::accept4)>(dlsym(RTLD_NEXT, "accept4"));
  const int fd = real(listener, peer, length, flags);
  if (fd < 0) return fd;
  const int error = fake::next_accept_error();
  if (error == 0) return fd;
  ::close(fd);
  errno = error;
  return -1;
}
