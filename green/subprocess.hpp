#pragma once

// Child processes. Source: eventlet.green.subprocess.

#include <aio/subprocess.hpp>
#include <green/awaitlet.hpp>
#include <green/file.hpp>

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace green {

using aio::DEVNULL;
using aio::INHERIT;
using aio::PIPE;
using aio::STDOUT;

// What its streams are connected to: as in aio::ProcessOptions, which it becomes. An aggregate:
// `Popen(argv, {.in = PIPE})`. Not for an expression with `co_await`, where g++ 12 destroys such a
// temporary twice: there the Popen, or the options, need a name.
struct UVLET_API PopenOptions {
  int in = INHERIT;
  int out = INHERIT;
  int err = INHERIT;
  std::string cwd = {};                                        // "": the parent's
  std::optional<std::map<std::string, std::string>> env = {};  // nullopt: the parent's

  operator aio::ProcessOptions() const&;
  operator aio::ProcessOptions() && = delete;
};

// A program that ended with a returncode other than 0.
struct UVLET_API CalledProcessError : std::runtime_error {
  CalledProcessError(const std::vector<std::string>& argv, int code, std::string output_read = {});
  int returncode;
  std::string output;
};

namespace detail {
struct PopenState;
}

// A child process. Its exit is an event, whoever waits for it. Move-only. The destructor leaves the
// child alone, closes our ends of its pipes, and has it reaped when it exits.
class UVLET_API Popen {
 public:
  // Starts a program, looked up in the PATH that it gets. It has no descriptor above 2, no signal
  // blocked, and every signal as it is by default. Throws system_error with the errno if it cannot
  // be started, invalid_argument for an empty argv.
  explicit Popen(std::vector<std::string> argv);
  Popen(std::vector<std::string> argv, PopenOptions options);
  Popen(Popen&&) noexcept;
  Popen& operator=(Popen&&) noexcept;
  ~Popen();

  pid_t pid() const;
  // Its exit status, -N if signal N killed it, -1 if somebody else has reaped it; nullopt while it
  // runs. poll() asks the system, returncode() does not.
  std::optional<int> poll();
  std::optional<int> returncode() const;
  // Waits for its exit; gives its returncode. Throws system_error(ECHILD) in the child of a fork.
  // Blocks the green thread. Cancel point.
  int wait() { return detail::drive(wait_async()); }
  aio::task<int> wait_async();
  // Throws TimeoutExpired if it has not exited by then; it goes on.
  // Blocks the green thread. Cancel point.
  int wait(Duration timeout) { return detail::drive(wait_async(timeout)); }
  aio::task<int> wait_async(Duration timeout);

  // Writes `input` and closes in(), reads out() and err() to their ends, and waits for the exit.
  // What is no PIPE is "". Cut short, it can be called again, without input, and loses nothing.
  // Throws logic_error if input was given before. Blocks the green thread. Cancel point.
  std::pair<std::string, std::string> communicate(std::string_view input = {}) {
    return detail::drive(communicate_async(std::string(input)));
  }
  aio::task<std::pair<std::string, std::string>> communicate_async(std::string input = {});
  // Throws TimeoutExpired; the child goes on. Blocks the green thread. Cancel point.
  std::pair<std::string, std::string> communicate(std::string_view input, Duration timeout) {
    return detail::drive(communicate_async(std::string(input), timeout));
  }
  aio::task<std::pair<std::string, std::string>> communicate_async(std::string input,
                                                                   Duration timeout);

  // Do nothing once it is known to have exited.
  void send_signal(int number);
  void terminate();  // SIGTERM
  void kill();       // SIGKILL

  // Our ends of its PIPEs: to write to in(), to read from the others. logic_error where the option
  // was not PIPE.
  File& in() const;
  File& out() const;
  File& err() const;

 private:
  detail::PopenState& state() const;

  std::shared_ptr<detail::PopenState> state_;
};

// Runs a program and waits for it; gives its returncode. Cut short, it kills the program.
// Blocks the green thread. Cancel point.
UVLET_API int call(std::vector<std::string> argv, PopenOptions options = {});
UVLET_API aio::task<int> call_async(std::vector<std::string> argv,
                                    aio::ProcessOptions options = {});
// The same; throws CalledProcessError unless it is 0. Blocks the green thread. Cancel point.
UVLET_API void check_call(std::vector<std::string> argv, PopenOptions options = {});
UVLET_API aio::task<void> check_call_async(std::vector<std::string> argv,
                                           aio::ProcessOptions options = {});
// The same; gives what it wrote to its output. Blocks the green thread. Cancel point.
UVLET_API std::string check_output(std::vector<std::string> argv, PopenOptions options = {});
UVLET_API aio::task<std::string> check_output_async(std::vector<std::string> argv,
                                                    aio::ProcessOptions options = {});

}  // namespace green
