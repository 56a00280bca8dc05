#pragma once

// What tests of sockets and descriptors share.

#include "../support.hpp"

#include <green/convenience.hpp>
#include <green/socket.hpp>

#include <cerrno>
#include <dirent.h>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace test {

using green::Address;
using green::Socket;

inline Address anywhere() { return Address("127.0.0.1", 0); }

// The errno of the system_error it throws; 0 if it throws none.
template <class F>
int errno_of(F call) {
  try {
    call();
  } catch (const std::system_error& error) {
    CHECK(error.code().category() == std::generic_category());
    return error.code().value();
  }
  return 0;
}

struct TcpPair {
  TcpPair() {
    Socket listener = green::listen(anywhere());
    a = green::connect(listener.getsockname());
    b = listener.accept().first;
  }
  Socket a, b;
};

// Both ends of a connection: who connected, who accepted.
inline std::pair<Socket, Socket> connected() {
  Socket listener = green::listen(anywhere());
  Socket client = green::connect(listener.getsockname());
  auto [server, peer] = listener.accept();
  return {std::move(client), std::move(server)};
}

struct UnixPair {
  explicit UnixPair(int type = SOCK_STREAM) {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, type, 0, ends) == 0);
    a = Socket::from_fd(ends[0]);
    b = Socket::from_fd(ends[1]);
  }
  Socket a, b;
};

// A listener with room for no more, and who fills it: the next one to connect has to wait.
struct FullListener {
  FullListener() : listener(green::listen(anywhere(), 0)) {
    for (int i = 0; i < 8; ++i) {
      Socket client;
      client.settimeout(0);
      client.connect_ex(listener.getsockname());
      clients.push_back(std::move(client));
    }
  }
  Socket listener;
  std::vector<Socket> clients;
};

// So many bytes, or what comes until the end.
inline std::string receive(Socket& socket, std::size_t bytes) {
  std::string all;
  while (all.size() < bytes) {
    const std::string data = socket.recv(bytes - all.size());
    if (data.empty()) break;
    all += data;
  }
  return all;
}

inline std::string receive_all(Socket& socket) {
  std::string all;
  for (;;) {
    const std::string data = socket.recv(65536);
    if (data.empty()) return all;
    all += data;
  }
}

// How many descriptors the process has open, a hub's own included.
inline int open_fds() {
  uvlet::Hub::current();
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  REQUIRE(folder != nullptr);
  while (readdir(folder)) ++count;
  closedir(folder);
  return count;
}

// A folder that is removed with what is in it, if that is files.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/uvlet-test-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  ~Folder() {
    if (DIR* folder = opendir(path_.c_str())) {
      while (dirent* entry = readdir(folder)) unlink((path_ + "/" + entry->d_name).c_str());
      closedir(folder);
    }
    rmdir(path_.c_str());
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace test
