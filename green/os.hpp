#pragma once

// System calls on plain descriptors and processes that block the green thread, never the hub. The
// descriptors may be blocking ones, and shared with others: their flags stay as they are. Files of
// a file system are read and written on threads of libuv's pool, everything else when it is ready.
// Failures are system_error with the errno. Source: eventlet.green.os.

#include <green/awaitlet.hpp>
#include <green/file.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>

namespace green::os {

// What there is, up to `n` bytes; "" at the end. Throws logic_error for a second simultaneous
// reader. An interrupt leaves it unknown whether a file was read, and loses nothing elsewhere.
// Blocks the green thread. Cancel point.
UVLET_API std::string read(int fd, std::size_t n);
UVLET_API aio::task<std::string> read_async(int fd, std::size_t n);

// As much as fits at once; gives the number of bytes. Throws logic_error for a second simultaneous
// writer. Blocks the green thread. Cancel point.
UVLET_API std::size_t write(int fd, std::string_view data);
UVLET_API aio::task<std::size_t> write_async(int fd, std::string_view data);

// A pipe's end to read from, and its end to write to: blocking, closed on exec, the caller's.
UVLET_API std::pair<int, int> pipe();

// Takes over a descriptor, and makes it non-blocking unless it is that of a file.
UVLET_API File fdopen(int fd);

// The process whose state changed, and its status as waitpid(2) gives it; {0, 0} with WNOHANG while
// there is none. The end of one process is an event of its own; a whole group, any child (-1), and
// stops are looked for whenever SIGCHLD comes. -1 takes the children of others too, a Popen's.
// Blocks the green thread. Cancel point.
UVLET_API std::pair<pid_t, int> waitpid(pid_t pid, int options = 0);
UVLET_API aio::task<std::pair<pid_t, int>> waitpid_async(pid_t pid, int options = 0);

}  // namespace green::os
