#include <green/subprocess.hpp>

#include <aio/child.hpp>
#include <aio/gather.hpp>
#include <aio/wait_for.hpp>
#include <green/os.hpp>
#include <green/timeout.hpp>
#include <uvlet/exceptions.hpp>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <unistd.h>

namespace green {
namespace detail {

struct PopenState {
  std::shared_ptr<aio::detail::Child> child;
  std::optional<File> in;
  std::optional<File> out;
  std::optional<File> err;

  // What communicate() has done so far.
  bool talking = false;
  std::string input;
  std::size_t fed = 0;  // of input
  std::string output;
  std::string errors;
};

namespace {

constexpr std::size_t chunk_bytes = 32 * 1024;  // a File takes it without waiting

using Shared = std::shared_ptr<PopenState>;
using Texts = std::pair<std::string, std::string>;

Shared open_process(const std::vector<std::string>& argv, const aio::ProcessOptions& options) {
  using aio::detail::Child;
  auto state = std::make_shared<PopenState>();
  Child::Ends ours;
  state->child = Child::start(argv, options, Child::Pipes::pipes, ours);
  if (ours[0] >= 0) state->in = os::fdopen(ours[0]);
  if (ours[1] >= 0) state->out = os::fdopen(ours[1]);
  if (ours[2] >= 0) state->err = os::fdopen(ours[2]);
  return state;
}

// A child that does not read all of its input has done nothing wrong.
aio::task<void> feed(Shared state) {
  if (!state->in || state->in->closed()) co_return;
  try {
    for (;;) {
      co_await state->in->flush_async();
      const auto part = std::string_view(state->input).substr(state->fed, chunk_bytes);
      if (part.empty()) break;
      state->fed += part.size();
      co_await state->in->write_async(part);
    }
  } catch (const std::system_error& error) {
    if (error.code().value() != EPIPE) throw;
  }
  try {
    co_await state->in->close_async();
  } catch (const std::system_error& error) {  // closed all the same
    if (error.code().value() != EPIPE) throw;
  }
}

aio::task<void> read_all(Shared state, std::optional<File> PopenState::*file,
                         std::string PopenState::*text) {
  std::optional<File>& from = (*state).*file;
  if (!from || from->closed()) co_return;
  (*state).*text = co_await from->read_async();
  co_await from->close_async();
}

aio::task<Texts> talk(Shared state, std::string input) {
  if (std::exchange(state->talking, true)) {
    if (!input.empty())
      throw std::logic_error("communicate: input after an earlier call of it was cut short");
  } else {
    state->input = std::move(input);
  }
  auto all = aio::gather(feed(state), read_all(state, &PopenState::out, &PopenState::output),
                         read_all(state, &PopenState::err, &PopenState::errors));
  co_await std::move(all);
  co_await state->child->wait();
  state->talking = false;
  state->input.clear();
  state->fed = 0;
  co_return Texts(std::exchange(state->output, {}), std::exchange(state->errors, {}));
}

// The outer world's timeouts pass.
template <class T>
aio::task<T> within(aio::task<T> work, Duration timeout) {
  try {
    co_return co_await aio::wait_for(std::move(work), timeout);
  } catch (const aio::TimeoutError&) {
  }
  throw TimeoutExpired(timeout.seconds());
}

File& file_of(std::optional<File>& file) {
  if (!file) throw std::logic_error("this stream of the process is no PIPE");
  return *file;
}

std::string complaint(const std::vector<std::string>& argv, int code) {
  std::string text = "'";
  for (const std::string& word : argv) text += (text.size() > 1 ? " " : "") + word;
  return text + (code < 0 ? "' was killed by signal " + std::to_string(-code)
                          : "' ended with status " + std::to_string(code));
}

PopenOptions plain(aio::ProcessOptions options) {
  return {.in = options.in,
          .out = options.out,
          .err = options.err,
          .cwd = std::move(options.cwd),
          .env = std::move(options.env)};
}

// Kills a program that nobody will know of.
class KillUnlessDone {
 public:
  explicit KillUnlessDone(Popen& process) noexcept : process_(process) {}
  KillUnlessDone(const KillUnlessDone&) = delete;
  ~KillUnlessDone() {
    if (!process_.returncode()) ::kill(process_.pid(), SIGKILL);
  }

 private:
  Popen& process_;
};

}  // namespace
}  // namespace detail

CalledProcessError::CalledProcessError(const std::vector<std::string>& argv, int code,
                                       std::string output_read)
    : std::runtime_error(detail::complaint(argv, code)),
      returncode(code),
      output(std::move(output_read)) {}

PopenOptions::operator aio::ProcessOptions() const& {
  aio::ProcessOptions options;
  options.in = in;
  options.out = out;
  options.err = err;
  options.cwd = cwd;
  options.env = env;
  return options;
}

Popen::Popen(std::vector<std::string> argv) : Popen(std::move(argv), PopenOptions()) {}
Popen::Popen(std::vector<std::string> argv, PopenOptions options)
    : state_(detail::open_process(argv, options)) {}
Popen::Popen(Popen&&) noexcept = default;
Popen& Popen::operator=(Popen&&) noexcept = default;
Popen::~Popen() = default;

detail::PopenState& Popen::state() const {
  if (!state_) throw std::logic_error("a Popen that was moved from");
  return *state_;
}

pid_t Popen::pid() const { return state().child->pid(); }
std::optional<int> Popen::poll() { return state().child->poll(); }
std::optional<int> Popen::returncode() const { return state().child->returncode(); }
aio::task<int> Popen::wait_async() { return state().child->wait(); }
aio::task<int> Popen::wait_async(Duration timeout) { return detail::within(wait_async(), timeout); }

aio::task<std::pair<std::string, std::string>> Popen::communicate_async(std::string input) {
  state();
  return detail::talk(state_, std::move(input));
}
aio::task<std::pair<std::string, std::string>> Popen::communicate_async(std::string input,
                                                                        Duration timeout) {
  return detail::within(communicate_async(std::move(input)), timeout);
}

void Popen::send_signal(int number) {
  const int error = state().child->send_signal(number);
  if (error != 0 && error != ESRCH)
    throw std::system_error(error, std::generic_category(), "send_signal");
}
void Popen::terminate() { send_signal(SIGTERM); }
void Popen::kill() { send_signal(SIGKILL); }

File& Popen::in() const { return detail::file_of(state().in); }
File& Popen::out() const { return detail::file_of(state().out); }
File& Popen::err() const { return detail::file_of(state().err); }

aio::task<int> call_async(std::vector<std::string> argv, aio::ProcessOptions options) {
  Popen process(std::move(argv), detail::plain(std::move(options)));
  const detail::KillUnlessDone guard(process);
  co_return co_await process.wait_async();
}

aio::task<void> check_call_async(std::vector<std::string> argv, aio::ProcessOptions options) {
  const int code = co_await call_async(argv, std::move(options));
  if (code != 0) throw CalledProcessError(argv, code);
}

aio::task<std::string> check_output_async(std::vector<std::string> argv,
                                          aio::ProcessOptions options) {
  options.out = PIPE;
  Popen process(argv, detail::plain(std::move(options)));
  const detail::KillUnlessDone guard(process);
  auto [output, errors] = co_await process.communicate_async();
  if (process.returncode() != 0)
    throw CalledProcessError(argv, *process.returncode(), std::move(output));
  co_return std::move(output);
}

int call(std::vector<std::string> argv, PopenOptions options) {
  return detail::drive(call_async(std::move(argv), options));
}
void check_call(std::vector<std::string> argv, PopenOptions options) {
  detail::drive(check_call_async(std::move(argv), options));
}
std::string check_output(std::vector<std::string> argv, PopenOptions options) {
  return detail::drive(check_output_async(std::move(argv), options));
}

}  // namespace green
