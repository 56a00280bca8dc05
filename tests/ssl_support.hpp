#pragma once

#include <aio/ssl.hpp>
#include <green/convenience.hpp>
#include <green/greenthread.hpp>

#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace test {

struct CertificateSpec {
  CertificateSpec() {}
  std::string common_name = "localhost";
  std::vector<std::string> alt_names = {"DNS:localhost", "IP:127.0.0.1", "IP:::1"};
  long first_day = -1;  // from today
  long last_day = 30;
  bool authority = false;
  std::string issuer = "ca";  // empty: by itself
};

// Certificates in a folder of their own, which goes with the process: "ca", "server" and "client"
// of it, and what else is asked for.
class Certificates {
 public:
  Certificates();
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  void make(const std::string& name, const CertificateSpec& spec);
  std::string certificate(const std::string& name) const { return folder_ + "/" + name + ".pem"; }
  std::string key(const std::string& name) const { return folder_ + "/" + name + ".key"; }
  const std::string& folder() const noexcept { return folder_; }

 private:
  std::string folder_;
};
Certificates& certificates();

inline aio::SslOptions server_options(const std::string& name = "server") {
  aio::SslOptions options;
  options.server_side = true;
  options.certfile = certificates().certificate(name);
  options.keyfile = certificates().key(name);
  return options;
}

inline aio::SslOptions client_options(const std::string& host = "localhost",
                                      const std::string& authority = "ca") {
  aio::SslOptions options;
  options.ca_certs = certificates().certificate(authority);
  options.server_hostname = host;
  return options;
}

// Two ends of a connection as the system makes it.
inline std::pair<green::Socket, green::Socket> connected_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  return {green::Socket::from_fd(fds[0]), green::Socket::from_fd(fds[1])};
}

struct SslPair {
  green::Socket client;
  green::Socket server;
};

// Shakes hands over the two ends; throws what the client's end throws, then the server's.
SslPair ssl_pair(green::Socket client, green::Socket server,
                 aio::SslOptions for_client = client_options(),
                 aio::SslOptions for_server = server_options());
SslPair ssl_pair(aio::SslOptions for_client = client_options(),
                 aio::SslOptions for_server = server_options());

// Until the end of the stream.
std::string read_all(green::Socket& socket);

// How much memory may grow where it should not: the AddressSanitizer keeps what is freed for a
// while.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr std::size_t memory_leeway = 400'000'000;
#else
inline constexpr std::size_t memory_leeway = 8'000'000;
#endif

}  // namespace test
