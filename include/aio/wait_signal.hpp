#pragma once

#include <aio/task.hpp>

namespace aio {

// Waits until the process gets this signal, whose default action is held off meanwhile; gives its
// number. All who wait for it are woken. Throws invalid_argument for what is no signal, or cannot
// be caught. A signal that comes while nobody waits has its default action: who waits in a loop
// makes a SignalReceiver before. Source: sigwait.
UVLET_API task<int> wait_signal(int number);

}  // namespace aio
