#pragma once

#include <aio/task.hpp>
#include <green/socket.hpp>
#include <uvlet/config.hpp>

// A console into the process that runs: who waits for what, and where.
namespace green::backdoor {

// Serves any number of consoles, each in a green thread of its own: a line in, an answer, and the
// prompt ">>> ". The commands are help, ps, bt ID, kill ID, timers, listeners, transitions, quit.
// Whoever connects may kill green threads: listen on loopback or on a unix socket only. The
// listener stays the caller's; closing it ends the call, and consoles that are open go on.
// Blocks the green thread. Cancel point. Source: eventlet.backdoor.backdoor_server.
UVLET_API void server(Socket& listener);
UVLET_API aio::task<void> server_async(Socket& listener);

}  // namespace green::backdoor
