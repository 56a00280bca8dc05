#pragma once

// Each gives nanoseconds a call, or bytes.

#include <functional>
#include <string>

namespace peers {

// Boost.Asio: a stackful coroutine (spawn) waits for an awaitable (co_spawn). With the executor's
// own type, where Asio is fastest, and with any_io_executor, which is its default. Beside another:
// one that yields all the time.
double asio_ready();
double asio_suspending();
double asio_suspending_beside_another();
double asio_ready_any_executor();
double asio_suspending_any_executor();
double asio_idle_bytes();

// An OS thread for each call, whose result comes by a promise; the same, where the thread makes a
// loop of its own, runs the call there as a callback, and closes it.
double thread_and_promise();
double thread_with_loop();

// The function of python_peer.py with this name, which is asked each time it is called; none if the
// interpreter, `python3` or what $PYTHON says, cannot import what it needs.
std::function<double()> python(const std::string& function);

}  // namespace peers
