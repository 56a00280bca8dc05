#pragma once

#include <cstdio>
#include <string>
#include <unistd.h>

namespace test {

// What is written to stderr while it lives.
class StandardError {
 public:
  StandardError() : file_(std::tmpfile()), saved_(dup(STDERR_FILENO)) {
    std::fflush(stderr);
    dup2(fileno(file_), STDERR_FILENO);
  }
  ~StandardError() {
    std::fflush(stderr);
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    std::fclose(file_);
  }
  StandardError(const StandardError&) = delete;
  std::string text() {
    std::fflush(stderr);
    std::string all;
    char buffer[512];
    lseek(fileno(file_), 0, SEEK_SET);
    for (ssize_t got; (got = ::read(fileno(file_), buffer, sizeof buffer)) > 0;)
      all.append(buffer, static_cast<std::size_t>(got));
    return all;
  }

 private:
  std::FILE* file_;
  int saved_;
};

}  // namespace test
