#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Who asks: a closed loop on raw epoll. Each connection sends a message, waits for all of it to
// come back, and sends the next.
class Generator {
 public:
  // Opens `connections` to this port of the loopback.
  Generator(std::uint16_t port, int connections, std::size_t bytes);
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  // Asks for about so many seconds, and gives the replies per second. None is under way after it.
  // `verify`: ends the program if a reply is not what was sent.
  double run(double seconds, bool verify = false);
  // How many the last run got, those that came too late to count among them.
  std::size_t replies() const noexcept { return replies_; }

 private:
  struct Connection {
    int fd;
    std::size_t left;  // of the reply
  };

  void send(Connection& connection) const;
  // Gives whether the reply is complete.
  bool receive(Connection& connection, bool verify);
  void answer_ready(bool verify, bool again);

  int epoll_;
  std::size_t replies_ = 0;
  std::string message_;
  std::string reply_;
  std::vector<Connection> connections_;
};
