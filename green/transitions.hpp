#pragma once

// The report of transition points: every crossing between ordinary functions and coroutines,
// counted by call site. A migration moves them; this shows where they stand.

#include <uvlet/call_site.hpp>
#include <uvlet/config.hpp>
#include <uvlet/root.hpp>
#include <uvlet/traceback.hpp>

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace green {

using uvlet::CallSite;

// What crossed at one call site.
struct Transition {
  std::string file;
  unsigned line = 0;
  std::string function;
  std::string direction;  // "sync->async" or "async->sync"
  std::uint64_t calls = 0;
  std::uint64_t suspended = 0;  // of them, those that had to wait
  double total_seconds = 0;     // from the call to its end
  double max_seconds = 0;
  unsigned max_depth = 0;  // changes between green code and coroutines around it, itself included
};

// All call sites so far, of all threads, by file and line. "sync->async" are awaitlet, sync and
// spawn_for_awaitable, "async->sync" co_await of a green thread and async_def. No transitions,
// since nobody's code has to move there: aio::run, by which a program enters its coroutines, and
// the faces of one object, such as q.get() and q.get_async(), thread.wait() and
// thread.wait_async(). Counted from debug::transitions(true), or from the start with
// UVLET_TRANSITIONS=1 in the environment; with a file's name there instead the report is also
// written to it at exit, of the process that began with it and not of its forked children: JSON, or
// Graphviz for "*.dot". Thread-safe, as all of these.
UVLET_API std::vector<Transition> transitions();
// As a table.
UVLET_API void print_transitions(std::ostream& out);
UVLET_API std::string transitions_json();
// Functions as boxes, each with an arrow to "coroutines" or "green threads" for every call site.
UVLET_API std::string transitions_graphviz();
UVLET_API void reset_transitions();

// A migration moves forward only: a test that runs the program can compare it with a baseline, a
// file with a line for each call site ("file function direction"; lines of the source may move:
// of two sites in one function their number counts). Files are named as the compiler was given
// them, without the "../" in front, which depend on where the build's directory lies.
UVLET_API void save_transitions(const std::string& baseline);
// Throws std::runtime_error that names each call site that is not in the baseline, and those among
// which one must be new; system_error if that cannot be read.
UVLET_API void check_transitions(const std::string& baseline);

namespace detail {

inline bool counting() noexcept { return uvlet::CrossingWatch::is(uvlet::CrossingWatch::counted); }

// One crossing, from its beginning to its end.
class UVLET_API Crossing {
 public:
  enum class Direction { to_async, to_sync };
  Crossing(const CallSite& site, Direction direction);
  ~Crossing();
  Crossing(const Crossing&) = delete;
  Crossing& operator=(const Crossing&) = delete;

  bool suspended = false;

 private:
  CallSite site_;
  Direction direction_;
  uvlet::Root& root_;
  std::uint16_t outer_depth_;
  std::int64_t start_;
};

}  // namespace detail
}  // namespace green
