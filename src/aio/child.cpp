#include <aio/child.hpp>
#include <uvlet/c_string.hpp>

#include "../uvlet/threads.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace aio::detail {
namespace {

void check(int error, const std::string& what) {
  if (error != 0) throw std::system_error(error, std::generic_category(), what);
}

// Descriptors that are closed with this, but for those that were taken.
class Open {
 public:
  Open() = default;
  Open(const Open&) = delete;
  ~Open() {
    for (const int fd : fds_) ::close(fd);
  }
  int add(int fd, const char* call) {
    check(fd < 0 ? errno : 0, call);
    fds_.push_back(fd);
    return fd;
  }
  void take(int fd) noexcept { std::erase(fds_, fd); }

 private:
  std::vector<int> fds_;
};

// What posix_spawn does in the child before the program runs.
class Actions {
 public:
  Actions() { check(posix_spawn_file_actions_init(&actions_), "posix_spawn"); }
  Actions(const Actions&) = delete;
  ~Actions() { posix_spawn_file_actions_destroy(&actions_); }
  posix_spawn_file_actions_t* get() noexcept { return &actions_; }

  void duplicate(int from, int to) {
    check(posix_spawn_file_actions_adddup2(&actions_, from, to), "posix_spawn");
  }
  void open_null(int to) {
    check(posix_spawn_file_actions_addopen(&actions_, to, "/dev/null", O_RDWR, 0), "posix_spawn");
  }
  void close_from(int first) {
    check(posix_spawn_file_actions_addclosefrom_np(&actions_, first), "posix_spawn");
  }
  void change_directory(const std::string& to) {
    check(posix_spawn_file_actions_addchdir_np(&actions_,
                                               uvlet::c_string(to, "the cwd of a process")),
          "posix_spawn");
  }

 private:
  posix_spawn_file_actions_t actions_;
};

// Connects the child's three descriptors.
class Streams {
 public:
  Streams(Child::Pipes made_of, Child::Ends& ours) : made_of_(made_of), ours_(ours) {
    ours_.fill(-1);
  }

  void connect(int child_fd, int option) {
    if (option == DEVNULL) {
      actions.open_null(child_fd);
    } else if (option == STDOUT) {
      if (child_fd != STDERR_FILENO) throw std::invalid_argument("STDOUT is for `err` alone");
      actions.duplicate(STDOUT_FILENO, child_fd);
    } else if (option == PIPE) {
      actions.duplicate(make_pipe(child_fd), child_fd);
    } else if (option == INHERIT) {
      // Onto itself: then it is kept by exec.
      if (fcntl(child_fd, F_GETFD) >= 0) actions.duplicate(blocking(child_fd), child_fd);
    } else if (option >= 0) {
      actions.duplicate(above(blocking(option)), child_fd);
    } else {
      throw std::invalid_argument("no stream of a process: " + std::to_string(option));
    }
  }
  // The caller's from now on.
  void give_ours() noexcept {
    for (const int fd : ours_)
      if (fd >= 0) open_.take(fd);
  }

  Actions actions;

 private:
  int make_pipe(int child_fd) {
    const bool sockets = made_of_ == Child::Pipes::sockets;
    const bool child_reads = child_fd == STDIN_FILENO;
    int ends[2];
    check((sockets ? ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
                   : ::pipe2(ends, O_CLOEXEC)) == 0
              ? 0
              : errno,
          "pipe");
    open_.add(ends[0], "pipe");
    open_.add(ends[1], "pipe");
    const int ours = ends[child_reads ? 1 : 0];
    check(fcntl(ours, F_SETFL, fcntl(ours, F_GETFL) | O_NONBLOCK) < 0 ? errno : 0, "pipe");
    ours_[static_cast<std::size_t>(child_fd)] = ours;
    return above(ends[child_reads ? 0 : 1]);
  }
  // A program takes its streams to block. A pipe's end that does not, because it is ours too, is
  // opened once more for it; a socket cannot be, nor a pipe of another user or without /proc. The
  // flag is not cleared in what we share: our next call would block the hub.
  int blocking(int fd) {
    const int flags = fcntl(fd, F_GETFL);
    struct stat found {};
    if (flags < 0 || !(flags & O_NONBLOCK) || fstat(fd, &found) != 0 || !S_ISFIFO(found.st_mode))
      return fd;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int access = flags & O_ACCMODE;
    const int again = ::open(path.c_str(), access | O_NONBLOCK | O_CLOEXEC);  // waits for nobody
    if (again < 0) return fd;
    open_.add(again, "a pipe for a process");
    check(fcntl(again, F_SETFL, flags & ~O_NONBLOCK) < 0 ? errno : 0, "a pipe for a process");
    return above(again);
  }
  // Where the child's own three, as they are set, do not overwrite it.
  int above(int fd) {
    if (fd > STDERR_FILENO) return fd;
    return open_.add(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), "a descriptor for a process");
  }

  Child::Pipes made_of_;
  Child::Ends& ours_;
  Open open_;
};

// Every signal as it is by default, and none blocked.
class Attributes {
 public:
  Attributes() {
    check(posix_spawnattr_init(&attributes_), "posix_spawn");
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  Attributes(const Attributes&) = delete;
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  const posix_spawnattr_t* get() const noexcept { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

std::vector<char*> pointers(const std::vector<std::string>& texts, const char* what) {
  std::vector<char*> all;
  for (const std::string& text : texts)
    all.push_back(const_cast<char*>(uvlet::c_string(text, what)));
  all.push_back(nullptr);
  return all;
}

// "NAME=value" of each.
std::vector<std::string> assignments(const std::map<std::string, std::string>& environment) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : environment) {
    if (name.empty() || name.find('=') != std::string::npos)
      throw std::invalid_argument(
          "the name of an environment variable is empty or has a '=' in it: '" + name + "'");
    texts.push_back(name + "=" + value);
  }
  return texts;
}

constexpr const char* default_path = "/bin:/usr/bin";  // as in execvp(3)

// The PATH that the program will have.
std::string search_path(const ProcessOptions& options) {
  if (!options.env) {
    const char* const path = ::getenv("PATH");
    return path ? path : default_path;
  }
  const auto found = options.env->find("PATH");
  return found == options.env->end() ? default_path : found->second;
}

// The files that a program's name may mean, in the order in which they are tried. A relative one is
// taken from the child's directory.
std::vector<std::string> candidates(const std::string& program, const ProcessOptions& options) {
  if (program.empty() || program.find('/') != std::string::npos) return {program};
  std::vector<std::string> files;
  const std::string path = search_path(options);
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string folder = path.substr(begin, end - begin);
    const std::string file = folder.empty() ? "./" + program : folder + "/" + program;
    const bool absent = file.front() == '/' && ::access(file.c_str(), F_OK) != 0 && errno == ENOENT;
    if (!absent) files.push_back(file);
    begin = end + 1;
  }
  return files;
}

// Runs the first of them that there is. Gives 0, or the errno as execvp(3) does.
int spawn_one_of(const std::vector<std::string>& files, pid_t& pid, Streams& streams,
                 char* const* arguments, char* const* environment) {
  const Attributes attributes;
  int result = ENOENT;
  for (const std::string& file : files) {
    const int error = posix_spawn(&pid, file.c_str(), streams.actions.get(), attributes.get(),
                                  arguments, environment);
    if (error != ENOENT && error != ENOTDIR && error != EACCES) return error;
    if (error == EACCES || files.size() == 1) result = error;
  }
  return result;
}

// The errno of a chdir to it; 0 if that would go well.
int directory_error(const std::string& directory) {
  const std::string inside = directory + "/.";
  return ::faccessat(AT_FDCWD, inside.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

pid_t spawn(const std::vector<std::string>& argv, const ProcessOptions& options, Streams& streams) {
  std::vector<std::string> environment;
  if (options.env) environment = assignments(*options.env);
  const std::vector<char*> arguments = pointers(argv, "an argument of a process");
  const std::vector<char*> variables = pointers(environment, "an environment variable");
  pid_t pid = -1;
  const int error = spawn_one_of(candidates(argv[0], options), pid, streams, arguments.data(),
                                 options.env ? variables.data() : environ);
  if (error != 0 && !options.cwd.empty())
    check(directory_error(options.cwd), "start " + argv[0] + " in " + options.cwd);
  check(error, "start " + argv[0]);
  return pid;
}

}  // namespace

std::shared_ptr<Child> Child::start(const std::vector<std::string>& argv,
                                    const ProcessOptions& options, Pipes made_of, Ends& ours) {
  if (argv.empty()) throw std::invalid_argument("a process with an empty argv");
  uvlet::Hub& hub = uvlet::Hub::get();
  Streams streams(made_of, ours);
  streams.connect(STDIN_FILENO, options.in);
  streams.connect(STDOUT_FILENO, options.out);
  streams.connect(STDERR_FILENO, options.err);
  streams.actions.close_from(STDERR_FILENO + 1);
  if (!options.cwd.empty()) streams.actions.change_directory(options.cwd);
  const pid_t pid = spawn(argv, options, streams);
  Open held;
  try {
    const int pidfd = held.add(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), "pidfd_open");
    auto child = std::make_shared<Child>(pid, pidfd);
    held.take(pidfd);
    child->pidfd_.wait(*child, uvlet::Direction::read);
    child->running_ = child;
    hub.observe(*child);  // after the watch: it hears later than that of the hub's end
    streams.give_ours();
    return child;
  } catch (...) {  // nobody would know when it exits
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    throw;
  }
}

Child::Child(pid_t pid, int pidfd)
    : pidfd_(pidfd, false), pid_(pid), born_after_(uvlet::forks.load()) {}

Child::~Child() = default;

bool Child::attempt() noexcept {
  int status = 0;
  const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
  if (reaped == 0 || (reaped < 0 && errno == EINTR)) return false;
  if (reaped < 0)
    returncode_ = -1;  // somebody else has reaped it
  else
    returncode_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

void Child::complete() noexcept {
  const std::shared_ptr<Child> self = std::move(running_);
  unlink();
  pidfd_.close();
  exited_.notify_all();
}

// The loop is gone: somebody else has to reap it.
void Child::hub_ended() noexcept {
  const std::shared_ptr<Child> self = std::move(running_);
  pidfd_.withdraw(uvlet::Direction::read);
  try {
    std::thread([pid = pid_] {
      ::waitpid(pid, nullptr, 0);
      uvlet::own_threads_changed(-1);
    }).detach();
    uvlet::own_threads_changed(1);
  } catch (...) {  // no thread for it: it is reaped when this process ends
  }
}

std::optional<int> Child::poll() noexcept {
  if (running_ && born_after_ == uvlet::forks.load()) pidfd_.retry(uvlet::Direction::read);
  return returncode_;
}

task<int> Child::wait() {
  const std::shared_ptr<Child> self = shared_from_this();
  while (!returncode_) {
    if (born_after_ != uvlet::forks.load())
      throw std::system_error(ECHILD, std::generic_category(), "wait for a process");
    co_await exited_.wait();
  }
  co_return *returncode_;
}

int Child::send_signal(int number) noexcept {
  // Until it is reaped the number is the child's, even if that is dead.
  if (returncode_) return ESRCH;
  return ::kill(pid_, number) == 0 ? 0 : errno;
}

}  // namespace aio::detail
