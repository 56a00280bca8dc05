#pragma once

#include <aio/stream.hpp>
#include <aio/task.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace aio {

// What a stream of a child is connected to; or the number of a descriptor. A pipe's end that does
// not block here, given or inherited, blocks for the child all the same. A socket that does not
// block here does not there either: clear its O_NONBLOCK first if only the child uses it from then
// on.
enum : int {
  PIPE = -1,     // a Stream of its Process: a socket; a File of green::Popen: a pipe
  STDOUT = -2,   // for `err`: where its output goes
  DEVNULL = -3,  // nothing
  INHERIT = -4,  // the parent's
};

struct UVLET_API ProcessOptions {
  ProcessOptions() {}
  int in = INHERIT;
  int out = INHERIT;
  int err = INHERIT;
  std::string cwd;                                        // "": the parent's
  std::optional<std::map<std::string, std::string>> env;  // nullopt: the parent's
};

namespace detail {
struct ProcessState;
}

// A child process. A shared handle; dropping the last one leaves the child alone, and reaps it when
// it exits. Source: asyncio.subprocess.Process.
class UVLET_API Process {
 public:
  pid_t pid() const;
  // Its exit status, or minus the signal that killed it; nullopt while it runs.
  std::optional<int> returncode() const;
  // Waits for its exit; gives its returncode.
  task<int> wait();
  // Writes `input` and ends the child's input, reads its output and errors to their ends, and waits
  // for its exit. What is not a PIPE is "".
  task<std::pair<std::string, std::string>> communicate(std::string input = {});

  // Throw system_error(ESRCH) once it has exited.
  void send_signal(int number);
  void terminate();  // SIGTERM
  void kill();       // SIGKILL

  // The ends of its PIPEs: what is written to in(), and read from out() and err(). logic_error
  // where the option was not PIPE.
  Stream in() const;
  Stream out() const;
  Stream err() const;

  // For create_subprocess_exec.
  explicit Process(std::shared_ptr<detail::ProcessState> state) noexcept;

 private:
  std::shared_ptr<detail::ProcessState> state_;
};

// Starts a program, looked up in the PATH that it gets. It has no descriptor above 2, no signal
// blocked, and every signal as it is by default. Throws system_error with the errno if it cannot be
// started, invalid_argument for an empty argv. Source: asyncio.create_subprocess_exec.
UVLET_API task<Process> create_subprocess_exec(std::vector<std::string> argv,
                                               ProcessOptions options = {});
// The same for a command line of the shell.
UVLET_API task<Process> create_subprocess_shell(std::string command, ProcessOptions options = {});

}  // namespace aio
