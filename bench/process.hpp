#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <sys/types.h>

// What a server does: it listens on this port of the loopback, and does not return.
using Serve = std::function<void(std::uint16_t port)>;

// A server in a process of its own, of this name, on the given core; it ends with this object.
class ServerProcess {
 public:
  ServerProcess(const char* name, const Serve& serve, int core);  // core -1: any
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  pid_t pid() const noexcept { return pid_; }
  std::uint16_t port() const noexcept { return port_; }
  double cpu_seconds() const;          // that it has used so far
  std::size_t resident_bytes() const;  // of memory

 private:
  int reserved_;  // a socket that is bound to the port and does not listen
  std::uint16_t port_;
  pid_t pid_;
};

void pin_to(int core);  // -1: to none
