#pragma once

// Programs of others that tests start and talk to.

#include "../support.hpp"

#include <aio/subprocess.hpp>
#include <green/awaitlet.hpp>

#include <string>
#include <utility>
#include <vector>

namespace test {

// A program, with pipes to its input and from its output.
inline aio::Process start(std::vector<std::string> command) {
  aio::ProcessOptions options;
  options.in = options.out = aio::PIPE;
  return green::awaitlet(aio::create_subprocess_exec(std::move(command), options));
}

// A server that tells its port in its first line, and lives as long as this.
class PeerServer {
 public:
  explicit PeerServer(std::vector<std::string> command)
      : name_(command.front()), process_(start(std::move(command))) {
    const std::string line = green::awaitlet(process_.out().readline());
    REQUIRE_MESSAGE(!line.empty(), "the server does not start: ", name_);
    host_ = "127.0.0.1:" + line.substr(0, line.find('\n'));
  }
  ~PeerServer() {
    if (!process_.returncode()) process_.kill();
    green::awaitlet(process_.wait());
  }
  const std::string& host() const { return host_; }  // and port

 private:
  std::string name_;
  aio::Process process_;
  std::string host_;
};

}  // namespace test
