#pragma once

#include <aio/task.hpp>

#include <functional>

namespace aio {

// Waits until the process gets this signal, whose default action is held off meanwhile; gives its
// number. All who wait for it are woken. Throws invalid_argument for what is no signal, or cannot
// be caught. A signal that comes while nobody waits has its default action. Source: sigwait.
UVLET_API task<int> wait_signal(int number);

namespace detail {

// Waits until `settled` gives true. It is asked at first, and whenever the process got the signal;
// on the loop's stack too, so it neither throws nor runs user code.
UVLET_API task<void> wait_signal_until(int number, std::function<bool()> settled);

}  // namespace detail

}  // namespace aio
