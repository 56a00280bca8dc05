#include "generator.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr int events_max = 1024;
constexpr int patience_ms = 20'000;

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int connect_to(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto start = Clock::now();
  while (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    if (seconds_since(start) > 10) die("connect");  // it has not begun to listen
    usleep(10'000);
  }
  return fd;
}

}  // namespace

Generator::Generator(std::uint16_t port, int connections, std::size_t bytes)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), reply_(bytes, '\0') {
  for (std::size_t i = 0; i < bytes; ++i) message_ += static_cast<char>('a' + i % 26);
  connections_.reserve(static_cast<std::size_t>(connections));
  for (int i = 0; i < connections; ++i) {
    Connection& connection = connections_.emplace_back(Connection{connect_to(port), 0});
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) < 0) die("epoll_ctl");
  }
}

Generator::~Generator() {
  for (const Connection& connection : connections_) close(connection.fd);
  close(epoll_);
}

double Generator::run(double seconds, bool verify) {
  const auto start = Clock::now();
  for (Connection& connection : connections_) send(connection);
  replies_ = 0;
  double elapsed = 0;
  do answer_ready(verify, true);
  while ((elapsed = seconds_since(start)) < seconds);
  const double rate = static_cast<double>(replies_) / elapsed;
  for (const std::size_t all = replies_ + connections_.size(); replies_ < all;)
    answer_ready(verify, false);
  return rate;
}

void Generator::send(Connection& connection) const {
  // A message fits into an empty buffer of a socket: it is taken as a whole.
  const ssize_t put = ::send(connection.fd, message_.data(), message_.size(), MSG_NOSIGNAL);
  if (put != static_cast<ssize_t>(message_.size())) die("send");
  connection.left = message_.size();
}

bool Generator::receive(Connection& connection, bool verify) {
  const std::size_t at = message_.size() - connection.left;
  const ssize_t got = recv(connection.fd, reply_.data() + at, connection.left, 0);
  if (got <= 0) die("a connection ended");
  const auto bytes = static_cast<std::size_t>(got);
  connection.left -= bytes;
  if (verify && reply_.compare(at, bytes, message_, at, bytes) != 0) die("not what was sent");
  return connection.left == 0;
}

// Takes what has come, and asks anew if `again`.
void Generator::answer_ready(bool verify, bool again) {
  static epoll_event events[events_max];
  const int ready = epoll_wait(epoll_, events, events_max, patience_ms);
  if (ready == 0) die("no reply");
  for (int i = 0; i < ready; ++i) {
    auto& connection = *static_cast<Connection*>(events[i].data.ptr);
    if (!receive(connection, verify)) continue;
    ++replies_;
    if (again) send(connection);
  }
}
