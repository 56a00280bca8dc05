#include "scale.hpp"

#include "../process.hpp"
#include "../support.hpp"
#include "generator.hpp"
#include "servers.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <signal.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr int server_core = 0;
constexpr int any_core = -1;
constexpr double warm_up_seconds = 0.2;

constexpr int busy_connections = 100;
constexpr int idle_connections = 18'000;
constexpr std::size_t message_bytes = 64;
constexpr double busy_target = 0.9;  // of the requests a second without idle ones
constexpr double idle_bytes_target = 9 * 1024;

constexpr int hub_connections = 64;
constexpr double hub_target = 0.85;  // of the requests a second of CPU of one hub

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

// Connections that have sent one message and got their reply, and say no more. A process of its own
// holds them, by several addresses: one has not enough ports.
class IdleConnections {
 public:
  IdleConnections(std::uint16_t port, int count) {
    int done[2];
    if (pipe(done) < 0) die("pipe");
    pid_ = fork();
    if (pid_ < 0) die("fork");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (int i = 0; i < count; ++i) open(port, i);
      if (write(done[1], "", 1) != 1) die("write");
      for (;;) pause();
    }
    close(done[1]);
    char byte;
    if (read(done[0], &byte, 1) != 1) die("not all idle connections could be made");
    close(done[0]);
  }
  ~IdleConnections() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  IdleConnections(const IdleConnections&) = delete;
  IdleConnections& operator=(const IdleConnections&) = delete;

 private:
  static constexpr int per_address = 6'000;

  static void open(std::uint16_t port, int number) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + static_cast<unsigned>(number / per_address));
    const int on = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof own) < 0) die("bind");
    sockaddr_in server = own;
    server.sin_port = htons(port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&server), sizeof server) < 0) die("connect");
    std::array<char, message_bytes> message{};
    if (send(fd, message.data(), message.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(message.size()) ||
        recv(fd, message.data(), message.size(), MSG_WAITALL) !=
            static_cast<ssize_t>(message.size()))
      die("an idle connection");
  }

  pid_t pid_;
};

// A server and who asks it.
struct Pair {
  Pair(const char* name, EchoServer serve, int core, int connections)
      : server(name, serve, core), generator(server.port(), connections, message_bytes) {
    generator.run(warm_up_seconds, true);
  }
  void measure(double seconds) {
    const double before = server.cpu_seconds();
    const double rate = generator.run(seconds);
    rates.push_back(rate);
    per_cpu_second.push_back(rate * seconds / (server.cpu_seconds() - before));
  }

  ServerProcess server;
  Generator generator;
  std::vector<double> rates;
  std::vector<double> per_cpu_second;
};

// Each has its turn in every round; who begins alternates.
void measure(Pair& first, Pair& second, int rounds, double seconds) {
  for (int round = 0; round < rounds; ++round) {
    Pair& begins = round % 2 ? second : first;
    begins.measure(seconds);
    (&begins == &first ? second : first).measure(seconds);
  }
}

bench::Median ratio(const std::vector<double>& of, const std::vector<double>& to) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < of.size(); ++i) ratios.push_back(of[i] / to[i]);
  return bench::median(ratios);
}

std::string json_of(const bench::Median& median) {
  std::ostringstream text;
  text << '[' << median.low << ", " << median.value << ", " << median.high << ']';
  return text.str();
}

}  // namespace

std::string compare_idle(int rounds, double seconds) {
  Pair alone("alone", serve_green, server_core, busy_connections);
  Pair beside("beside idle", serve_green, server_core, busy_connections);
  const std::size_t before = beside.server.resident_bytes();
  const IdleConnections idle(beside.server.port(), idle_connections);
  const double bytes = static_cast<double>(beside.server.resident_bytes() - before) /
                       static_cast<double>(idle_connections);
  measure(alone, beside, rounds, seconds);

  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const bench::Median busy = ratio(beside.rates, alone.rates);
  std::printf("\n%d busy connections beside %d idle ones (descriptors: at most %llu)\n",
              busy_connections, idle_connections, static_cast<unsigned long long>(limit.rlim_cur));
  std::printf("requests/s: %.0f, alone %.0f: %.3f of that, %.3f-%.3f  target %.2f: %s\n",
              bench::median(beside.rates).value, bench::median(alone.rates).value, busy.value,
              busy.low, busy.high, busy_target,
              bench::verdict(busy, bench::Target::at_least, busy_target));
  std::printf("resident bytes an idle connection: %.0f  target %.0f: %s\n", bytes,
              idle_bytes_target, bytes <= idle_bytes_target ? "met" : "LOST");
  return "{\"idle\": " + std::to_string(idle_connections) + ", \"busy_ratio\": " + json_of(busy) +
         ", \"bytes\": " + std::to_string(bytes) + "}";
}

std::string compare_hubs(int rounds, double seconds) {
  Pair one("one hub", serve_green, server_core, hub_connections);
  Pair two("two hubs", serve_two_hubs, any_core, hub_connections);
  measure(one, two, rounds, seconds);
  const bench::Median cost = ratio(two.per_cpu_second, one.per_cpu_second);
  const bench::Median wall = ratio(two.rates, one.rates);
  std::printf("\ntwo hubs on one port, in relation to one hub\n");
  std::printf("requests a second of CPU: %.3f, %.3f-%.3f  target %.2f: %s\n", cost.value, cost.low,
              cost.high, hub_target, bench::verdict(cost, bench::Target::at_least, hub_target));
  std::printf("requests/s: %.3f, %.3f-%.3f\n", wall.value, wall.low, wall.high);
  return "{\"hubs\": 2, \"per_cpu_second\": " + json_of(cost) + ", \"wall\": " + json_of(wall) +
         "}";
}
