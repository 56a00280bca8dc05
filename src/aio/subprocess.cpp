#include <aio/gather.hpp>
#include <aio/subprocess.hpp>
#include <aio/uv_request.hpp>
#include <uvlet/signal.hpp>

#include <csignal>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace aio {

namespace detail {

struct ProcessState {
  pid_t pid = 0;
  std::optional<int> returncode;
  std::optional<Stream> in;
  std::optional<Stream> out;
  std::optional<Stream> err;
  uvlet::Signal exited{"a process to exit"};
};

namespace {

using Shared = std::shared_ptr<ProcessState>;

// libuv's handle, which lives until libuv has closed it.
struct ProcessHandle {
  uv_process_t handle{};
  Shared state;

  static void exited(uv_process_t* process, std::int64_t status, int signal) {
    auto* self = static_cast<ProcessHandle*>(process->data);
    self->state->returncode = signal != 0 ? -signal : static_cast<int>(status);
    self->state->exited.notify_all();
    self->close();
  }
  void close() noexcept {
    uv_close(reinterpret_cast<uv_handle_t*>(&handle),
             [](uv_handle_t* closed) { delete static_cast<ProcessHandle*>(closed->data); });
  }
};

// The child's end of what it is connected to, closed with this.
class ChildEnds {
 public:
  ChildEnds() = default;
  ChildEnds(const ChildEnds&) = delete;
  ~ChildEnds() {
    for (const int fd : to_close_) ::close(fd);
  }
  uv_stdio_container_t* containers() noexcept { return stdio_; }

  void connect(int child_fd, int option, std::optional<Stream>& ours) {
    uv_stdio_container_t& end = stdio_[child_fd];
    end.flags = UV_INHERIT_FD;
    end.data.fd = option;
    if (option == INHERIT) {
      end.data.fd = child_fd;
    } else if (option == DEVNULL) {
      end.flags = UV_IGNORE;  // libuv opens /dev/null
    } else if (option == STDOUT) {
      if (child_fd != STDERR_FILENO) throw std::invalid_argument("STDOUT is for `err` alone");
      end = stdio_[STDOUT_FILENO];
    } else if (option == PIPE) {
      int ends[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
      to_close_.push_back(ends[1]);
      end.data.fd = ends[1];
      set_non_blocking(ends[0]);
      ours = Stream::from_fd(ends[0]);
    } else if (option < 0) {
      throw std::invalid_argument("no stream of a process: " + std::to_string(option));
    }
  }

 private:
  static void set_non_blocking(int fd) {
    const int on = 1;
    ::ioctl(fd, FIONBIO, &on);
  }

  uv_stdio_container_t stdio_[3] = {};
  std::vector<int> to_close_;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

Shared start(std::vector<std::string>& argv, const ProcessOptions& options) {
  auto state = std::make_shared<ProcessState>();
  ChildEnds ends;
  ends.connect(STDIN_FILENO, options.in, state->in);
  ends.connect(STDOUT_FILENO, options.out, state->out);
  ends.connect(STDERR_FILENO, options.err, state->err);
  std::vector<std::string> environment;
  if (options.env)
    for (const auto& [name, value] : *options.env) environment.push_back(name + "=" + value);
  std::vector<char*> arguments = pointers(argv);
  std::vector<char*> variables = pointers(environment);

  uv_process_options_t how{};
  how.exit_cb = &ProcessHandle::exited;
  how.file = arguments[0];
  how.args = arguments.data();
  how.env = options.env ? variables.data() : nullptr;
  how.cwd = options.cwd.empty() ? nullptr : options.cwd.c_str();
  how.stdio = ends.containers();
  how.stdio_count = 3;
  auto* process = new ProcessHandle;
  process->state = state;
  process->handle.data = process;
  const int rc = uv_spawn(uvlet::Hub::get().loop(), &process->handle, &how);
  if (rc < 0) {
    process->close();
    throw std::system_error(-rc, std::generic_category(), "start " + argv[0]);
  }
  state->pid = process->handle.pid;
  return state;
}

task<int> exit_of(Shared state) {
  while (!state->returncode) co_await state->exited.wait();
  co_return *state->returncode;
}

// A child that does not read all of its input has done nothing wrong.
task<void> feed(std::optional<Stream> to, std::string input) {
  if (!to) co_return;
  try {
    to->write(input);
    to->write_eof();
    to->close();
    co_await to->wait_closed();
  } catch (const std::system_error& error) {
    if (error.code().value() != EPIPE && error.code().value() != ECONNRESET) throw;
  }
}

task<std::string> read_all(std::optional<Stream> from) {
  std::string all;
  while (from) {
    const std::string data = co_await from->read(SIZE_MAX);
    if (data.empty()) break;
    all += data;
  }
  co_return all;
}

task<std::pair<std::string, std::string>> talk(Shared state, std::string input) {
  auto all = gather(feed(state->in, std::move(input)), read_all(state->out), read_all(state->err));
  auto [fed, out, err] = co_await std::move(all);
  co_await exit_of(state);
  co_return std::pair<std::string, std::string>(std::move(out), std::move(err));
}

Stream stream_of(const std::optional<Stream>& stream) {
  if (!stream) throw std::logic_error("this stream of the process is no PIPE");
  return *stream;
}

}  // namespace
}  // namespace detail

Process::Process(std::shared_ptr<detail::ProcessState> state) noexcept : state_(std::move(state)) {}

pid_t Process::pid() const { return state_->pid; }
std::optional<int> Process::returncode() const { return state_->returncode; }
task<int> Process::wait() { return detail::exit_of(state_); }
task<std::pair<std::string, std::string>> Process::communicate(std::string input) {
  return detail::talk(state_, std::move(input));
}

void Process::send_signal(int number) {
  // Until libuv has reaped it the number is the child's, even if that is dead.
  const int error = state_->returncode ? ESRCH : ::kill(state_->pid, number) != 0 ? errno : 0;
  if (error != 0) throw std::system_error(error, std::generic_category(), "send_signal");
}
void Process::terminate() { send_signal(SIGTERM); }
void Process::kill() { send_signal(SIGKILL); }

Stream Process::in() const { return detail::stream_of(state_->in); }
Stream Process::out() const { return detail::stream_of(state_->out); }
Stream Process::err() const { return detail::stream_of(state_->err); }

task<Process> create_subprocess_exec(std::vector<std::string> argv, ProcessOptions options) {
  if (argv.empty()) throw std::invalid_argument("create_subprocess_exec: an empty argv");
  co_return Process(detail::start(argv, options));
}

task<Process> create_subprocess_shell(std::string command, ProcessOptions options) {
  std::vector<std::string> argv{"/bin/sh", "-c"};
  argv.push_back(std::move(command));
  co_return Process(detail::start(argv, options));
}

}  // namespace aio
