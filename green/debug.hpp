#pragma once

#include <green/greenthread.hpp>
#include <uvlet/config.hpp>

#include <cstdint>
#include <exception>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace green {

// What is known of one green thread or top-level task.
struct GreenletInfo {
  std::uint64_t id;
  std::string name;
  std::string state;       // "running", "ready", "waiting", "unstarted"
  std::string waiting_on;  // "sleep", "an event"; "" when it waits for nothing
  double for_seconds;      // since it last ran, or was made; see ps()
  void* spawned_at;        // the address of the spawn call; null: main, and tasks
};

// What can be seen from outside, of the hub that runs. None of it switches.
namespace debug {

// Whether exceptions that green threads end with are printed on stderr. On at first. Thread-safe.
UVLET_API void hub_exceptions(bool on) noexcept;

// Whether crossings between ordinary functions and coroutines are counted: see
// green::transitions(). Off at first. Thread-safe.
UVLET_API void transitions(bool on) noexcept;

// Whether exceptions remember their way: see <uvlet/traceback.hpp>. Off at first, but in a library
// built for debugging; UVLET_EXCEPTION_TRACES=1 in the environment means on, 0 off. Thread-safe.
UVLET_API void exception_traces(bool on) noexcept;

// The way of an exception so far, innermost frame first, across coroutines, awaitlets and green
// threads: a line for each. "" if exception_traces() was off when it was thrown. Thread-safe.
UVLET_API std::string traceback(const std::exception_ptr& exception = std::current_exception());

// Whether a green thread or task that lets no other run for `resolution` is reported on stderr,
// once each time, in a line with its id, name and backtrace. For all hubs. Thread-safe. Costs
// nothing while off; see <uvlet/detect_blocking.hpp> for what it does while on.
// Throws invalid_argument for a resolution of zero. Source: eventlet.debug.hub_blocking_detection.
UVLET_API void hub_blocking_detection(bool on, Duration resolution = 1.0);

// All green threads and top-level tasks that are alive, main first, then in the order made. No
// clock is read when one parks: for_seconds counts from the turn of the loop before it did, and so
// includes what others, or it itself, had run since that turn.
UVLET_API std::vector<GreenletInfo> ps();
UVLET_API void print_ps(std::ostream& out);

// The one of that id, if it is alive.
UVLET_API std::optional<Greenlet> find(std::uint64_t id);

// Where it stands, as return addresses, innermost first: coroutines that wait for one another, then
// what is on its stack. Of one that runs: the caller's. Empty if it is dead or has not started.
UVLET_API std::vector<void*> backtrace(const Greenlet& greenlet);
// "f(int)+0x12", for an address of backtrace() or a GreenletInfo.
UVLET_API std::string format_address(void* address);

// A line for each descriptor that somebody waits for: its number, and who. Source:
// eventlet.debug.format_hub_listeners.
UVLET_API std::string format_hub_listeners();
// A line for each timer, the next to expire first: in how many seconds, what it ends, and for whom.
// Source: eventlet.debug.format_hub_timers.
UVLET_API std::string format_hub_timers();

}  // namespace debug
}  // namespace green
