// usage: echo [--rounds N] [--seconds S] [--only rows|idle|hubs] [--row CONNECTIONS/BYTES]
//             [--json FILE]
//
// TCP echo on the loopback: servers on core 0, who asks on core 1. In every round each server has
// its turn of S seconds; the table shows medians over the rounds of what a server does in relation
// to raw epoll in the same round, with their 95 % intervals. Then come many idle connections, and
// several hubs: see scale.hpp. The machine should have two cores.

#include "../process.hpp"
#include "../support.hpp"
#include "generator.hpp"
#include "scale.hpp"
#include "servers.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr int server_core = 0;
constexpr int generator_core = 1;
constexpr double warm_up_seconds = 0.2;

struct Options {
  int rounds = 15;
  double seconds = 0.5;
  int connections = 0;  // 0: all rows
  std::size_t bytes = 0;
  std::string only;  // empty: everything
  std::string json;
};

struct Contender {
  const char* name;
  EchoServer serve;
  std::vector<double> rates{};   // requests a second, by round
  std::vector<double> costs{};   // microseconds of the processor a request
  std::vector<double> ratios{};  // to raw epoll: of rates
  std::vector<double> relative_costs{};
};

struct Row {
  int connections;
  std::size_t bytes;
  double target;  // the ratio of green::serve
};
constexpr Row rows[] = {{64, 64, 1.0}, {64, 4096, 0.97}, {1000, 64, 1.0}, {1000, 4096, 0.95}};

// --- system calls --------------------------------------------------------------------------------

// Runs strace on the server for a while. Gives the calls a request, but epoll_wait; a negative
// number if there is no strace.
double system_calls(const ServerProcess& server, Generator& generator, std::string& by_name) {
  const std::string file = "/tmp/echo-strace-" + std::to_string(getpid());
  const pid_t tracer = fork();
  if (tracer == 0) {
    const std::string pid = std::to_string(server.pid());
    execlp("strace", "strace", "-q", "-f", "-c", "-U", "calls,name", "-o", file.c_str(), "-p",
           pid.c_str(), nullptr);
    _exit(127);
  }
  usleep(300'000);  // until it has attached
  generator.run(1);
  const auto replies = static_cast<double>(generator.replies());
  kill(tracer, SIGINT);
  int status = 0;
  waitpid(tracer, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return -1;
  std::ifstream summary(file);
  std::string line;
  double total = 0;
  while (std::getline(summary, line)) {
    std::istringstream words(line);
    double calls = 0;
    std::string name;
    if (!(words >> calls >> name) || name == "total" || calls < replies / 1000) continue;
    char text[80];
    std::snprintf(text, sizeof text, "%s%s %.3f", by_name.empty() ? "" : ", ", name.c_str(),
                  calls / replies);
    by_name += text;
    if (name.find("epoll_") == std::string::npos || name == "epoll_ctl") total += calls;
  }
  std::remove(file.c_str());
  return total / replies;
}

// --- the run -------------------------------------------------------------------------------------

void measure(Contender& contender, const ServerProcess& server, Generator& generator,
             double seconds) {
  const double before = server.cpu_seconds();
  const double rate = generator.run(seconds);
  contender.rates.push_back(rate);
  contender.costs.push_back((server.cpu_seconds() - before) / (rate * seconds) * 1e6);
}

std::string report(const Row& row, const std::vector<Contender>& contenders, double calls) {
  std::ostringstream json;
  json << "{\"connections\": " << row.connections << ", \"bytes\": " << row.bytes
       << ", \"system_calls\": " << calls << ", \"servers\": {";
  std::printf("\n%d connections, %zu bytes\n%-20s %12s %8s %15s %12s %8s\n", row.connections,
              row.bytes, "", "requests/s", "x epoll", "95 %", "us CPU each", "x epoll");
  for (const Contender& contender : contenders) {
    const bench::Median ratio = bench::median(contender.ratios);
    const double rate = bench::median(contender.rates).value;
    const double cost = bench::median(contender.costs).value;
    const double relative_cost = bench::median(contender.relative_costs).value;
    std::printf("%-20s %12.0f %8.3f %7.3f-%7.3f %12.2f %8.3f", contender.name, rate, ratio.value,
                ratio.low, ratio.high, cost, relative_cost);
    if (contender.serve == serve_green)
      std::printf("  target %.2f: %s", row.target,
                  bench::verdict(ratio, bench::Target::at_least, row.target));
    std::printf("\n");
    json << (&contender == contenders.data() ? "" : ", ") << '"' << contender.name
         << "\": {\"rate\": " << rate << ", \"ratio\": [" << ratio.low << ", " << ratio.value
         << ", " << ratio.high << "], \"microseconds\": " << cost << "}";
  }
  json << "}}";
  return json.str();
}

std::string compare(const Row& row, const Options& options) {
  std::vector<Contender> contenders = {{"raw epoll", serve_raw_epoll},
                                       {"raw libuv", serve_raw_libuv},
                                       {"green::serve", serve_green},
                                       {"aio::start_server", serve_aio}};
  std::vector<std::unique_ptr<ServerProcess>> servers;
  std::vector<std::unique_ptr<Generator>> generators;
  for (const Contender& contender : contenders) {
    servers.push_back(
        std::make_unique<ServerProcess>(contender.name, contender.serve, server_core));
    generators.push_back(
        std::make_unique<Generator>(servers.back()->port(), row.connections, row.bytes));
    generators.back()->run(warm_up_seconds, true);
  }
  const std::size_t count = contenders.size();
  for (int round = 0; round < options.rounds; ++round) {
    std::fprintf(stderr, "\rround %d of %d ", round + 1, options.rounds);
    for (std::size_t turn = 0; turn < count; ++turn) {
      const std::size_t i = (turn + static_cast<std::size_t>(round)) % count;
      measure(contenders[i], *servers[i], *generators[i], options.seconds);
    }
    for (Contender& contender : contenders) {
      contender.ratios.push_back(contender.rates.back() / contenders[0].rates.back());
      contender.relative_costs.push_back(contender.costs.back() / contenders[0].costs.back());
    }
  }
  std::string names;
  const double calls = system_calls(*servers[2], *generators[2], names);
  std::fprintf(stderr, "\r%20s\r", "");
  const std::string json = report(row, contenders, calls);
  if (calls < 0)
    std::printf("system calls of green::serve: there is no strace\n");
  else
    std::printf("system calls of green::serve: %.3f a request besides epoll_wait (%s)\n", calls,
                names.c_str());
  return json;
}

[[noreturn]] void usage() {
  std::fprintf(stderr,
               "usage: echo [--rounds N] [--seconds S] [--only rows|idle|hubs]\n"
               "            [--row CONNECTIONS/BYTES] [--json FILE]\n");
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) usage();
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    bool good = true;
    if (name == "--rounds")
      good = (options.rounds = std::atoi(value)) > 0;
    else if (name == "--seconds")
      good = (options.seconds = std::atof(value)) > 0;
    else if (name == "--row")
      good = std::sscanf(value, "%d/%zu", &options.connections, &options.bytes) == 2;
    else if (name == "--only")
      good = (options.only = value) == "rows" || options.only == "idle" || options.only == "hubs";
    else if (name == "--json")
      options.json = value;
    else
      good = false;
    if (!good) usage();
  }
  if (options.connections > 0) options.only = "rows";
  return options;
}

std::vector<Row> chosen_rows(const Options& options) {
  if (options.connections == 0) return {std::begin(rows), std::end(rows)};
  const Row asked{options.connections, options.bytes, 1.0};
  const auto* known = std::ranges::find_if(rows, [&](const Row& row) {
    return row.connections == asked.connections && row.bytes == asked.bytes;
  });
  return {known == std::end(rows) ? asked : *known};
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  pin_to(generator_core);
  std::vector<std::string> tables;
  const auto wanted = [&](const char* part) {
    return options.only.empty() || options.only == part;
  };
  if (wanted("rows"))
    for (const Row& row : chosen_rows(options)) {
      std::fflush(stdout);  // the servers are forked
      tables.push_back(compare(row, options));
    }
  std::fflush(stdout);
  if (wanted("idle")) tables.push_back(compare_idle(options.rounds, options.seconds));
  std::fflush(stdout);
  if (wanted("hubs")) tables.push_back(compare_hubs(options.rounds, options.seconds));
  if (options.json.empty()) return 0;
  std::ofstream file(options.json);
  for (const std::string& table : tables) file << (&table == tables.data() ? "[" : ",\n ") << table;
  file << "]\n";
  return 0;
}
