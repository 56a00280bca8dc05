#include "peers.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace peers {

namespace {

// A Python that measures what it is asked for: it reads a function's name and writes nanoseconds.
class Python {
 public:
  Python() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
    const char* interpreter = std::getenv("PYTHON");
    if (!interpreter) interpreter = "python3";
    child_ = fork();
    if (child_ == 0) {
      dup2(ends[1], 0);
      dup2(ends[1], 1);
      execlp(interpreter, interpreter, PEERS "/python_peer.py", static_cast<char*>(nullptr));
      _exit(127);
    }
    close(ends[1]);
    in_ = fdopen(ends[0], "r");
    out_ = fdopen(dup(ends[0]), "w");
  }
  Python(const Python&) = delete;
  Python& operator=(const Python&) = delete;
  ~Python() {
    if (out_) std::fclose(out_);
    if (in_) std::fclose(in_);
    if (child_ > 0) waitpid(child_, nullptr, 0);
  }

  double ask(const std::string& function) {
    double value = 0;
    if (!in_ || !out_ || std::fprintf(out_, "%s\n", function.c_str()) < 0 ||
        std::fflush(out_) != 0 || std::fscanf(in_, "%lf", &value) != 1)
      return std::nan("");
    return value;
  }

 private:
  pid_t child_ = -1;
  std::FILE* in_ = nullptr;
  std::FILE* out_ = nullptr;
};

}  // namespace

std::function<double()> python(const std::string& function) {
  static const auto interpreter = std::make_shared<Python>();
  if (std::isnan(interpreter->ask(function))) return nullptr;
  return [function] { return interpreter->ask(function); };
}

}  // namespace peers
