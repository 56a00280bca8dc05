#include <aio/child.hpp>
#include <aio/gather.hpp>
#include <aio/subprocess.hpp>

#include <csignal>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

namespace aio {

namespace detail {

struct ProcessState {
  std::shared_ptr<Child> child;
  std::optional<Stream> in;
  std::optional<Stream> out;
  std::optional<Stream> err;
};

namespace {

using Shared = std::shared_ptr<ProcessState>;

Shared start(const std::vector<std::string>& argv, const ProcessOptions& options) {
  auto state = std::make_shared<ProcessState>();
  Child::Ends ours;
  state->child = Child::start(argv, options, Child::Pipes::sockets, ours);
  if (ours[0] >= 0) state->in = Stream::from_fd(ours[0]);
  if (ours[1] >= 0) state->out = Stream::from_fd(ours[1]);
  if (ours[2] >= 0) state->err = Stream::from_fd(ours[2]);
  return state;
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
  co_await state->child->wait();
  co_return std::pair<std::string, std::string>(std::move(out), std::move(err));
}

Stream stream_of(const std::optional<Stream>& stream) {
  if (!stream) throw std::logic_error("this stream of the process is no PIPE");
  return *stream;
}

}  // namespace
}  // namespace detail

Process::Process(std::shared_ptr<detail::ProcessState> state) noexcept : state_(std::move(state)) {}

pid_t Process::pid() const { return state_->child->pid(); }
std::optional<int> Process::returncode() const { return state_->child->returncode(); }
task<int> Process::wait() { return state_->child->wait(); }
task<std::pair<std::string, std::string>> Process::communicate(std::string input) {
  return detail::talk(state_, std::move(input));
}

void Process::send_signal(int number) {
  const int error = state_->child->send_signal(number);
  if (error != 0) throw std::system_error(error, std::generic_category(), "send_signal");
}
void Process::terminate() { send_signal(SIGTERM); }
void Process::kill() { send_signal(SIGKILL); }

Stream Process::in() const { return detail::stream_of(state_->in); }
Stream Process::out() const { return detail::stream_of(state_->out); }
Stream Process::err() const { return detail::stream_of(state_->err); }

task<Process> create_subprocess_exec(std::vector<std::string> argv, ProcessOptions options) {
  co_return Process(detail::start(argv, options));
}

task<Process> create_subprocess_shell(std::string command, ProcessOptions options) {
  std::vector<std::string> argv{"/bin/sh", "-c"};
  argv.push_back(std::move(command));
  co_return Process(detail::start(argv, options));
}

}  // namespace aio
