#include <green/os.hpp>

#include <green/file_state.hpp>
#include <green/message.hpp>

#include <aio/signal_receiver.hpp>
#include <aio/to_thread.hpp>
#include <uvlet/foreign_wait.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace green::os {
namespace {

using uvlet::Direction;

constexpr std::size_t read_max = 64 * 1024;  // of what is no file

[[noreturn]] void fail(int error, const char* call) {
  throw std::system_error(error, std::generic_category(), call);
}

int check(int result, const char* call) {
  if (result < 0) fail(errno, call);
  return result;
}

// --- what may have to be waited for --------------------------------------------------------------

// The description is non-blocking for one system call.
class NonBlocking {
 public:
  explicit NonBlocking(int fd) noexcept : fd_(fd), flags_(fcntl(fd, F_GETFL)) {
    if (blocks()) fcntl(fd_, F_SETFL, flags_ | O_NONBLOCK);
  }
  NonBlocking(const NonBlocking&) = delete;
  ~NonBlocking() {
    const int error = errno;
    if (blocks()) fcntl(fd_, F_SETFL, flags_);
    errno = error;
  }

 private:
  bool blocks() const noexcept { return flags_ >= 0 && !(flags_ & O_NONBLOCK); }

  int fd_;
  int flags_;
};

// Pipes and sockets can be told for one call not to block; for terminals and the like it takes the
// flag.
ssize_t transfer_now(int fd, Direction direction, char* data, std::size_t bytes) noexcept {
  const bool reads = direction == Direction::read;
  const iovec part{data, bytes};
  const ssize_t count =
      reads ? ::preadv2(fd, &part, 1, -1, RWF_NOWAIT) : ::pwritev2(fd, &part, 1, -1, RWF_NOWAIT);
  if (count >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) return count;
  const NonBlocking now(fd);
  return reads ? ::read(fd, data, bytes) : ::write(fd, data, bytes);
}

class Read final : public uvlet::Operation<Read, uvlet::ForeignCall> {
 public:
  Read(int fd, std::size_t max) noexcept
      : Operation(fd, Direction::read, std::nullopt), max_(max) {}
  Read(Read&&) = default;
  std::string result() {
    check("read");
    return std::move(data_);
  }

 private:
  bool attempt() noexcept override {
    const std::size_t wanted = std::min(max_, read_max);
    char* const buffer = uvlet::scratch(wanted);
    if (!buffer) return failed(ENOMEM);
    const ssize_t got = transfer_now(fd(), Direction::read, buffer, wanted);
    if (got < 0) return failed(errno);
    try {
      data_.assign(buffer, static_cast<std::size_t>(got));
    } catch (...) {
      error_number = ENOMEM;
    }
    return true;
  }

  std::size_t max_;
  std::string data_;
};

class Write final : public uvlet::Operation<Write, uvlet::ForeignCall> {
 public:
  Write(int fd, std::string_view data) noexcept
      : Operation(fd, Direction::write, std::nullopt), data_(data) {}
  Write(Write&&) = default;
  std::size_t result() const {
    check("write");
    return written_;
  }

 private:
  bool attempt() noexcept override {
    const ssize_t put =
        transfer_now(fd(), Direction::write, const_cast<char*>(data_.data()), data_.size());
    if (put < 0) return failed(errno);
    written_ = static_cast<std::size_t>(put);
    return true;
  }

  std::string_view data_;
  std::size_t written_ = 0;
};

// --- files of a file system ----------------------------------------------------------------------

struct stat status(int fd, const char* call) {
  struct stat found {};
  check(fstat(fd, &found), call);
  return found;
}

// Always ready, however long it takes.
bool is_file(const struct stat& found) noexcept {
  return S_ISREG(found.st_mode) || S_ISBLK(found.st_mode) || S_ISDIR(found.st_mode);
}

// The thread has a number of its own, which outlives an interrupted wait.
OwnedFd copy_of(int fd, const char* call) {
  return OwnedFd(check(fcntl(fd, F_DUPFD_CLOEXEC, 0), call));
}

}  // namespace

aio::task<std::string> read_async(int fd, std::size_t n) {
  const struct stat found = status(fd, "read");
  if (!is_file(found)) {
    Read reading(fd, n);
    co_return co_await std::move(reading);
  }
  const std::size_t wanted =
      std::min(n, std::max(read_max, static_cast<std::size_t>(found.st_size)));
  auto call = [file = copy_of(fd, "read"), wanted] {
    std::string data(wanted, '\0');
    const ssize_t got = ::read(file.get(), data.data(), wanted);
    if (got < 0) fail(errno, "read");
    data.resize(static_cast<std::size_t>(got));
    return data;
  };
  co_return co_await aio::to_thread(std::move(call));
}

aio::task<std::size_t> write_async(int fd, std::string_view data) {
  if (!is_file(status(fd, "write"))) {
    Write writing(fd, data);
    co_return co_await std::move(writing);
  }
  auto call = [file = copy_of(fd, "write"), copy = std::string(data)] {
    const ssize_t put = ::write(file.get(), copy.data(), copy.size());
    if (put < 0) fail(errno, "write");
    return static_cast<std::size_t>(put);
  };
  co_return co_await aio::to_thread(std::move(call));
}

std::string read(int fd, std::size_t n) { return green::detail::drive(read_async(fd, n)); }

std::size_t write(int fd, std::string_view data) {
  return green::detail::drive(write_async(fd, data));
}

std::pair<int, int> pipe() {
  int ends[2];
  check(pipe2(ends, O_CLOEXEC), "pipe");
  return {ends[0], ends[1]};
}

File fdopen(int fd) {
  using green::detail::FileKind;
  const struct stat found = status(fd, "fdopen");
  const FileKind kind = S_ISSOCK(found.st_mode) ? FileKind::socket
                        : is_file(found)        ? FileKind::regular
                                                : FileKind::stream;
  if (kind != FileKind::regular)
    check(fcntl(fd, F_SETFL, check(fcntl(fd, F_GETFL), "fdopen") | O_NONBLOCK), "fdopen");
  check(fcntl(fd, F_SETFD, FD_CLOEXEC), "fdopen");
  OwnedFd owned(fd);
  auto descriptor = std::make_shared<green::detail::SharedDescriptor>(fd, false);
  owned.release();
  return File(std::make_shared<green::detail::FileState>(std::move(descriptor), kind));
}

// --- processes -----------------------------------------------------------------------------------

namespace {

// The state of a process, or a group, as waitpid(2) finds it.
struct Child {
  // True: it changed, or there is no such child.
  bool look() noexcept {
    do found = ::waitpid(pid, &status, options | WNOHANG);
    while (found < 0 && errno == EINTR);
    error = found < 0 ? errno : 0;
    return found != 0;
  }
  std::pair<pid_t, int> result() const {
    if (error != 0) fail(error, "waitpid");
    return {found, found == 0 ? 0 : status};
  }

  pid_t pid;
  int options;
  pid_t found = 0;
  int status = 0;
  int error = 0;
};

// A process is readable when it has ended.
class Exit final : public uvlet::Operation<Exit, uvlet::IoWait> {
 public:
  Exit(uvlet::Descriptor* process, Child& child) noexcept
      : Operation(process, Direction::read, std::nullopt), child_(child) {}
  Exit(Exit&&) = default;
  void result() const { check("waitpid"); }
  const char* describe() const noexcept override { return "a process to end"; }

 private:
  bool attempt() noexcept override { return child_.look(); }

  Child& child_;
};

}  // namespace

aio::task<std::pair<pid_t, int>> waitpid_async(pid_t pid, int options) {
  Child child{pid, options};
  if (child.look() || (options & WNOHANG)) co_return child.result();
  if (pid > 0 && !(options & (WUNTRACED | WCONTINUED))) {
    OwnedFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (process) {
      uvlet::Descriptor descriptor(process.get(), false);
      process.release();
      Exit exit(&descriptor, child);
      co_await std::move(exit);
      co_return child.result();
    }
  }
  aio::SignalReceiver ends(SIGCHLD);
  while (!child.look()) co_await ends.receive();
  co_return child.result();
}

std::pair<pid_t, int> waitpid(pid_t pid, int options) {
  return green::detail::drive(waitpid_async(pid, options));
}

}  // namespace green::os
