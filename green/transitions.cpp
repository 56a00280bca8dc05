#include <green/transitions.hpp>
#include <uvlet/hub.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <map>
#include <mutex>
#include <ostream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <tuple>
#include <unistd.h>

namespace green {
namespace {

using Key = std::tuple<std::string, unsigned, std::string, detail::Crossing::Direction>;

struct Registry {
  std::mutex mutex;
  std::map<Key, Transition> sites;
};

// Never destroyed: crossings may end while the process does.
Registry& registry() {
  static Registry* const shared = new Registry;
  return *shared;
}

const char* name_of(detail::Crossing::Direction direction) noexcept {
  return direction == detail::Crossing::Direction::to_async ? "sync->async" : "async->sync";
}

// A path as it is from the root of the sources, if the compiler was given a relative one.
std::string without_dots(std::string path) {
  for (;;) {
    if (path.starts_with("./"))
      path.erase(0, 2);
    else if (path.starts_with("../"))
      path.erase(0, 3);
    else
      return path;
  }
}

// "file function direction": what stays when lines of the source move, or the build's directory.
std::string lasting_name(const Transition& site) {
  return without_dots(site.file) + " " + site.function + " " + site.direction;
}

// As JSON and DOT have it; other control characters than a line's end become blanks.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (c == '\n')
      result += "\\n";
    else
      result += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return result + '"';
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string report_file;
pid_t reporter;  // a child of it that ends by exit() does not write

void write_report() {
  if (getpid() != reporter) return;
  std::ofstream file(report_file);
  file << (report_file.ends_with(".dot") ? transitions_graphviz() : transitions_json());
  if (!file.flush())
    std::fprintf(stderr, "uvlet: UVLET_TRANSITIONS: cannot write %s\n", report_file.c_str());
}

// UVLET_TRANSITIONS: 1, or the name of a file for the report at exit.
bool asked_for() {
  const char* text = std::getenv("UVLET_TRANSITIONS");
  if (!text || !*text || std::string(text) == "0") return false;
  if (std::string(text) != "1") {
    report_file = text;
    reporter = getpid();
    registry();
    std::atexit(write_report);
  }
  return true;
}

}  // namespace

namespace detail {

[[maybe_unused]] const bool set_up = [] {
  if (asked_for()) uvlet::CrossingWatch::set(uvlet::CrossingWatch::counted, true);
  return true;
}();

Crossing::Crossing(const CallSite& site, Direction direction)
    : site_(site),
      direction_(direction),
      root_(*uvlet::Hub::get().running()),
      outer_depth_(root_.depth),
      start_(root_.hub->now()) {
  // Odd within coroutines: a blocking call there has gone back to ordinary code without a call
  // site.
  const bool in_coroutine = root_.depth % 2 == 1;
  const bool from_coroutine = direction == Direction::to_sync;
  root_.depth += in_coroutine == from_coroutine ? 1 : 2;
}

Crossing::~Crossing() {
  const unsigned depth = root_.depth;
  root_.depth = outer_depth_;
  const double seconds = static_cast<double>(root_.hub->now() - start_) * 1e-9;
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  try {
    const Key key(site_.file_name(), site_.line(), site_.function_name(), direction_);
    Transition& transition = all.sites[key];
    if (transition.calls++ == 0) {
      transition.file = std::get<0>(key);
      transition.line = std::get<1>(key);
      transition.function = std::get<2>(key);
      transition.direction = name_of(direction_);
    }
    transition.suspended += suspended;
    transition.total_seconds += seconds;
    transition.max_seconds = std::max(transition.max_seconds, seconds);
    transition.max_depth = std::max(transition.max_depth, depth);
  } catch (const std::bad_alloc&) {  // one call less in a report
  }
}

}  // namespace detail

std::vector<Transition> transitions() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::vector<Transition> result;
  for (const auto& [key, site] : all.sites) result.push_back(site);
  return result;
}

void reset_transitions() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.sites.clear();
}

void print_transitions(std::ostream& out) {
  const std::vector<Transition> sites = transitions();
  std::size_t width = 9;
  for (const Transition& site : sites)
    width = std::max(width, base_name(site.file).size() + std::to_string(site.line).size() + 1);
  std::ostringstream table;
  table << std::left << std::setw(static_cast<int>(width)) << "call site"
        << "  direction  " << std::right << std::setw(10) << "calls" << std::setw(11) << "suspended"
        << std::setw(12) << "total ms" << std::setw(10) << "max ms" << std::setw(7) << "depth"
        << "  function\n";
  table << std::fixed << std::setprecision(3);
  for (const Transition& site : sites)
    table << std::left << std::setw(static_cast<int>(width))
          << base_name(site.file) + ":" + std::to_string(site.line) << "  " << site.direction
          << std::right << std::setw(10) << site.calls << std::setw(11) << site.suspended
          << std::setw(12) << site.total_seconds * 1e3 << std::setw(10) << site.max_seconds * 1e3
          << std::setw(7) << site.max_depth << "  " << site.function << "\n";
  out << table.str();
}

std::string transitions_json() {
  std::ostringstream json;
  json << "[";
  const char* separator = "\n";
  for (const Transition& site : transitions()) {
    json << separator << "  {\"file\": " << quoted(site.file) << ", \"line\": " << site.line
         << ", \"function\": " << quoted(site.function)
         << ", \"direction\": " << quoted(site.direction) << ", \"calls\": " << site.calls
         << ", \"suspended\": " << site.suspended << ", \"total_seconds\": " << site.total_seconds
         << ", \"max_seconds\": " << site.max_seconds << ", \"max_depth\": " << site.max_depth
         << "}";
    separator = ",\n";
  }
  json << "\n]\n";
  return json.str();
}

std::string transitions_graphviz() {
  std::ostringstream dot;
  dot << "digraph transitions {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const Transition& site : transitions()) {
    const bool to_async = site.direction == "sync->async";
    const std::string caller = quoted(base_name(site.file) + "\n" + site.function);
    const std::string other = to_async ? "\"coroutines\"" : "\"green threads\"";
    dot << "  " << caller << " -> " << other << " [label=\"line " << site.line << ": " << site.calls
        << " calls\"];\n";
  }
  dot << "}\n";
  return dot.str();
}

void save_transitions(const std::string& baseline) {
  std::multiset<std::string> lines;
  for (const Transition& site : transitions()) lines.insert(lasting_name(site));
  std::ofstream file(baseline);
  for (const std::string& line : lines) file << line << "\n";
  if (!file.flush()) throw std::system_error(errno, std::generic_category(), baseline);
}

void check_transitions(const std::string& baseline) {
  std::ifstream file(baseline);
  if (!file) throw std::system_error(errno, std::generic_category(), baseline);
  std::map<std::string, std::size_t> known;
  for (std::string line; std::getline(file, line);) ++known[without_dots(line)];
  const std::vector<Transition> sites = transitions();
  std::map<std::string, std::size_t> seen;
  for (const Transition& site : sites) ++seen[lasting_name(site)];
  std::string unknown;
  for (const Transition& site : sites) {
    const std::string name = lasting_name(site);
    if (seen[name] <= known[name]) continue;
    unknown += "\n  " + site.file + ":" + std::to_string(site.line) + " " + site.direction +
               " in " + site.function;
    if (known[name] > 0)
      unknown += " (" + std::to_string(seen[name]) + " sites there, " +
                 std::to_string(known[name]) + " in the baseline)";
  }
  if (!unknown.empty())
    throw std::runtime_error("transitions that are not in " + baseline + ":" + unknown);
}

}  // namespace green
