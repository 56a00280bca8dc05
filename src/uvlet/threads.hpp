#pragma once

#include <uvlet/config.hpp>

namespace uvlet::inline UVLET_ABI {

// To be called before work is given to libuv's thread pool.
void thread_pool_used() noexcept;

// To be called when OS threads of the library's own have come or gone: they post to no hub.
void own_threads_changed(int by) noexcept;

// OS threads of this process beside the caller, the library's own and those of libuv's pool.
int other_threads() noexcept;

}  // namespace uvlet::inline UVLET_ABI
