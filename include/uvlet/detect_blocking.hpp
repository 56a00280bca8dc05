#pragma once

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>

namespace uvlet::inline UVLET_ABI {

// Reports a green thread or task that runs for longer than `resolution` without letting others run:
// one line on stderr with its id, name and backtrace, once each time. For all hubs. Thread-safe.
// While it is on an OS thread of ours looks at the hubs, and every switch goes by way of the loop;
// while it is off it costs nothing. Who holds the hub is interrupted by one signal when it is
// reported: the highest real-time signal but one that nobody handles (system calls go on where
// SA_RESTART lets them). A thread that blocks the signal is reported without a backtrace. Needs
// glibc 2.35: an older one takes a lock in the signal's handler.
// Throws invalid_argument for a resolution of zero, system_error if there is no such signal left.
UVLET_API void detect_blocking(bool on, Duration resolution);

}  // namespace uvlet::inline UVLET_ABI
