#include "support.hpp"

#include <uvlet/switch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

namespace bench {

namespace {

void bounce(uvlet::Transfer transfer) {
  for (;;) transfer = uvlet::jump_context(transfer.context, nullptr);
}

// In a child, so that what it leaves behind in the allocator is in nobody's way.
double in_child(const std::function<double()>& measure) {
  int ends[2];
  if (pipe(ends) != 0) return std::nan("");
  const pid_t child = fork();
  if (child == 0) {
    const double value = measure();
    _exit(write(ends[1], &value, sizeof value) == sizeof value ? 0 : 1);
  }
  close(ends[1]);
  double value = std::nan("");
  if (child < 0 || read(ends[0], &value, sizeof value) != sizeof value) value = std::nan("");
  close(ends[0]);
  if (child > 0) waitpid(child, nullptr, 0);
  return value;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 1000 ? "%.2f" : "%.0f", value);
  return text;
}

std::string json_number(double value) {
  return std::isfinite(value) ? std::to_string(value) : "null";
}

std::string json(const Median& median) {
  return "{\"median\": " + json_number(median.value) + ", \"low\": " + json_number(median.low) +
         ", \"high\": " + json_number(median.high) + "}";
}

}  // namespace

double raw_jump() {
  constexpr int jumps = 4'000'000;
  constexpr std::size_t stack_bytes = 64 * 1024;
  static const std::unique_ptr<char[]> stack(new char[stack_bytes]);
  void* other = uvlet::make_context(stack.get() + stack_bytes, stack_bytes, bounce);
  const auto start = Clock::now();
  for (int i = 0; i < jumps / 2; ++i) other = uvlet::jump_context(other, nullptr).context;
  return nanoseconds_since(start) / jumps;
}

double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long total = 0;
  long resident = 0;
  if (file && std::fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
  if (file) std::fclose(file);
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// The number of values below the median is binomial: as many of them are cut off at each end as
// keep 95 % between.
Median median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t count = values.size();
  if (count == 0) return {std::nan(""), std::nan(""), std::nan("")};
  double outside = 0;
  double chance = std::pow(0.5, static_cast<double>(count));  // that `cut` values are below
  std::size_t cut = 0;
  while (cut < (count - 1) / 2 && outside + chance <= 0.025) {
    outside += chance;
    chance *= static_cast<double>(count - cut) / static_cast<double>(cut + 1);
    ++cut;
  }
  const std::size_t first = cut > 0 ? cut - 1 : 0;
  return {(values[(count - 1) / 2] + values[count / 2]) / 2, values[first],
          values[count - 1 - first]};
}

const char* verdict(const Median& measured, Target target, double limit) {
  const bool low_is_good = target == Target::at_most;
  const bool low_meets = low_is_good == (measured.low <= limit);
  const bool high_meets = low_is_good == (measured.high <= limit);
  if (low_meets && high_meets) return "met";
  return low_meets || high_meets ? "open" : "LOST";
}

Suite::Row Suite::row(std::string name, std::function<double()> measure) {
  rows_.push_back({std::move(name), std::move(measure), {}, {}});
  return rows_.size() - 1;
}

void Suite::bytes(std::string name, std::function<double()> measure, double limit) {
  bytes_.push_back({std::move(name), std::move(measure), limit});
}

void Suite::at_most(Row row, double limit) { targets_.push_back({row, none, limit}); }

void Suite::ahead(Row row, Row peer, double factor) { targets_.push_back({row, peer, factor}); }

int Suite::run(int argc, char** argv) {
  int rounds = 15;
  std::string file;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json" && i + 1 < argc) {
      file = argv[++i];
    } else if ((rounds = std::atoi(argv[i])) < 1) {
      std::fprintf(stderr, "usage: %s [--json FILE] [ROUNDS]\n", name_.c_str());
      return 2;
    }
  }
  measure_bytes();
  measure(rounds);
  print();
  return file.empty() || write_json(file) ? 0 : 1;
}

void Suite::measure_bytes() {
  for (Bytes& row : bytes_) row.value = row.measure ? in_child(row.measure) : std::nan("");
}

void Suite::measure(int rounds) {
  raw_jump();  // brings the processor up to its speed
  for (int round = 0; round < rounds; ++round) {
    std::fprintf(stderr, "\r%s: round %d of %d", name_.c_str(), round + 1, rounds);
    for (Times& row : rows_) {
      if (!row.measure) continue;
      const double jump = raw_jump();
      raw_.push_back(jump);
      row.times.push_back(row.measure());
      row.ratios.push_back(row.times.back() / jump);
    }
  }
  std::fprintf(stderr, "\n");
}

bool Suite::here(const Expectation& target) const {
  return rows_[target.row].measure && (target.peer == none || rows_[target.peer].measure);
}

Median Suite::ratio(const Expectation& target) const {
  const Times& row = rows_[target.row];
  if (target.peer == none) return median(row.ratios);
  std::vector<double> ratios;
  for (std::size_t round = 0; round < row.times.size(); ++round)
    ratios.push_back(rows_[target.peer].times[round] / row.times[round]);
  return median(std::move(ratios));
}

// Met or lost by the whole interval; open if the limit lies within it.
const char* Suite::verdict(const Expectation& target) const {
  return bench::verdict(ratio(target), target.peer == none ? Target::at_most : Target::at_least,
                        target.factor);
}

std::string Suite::describe(const Expectation& target) const {
  const std::string& row = rows_[target.row].name;
  if (target.peer == none) return row + ": bare jumps, at most";
  return row + ": ahead of " + rows_[target.peer].name + ", at least";
}

void Suite::print() const {
  std::printf("%-42s %10s %8s %17s\n", "", "ns", "x jump", "95 % interval");
  std::printf("%-42s %10s %8s\n", "jump_fcontext, one way", number(median(raw_).value).c_str(),
              "1");
  for (const Times& row : rows_) {
    if (!row.measure) {
      std::printf("%-42s %10s\n", row.name.c_str(), "not here");
      continue;
    }
    const Median ratio = median(row.ratios);
    std::printf("%-42s %10s %8s %17s\n", row.name.c_str(), number(median(row.times).value).c_str(),
                number(ratio.value).c_str(),
                (number(ratio.low) + " - " + number(ratio.high)).c_str());
  }
  for (const Bytes& row : bytes_) {
    if (!row.measure)
      std::printf("%-42s %10s\n", row.name.c_str(), "not here");
    else
      std::printf("%-42s %4.0f bytes\n", row.name.c_str(), row.value);
  }
  std::printf("\n%-90s %7s %7s %17s\n", "target", "", "ratio", "95 % interval");
  for (const Expectation& target : targets_) {
    std::printf("%-78s %7s", describe(target).c_str(), number(target.factor).c_str());
    if (!here(target)) {
      std::printf(" %7s\n", "not here");
      continue;
    }
    const Median at = ratio(target);
    std::printf(" %7s %17s  %s\n", number(at.value).c_str(),
                (number(at.low) + " - " + number(at.high)).c_str(), verdict(target));
  }
  for (const Bytes& row : bytes_)
    if (row.limit > 0)
      std::printf("%-78s %7.0f %7.0f %17s  %s\n", (row.name + ": bytes, at most").c_str(),
                  row.limit, row.value, "", row.value <= row.limit ? "met" : "LOST");
}

bool Suite::write_json(const std::string& file) const {
  std::FILE* out = std::fopen(file.c_str(), "w");
  if (!out) {
    std::perror(file.c_str());
    return false;
  }
  std::fprintf(out, "{\"bench\": \"%s\",\n \"rounds\": %zu,\n \"jump_ns\": %s,\n \"rows\": [",
               name_.c_str(), rows_.empty() ? 0 : raw_.size() / rows_.size(),
               json(median(raw_)).c_str());
  const char* separator = "\n";
  for (const Times& row : rows_) {
    std::fprintf(out, "%s  {\"name\": \"%s\", \"here\": %s, \"ns\": %s, \"jumps\": %s}", separator,
                 row.name.c_str(), row.measure ? "true" : "false", json(median(row.times)).c_str(),
                 json(median(row.ratios)).c_str());
    separator = ",\n";
  }
  for (const Bytes& row : bytes_)
    std::fprintf(out, "%s  {\"name\": \"%s\", \"here\": %s, \"bytes\": %s}", separator,
                 row.name.c_str(), row.measure ? "true" : "false", json_number(row.value).c_str());
  std::fprintf(out, "],\n \"targets\": [");
  separator = "\n";
  for (const Expectation& target : targets_) {
    std::fprintf(out, "%s  {\"name\": \"%s\", \"target\": %s, \"ratio\": %s, \"verdict\": \"%s\"}",
                 separator, describe(target).c_str(), json_number(target.factor).c_str(),
                 json(ratio(target)).c_str(), here(target) ? verdict(target) : "not here");
    separator = ",\n";
  }
  std::fprintf(out, "]}\n");
  return std::fclose(out) == 0;
}

}  // namespace bench
