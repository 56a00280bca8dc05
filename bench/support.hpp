#pragma once

// What the benchmarks share: rounds in which every row is measured once, each right after the bare
// jump between two stacks; medians; ratios, which are taken within a round.

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

// Nanoseconds for each of `calls` calls.
template <class F>
double each_of(int calls, F call) {
  const auto start = Clock::now();
  for (int i = 0; i < calls; ++i) call();
  return nanoseconds_since(start) / calls;
}

// The limit: nanoseconds for one way of a jump between two stacks.
double raw_jump();

// Bytes that this process has in memory.
double resident_bytes();

// A median, and where it lies in 95 of 100 repetitions: between two of the ordered values, whatever
// their distribution. Of fewer than six values these are the smallest and the largest.
struct Median {
  double value;
  double low;
  double high;
};
Median median(std::vector<double> values);

// Whether a target is "met", "LOST", or, where it lies within the interval, "open".
enum class Target { at_most, at_least };
const char* verdict(const Median& measured, Target target, double limit);

// The rows of a table, and what is expected of them.
class Suite {
 public:
  using Row = std::size_t;

  explicit Suite(std::string name) : name_(std::move(name)) {}

  // Nanoseconds an operation. A row without a function is one that cannot be measured here.
  Row row(std::string name, std::function<double()> measure);
  // Bytes, measured once, before all else, in a process of its own.
  void bytes(std::string name, std::function<double()> measure, double limit = 0);

  // The row may cost up to `limit` bare jumps.
  void at_most(Row row, double limit);
  // `peer` has to cost at least `factor` times as much as the row.
  void ahead(Row row, Row peer, double factor);

  // The whole program: [--json FILE] [ROUNDS].
  int run(int argc, char** argv);

 private:
  struct Times {
    std::string name;
    std::function<double()> measure;
    std::vector<double> times;
    std::vector<double> ratios;  // to the bare jump of the moment
  };
  struct Bytes {
    std::string name;
    std::function<double()> measure;
    double limit;  // 0: none
    double value = 0;
  };
  struct Expectation {
    Row row;
    Row peer;  // none: the bare jump
    double factor;
  };
  static constexpr Row none = static_cast<Row>(-1);

  void measure_bytes();
  void measure(int rounds);
  bool here(const Expectation& target) const;
  Median ratio(const Expectation& target) const;
  const char* verdict(const Expectation& target) const;
  std::string describe(const Expectation& target) const;
  void print() const;
  bool write_json(const std::string& file) const;

  std::string name_;
  std::vector<Bytes> bytes_;
  std::vector<Times> rows_;
  std::vector<Expectation> targets_;
  std::vector<double> raw_;
};

}  // namespace bench
