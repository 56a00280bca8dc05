// usage: fetch [--timeout SECONDS] [URL...]
//
// Fetches http:// URLs concurrently, three times: in eventlet's style, with awaitlet at the edge of
// unchanged callers, and as coroutines. Without URLs it serves a folder of real files itself, with
// a delay of 50 ms a reply, and fetches all of them; then some that fail.

#include "fetch.hpp"
#include "server.hpp"

#include <green/green.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <openssl/evp.h>
#include <string>
#include <vector>

namespace {

constexpr double reply_delay_seconds = 0.05;
constexpr const char* demo_folder = "/usr/share/common-licenses";

using Fetcher = std::vector<Reply> (*)(const std::vector<std::string>&, double);
struct Style {
  const char* name;
  Fetcher fetch;
};
constexpr Style styles[] = {{"(a) green threads, blocking calls", fetch_green},
                            {"(b) the same callers, awaitlet inside", fetch_awaitlet},
                            {"(c) coroutines and gather", fetch_coroutines}};

struct Run {
  std::vector<Reply> replies;
  double total_milliseconds = 0;
  std::uint64_t awaitlets = 0;
};

std::string sha256(const std::string& data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  EVP_Digest(data.data(), data.size(), digest, &bytes, EVP_sha256(), nullptr);
  std::string text;
  char byte[3];
  for (unsigned int i = 0; i < bytes; ++i) {
    std::snprintf(byte, sizeof byte, "%02x", digest[i]);
    text += byte;
  }
  return text;
}

Run run(const Style& style, const std::vector<std::string>& urls, double timeout) {
  Run result;
  const std::uint64_t before = uvlet::Hub::current().stats().awaitlets;
  const auto start = std::chrono::steady_clock::now();
  result.replies = style.fetch(urls, timeout);
  const auto elapsed = std::chrono::steady_clock::now() - start;
  result.total_milliseconds = std::chrono::duration<double, std::milli>(elapsed).count();
  result.awaitlets = uvlet::Hub::current().stats().awaitlets - before;
  return result;
}

bool same(const Run& a, const Run& b) {
  return std::ranges::equal(a.replies, b.replies, [](const Reply& x, const Reply& y) {
    return x.status == y.status && x.body == y.body && x.error.empty() == y.error.empty();
  });
}

void print_rows(const std::vector<Run>& runs) {
  std::printf("%6s %8s %8s %8s %8s  %-64s  %s\n", "status", "bytes", "ms (a)", "ms (b)", "ms (c)",
              "SHA-256, or what failed", "URL");
  for (std::size_t i = 0; i < runs.front().replies.size(); ++i) {
    const Reply& reply = runs.front().replies[i];
    const std::string outcome = reply.error.empty() ? sha256(reply.body) : reply.error;
    std::printf("%6s %8zu %8.1f %8.1f %8.1f  %-64s  %s\n",
                reply.status ? std::to_string(reply.status).c_str() : "-", reply.body.size(),
                reply.milliseconds, runs[1].replies[i].milliseconds,
                runs[2].replies[i].milliseconds, outcome.c_str(), reply.url.c_str());
  }
}

void print_table(const std::vector<Run>& runs) {
  std::printf("\n%-38s %9s %9s %9s %15s %9s  %s\n", "", "total ms", "requests", "awaitlets",
              "one by one ms", "speed-up", "same bytes as (a)");
  for (std::size_t i = 0; i < runs.size(); ++i) {
    double sum = 0;
    for (const Reply& reply : runs[i].replies) sum += reply.milliseconds;
    std::printf(
        "%-38s %9.1f %9zu %9llu %15.1f %8.1fx  %s\n", styles[i].name, runs[i].total_milliseconds,
        runs[i].replies.size(), static_cast<unsigned long long>(runs[i].awaitlets), sum,
        sum / std::max(runs[i].total_milliseconds, 0.001), same(runs[0], runs[i]) ? "yes" : "NO");
  }
}

// True if all three styles got the same.
bool fetch_three_times(const std::vector<std::string>& urls, double timeout) {
  std::vector<Run> runs;
  for (const Style& style : styles) runs.push_back(run(style, urls, timeout));
  print_rows(runs);
  print_table(runs);
  return same(runs[0], runs[1]) && same(runs[0], runs[2]);
}

bool demo(double timeout) {
  FolderServer server(demo_folder, reply_delay_seconds);
  std::vector<std::string> urls;
  for (const std::string& file : server.files()) urls.push_back(server.url("/" + file));
  std::printf("%zu files of %s, each reply delayed by %.0f ms\n\n", urls.size(), demo_folder,
              reply_delay_seconds * 1000);
  const bool files_same = fetch_three_times(urls, timeout);
  std::printf("\nand what fails:\n\n");
  const bool failures_same = fetch_three_times(
      {server.url("/no-such-file"), server.url("/truncated"), server.url("/slow"),
       "http://127.0.0.1:1/refused", "http://nosuch.invalid/", "https://127.0.0.1/"},
      0.5);
  return files_same && failures_same;
}

}  // namespace

int main(int argc, char** argv) {
  double timeout = 5;
  std::vector<std::string> urls;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--timeout") == 0 && i + 1 < argc) {
      timeout = std::atof(argv[++i]);
      if (!(timeout > 0)) {
        std::fprintf(stderr, "fetch: --timeout takes seconds above 0, not '%s'\n", argv[i]);
        return 2;
      }
    } else if (argv[i][0] == '-') {
      std::fprintf(stderr, "usage: fetch [--timeout SECONDS] [URL...]\n");
      return 2;
    } else {
      urls.push_back(argv[i]);
    }
  }
  const bool good = urls.empty() ? demo(timeout) : fetch_three_times(urls, timeout);
  std::printf("\n%s\n", good ? "all three styles got the same" : "the three styles DIFFER");
  return good ? 0 : 1;
}
