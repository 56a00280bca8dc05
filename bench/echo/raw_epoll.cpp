// What one writes by hand, with care: the call is tried before the socket is waited for, a read of
// what is there costs one call, and epoll_ctl is called once a connection, but for a peer that does
// not take its reply.

#include "servers.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr int events_max = 1024;
constexpr std::size_t buffer_bytes = 64 * 1024;

struct Connection {
  int fd;
  std::string unsent;  // empty but where the peer is slow
};

int epoll;
char buffer[buffer_bytes];

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

void watch(Connection& connection, unsigned events, int operation) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &connection;
  if (epoll_ctl(epoll, operation, connection.fd, &event) < 0) die("epoll_ctl");
}

int listen_on(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) die("bind");
  if (listen(fd, 1024) < 0) die("listen");
  return fd;
}

void accept_all(int listener) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    watch(*new Connection{fd, {}}, EPOLLIN, EPOLL_CTL_ADD);
  }
}

void end(Connection& connection) {
  close(connection.fd);
  delete &connection;
}

// How much was sent; -1: it failed.
ssize_t send_some(int fd, const char* data, std::size_t bytes) {
  const ssize_t put = send(fd, data, bytes, MSG_NOSIGNAL);
  return put < 0 && errno == EAGAIN ? 0 : put;
}

void receive(Connection& connection) {
  const ssize_t got = recv(connection.fd, buffer, sizeof buffer, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return end(connection);
  const ssize_t put = send_some(connection.fd, buffer, static_cast<std::size_t>(got));
  if (put < 0) return end(connection);
  if (put == got) return;
  connection.unsent.assign(buffer + put, static_cast<std::size_t>(got - put));
  watch(connection, EPOLLOUT, EPOLL_CTL_MOD);
}

void send_rest(Connection& connection) {
  const ssize_t put = send_some(connection.fd, connection.unsent.data(), connection.unsent.size());
  if (put < 0) return end(connection);
  connection.unsent.erase(0, static_cast<std::size_t>(put));
  if (connection.unsent.empty()) watch(connection, EPOLLIN, EPOLL_CTL_MOD);
}

}  // namespace

void serve_raw_epoll(std::uint16_t port) {
  const int listener = listen_on(port);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll_create1");
  Connection listening{listener, {}};
  watch(listening, EPOLLIN, EPOLL_CTL_ADD);
  static epoll_event events[events_max];
  for (;;) {
    const int ready = epoll_wait(epoll, events, events_max, -1);
    for (int i = 0; i < ready; ++i) {
      auto& connection = *static_cast<Connection*>(events[i].data.ptr);
      if (&connection == &listening)
        accept_all(listener);
      else if (connection.unsent.empty())
        receive(connection);
      else
        send_rest(connection);
    }
  }
}
