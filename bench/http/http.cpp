// usage: http [--rounds N] [--seconds S] [--json FILE]
//
// HTTP on the loopback: servers on core 0, wrk with 64 connections on core 1. In every round each
// server has its turn of S seconds; the table shows medians over the rounds, and what a server does
// in relation to nginx, or to another of ours, in the same round, with 95 % intervals.

#include "../process.hpp"
#include "../support.hpp"
#include "servers.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr int server_core = 0;
constexpr int client_core = 1;
constexpr const char* connections = "64";

struct Options {
  int rounds = 15;
  int seconds = 1;
  std::string json;
};

struct Contender {
  const char* name;
  void (*serve)(std::uint16_t port);
  std::unique_ptr<ServerProcess> process{};
  std::vector<double> rates{};  // requests a second, by round
};

enum Index { ceiling, nginx, photon, go, node, aiohttp, eventlet, function, coroutine, all_green };

struct Goal {
  Index ours;
  Index peer;
  double target;
};
// What a coroutine does beside a plain function is within 10 % either way.
constexpr Goal goals[] = {{function, nginx, 1.0},     {coroutine, nginx, 1.0},
                          {all_green, nginx, 1.0},    {function, photon, 1.0},
                          {function, go, 1.0},        {function, node, 1.0},
                          {coroutine, function, 0.9}, {function, coroutine, 0.9}};

// Whether somebody listens there within some seconds.
bool answers(const ServerProcess& server) {
  for (int attempt = 0; attempt < 600; ++attempt) {
    siginfo_t ended{};
    const auto child = static_cast<id_t>(server.pid());
    if (waitid(P_PID, child, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid != 0)
      return false;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (connected) return true;
    usleep(50'000);
  }
  return false;
}

// Requests a second, as wrk counts them. Any answer but 2xx or 3xx, and any error, ends the
// program.
double run_wrk(const ServerProcess& server, int seconds) {
  const std::string command = "taskset -c " + std::to_string(client_core) + " wrk -t1 -c" +
                              connections + " -d" + std::to_string(seconds) +
                              "s http://127.0.0.1:" + std::to_string(server.port()) + "/ 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  double rate = 0;
  std::string said;
  std::array<char, 256> line;
  while (pipe != nullptr && std::fgets(line.data(), line.size(), pipe) != nullptr) {
    said += line.data();
    std::sscanf(line.data(), "Requests/sec: %lf", &rate);
  }
  if (pipe != nullptr) pclose(pipe);
  const bool failed =
      said.find("Non-2xx") != std::string::npos || said.find("Socket errors") != std::string::npos;
  if (rate > 0 && !failed) return rate;
  std::fprintf(stderr, "wrk: %s\n", said.c_str());
  std::exit(1);
}

std::vector<double> ratios(const Contender& ours, const Contender& peer) {
  std::vector<double> each;
  for (std::size_t round = 0; round < peer.rates.size(); ++round)
    each.push_back(ours.rates[round] / peer.rates[round]);
  return each;
}

void report(const std::vector<Contender>& contenders, const std::string& json_file) {
  std::string json = "{\"servers\": {";
  std::printf("%-32s %12s %15s\n", "", "requests/s", "95 %");
  for (const Contender& contender : contenders) {
    if (contender.rates.empty()) {
      std::printf("%-32s %12s\n", contender.name, "not here");
      continue;
    }
    const bench::Median rate = bench::median(contender.rates);
    std::printf("%-32s %12.0f %7.0f-%7.0f\n", contender.name, rate.value, rate.low, rate.high);
    json += (json.back() == '{' ? "\"" : ", \"") + std::string(contender.name) +
            "\": " + std::to_string(rate.value);
  }
  json += "}, \"ratios\": {";
  std::printf("\n%-52s %6s %13s %8s\n", "", "ratio", "95 %", "target");
  for (const Goal& goal : goals) {
    const Contender& ours = contenders[goal.ours];
    const Contender& peer = contenders[goal.peer];
    if (ours.rates.empty() || peer.rates.empty()) continue;
    const bench::Median ratio = bench::median(ratios(ours, peer));
    const std::string name = std::string(ours.name) + " / " + peer.name;
    std::printf("%-52s %6.3f %6.3f-%6.3f %8.2f %s\n", name.c_str(), ratio.value, ratio.low,
                ratio.high, goal.target,
                bench::verdict(ratio, bench::Target::at_least, goal.target));
    json += (json.back() == '{' ? "\"" : ", \"") + name + "\": " + std::to_string(ratio.value);
  }
  if (!json_file.empty()) std::ofstream(json_file) << json << "}}\n";
}

[[noreturn]] void usage() {
  std::fprintf(stderr, "usage: http [--rounds N] [--seconds S] [--json FILE]\n");
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) usage();
    const std::string name = argv[i];
    if (name == "--rounds")
      options.rounds = std::atoi(argv[i + 1]);
    else if (name == "--seconds")
      options.seconds = std::atoi(argv[i + 1]);
    else if (name == "--json")
      options.json = argv[i + 1];
    else
      usage();
  }
  if (options.rounds < 1 || options.seconds < 1) usage();
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::vector<Contender> contenders(all_green + 1);
  contenders[ceiling] = {"raw libuv, without parsing", serve_raw_libuv};
  contenders[nginx] = {"nginx", serve_nginx};
  contenders[photon] = {"Photon", serve_photon};
  contenders[go] = {"Go net/http", serve_go};
  contenders[node] = {"Node", serve_node};
  contenders[aiohttp] = {"aiohttp", serve_aiohttp};
  contenders[eventlet] = {"eventlet.wsgi", serve_eventlet};
  contenders[function] = {"aio::web, plain function", serve_function};
  contenders[coroutine] = {"aio::web, coroutine", serve_coroutine};
  contenders[all_green] = {"green::http::server", serve_green};
  std::vector<Contender*> here;
  for (Contender& contender : contenders) {
    contender.process =
        std::make_unique<ServerProcess>(contender.name, contender.serve, server_core);
    if (answers(*contender.process)) here.push_back(&contender);
  }
  for (Contender* contender : here) run_wrk(*contender->process, 1);  // warm
  for (int round = 0; round < options.rounds; ++round) {
    std::fprintf(stderr, "\rround %d of %d ", round + 1, options.rounds);
    for (std::size_t turn = 0; turn < here.size(); ++turn) {
      Contender& contender = *here[(turn + static_cast<std::size_t>(round)) % here.size()];
      contender.rates.push_back(run_wrk(*contender.process, options.seconds));
    }
  }
  std::fprintf(stderr, "\r%20s\r", "");
  report(contenders, options.json);
  return 0;
}
