#pragma once

#include <uvlet/config.hpp>

namespace uvlet::inline UVLET_ABI {

// To be called before work is given to libuv's thread pool.
void thread_pool_used() noexcept;
void thread_pool_gone() noexcept;  // in the child of a fork

// How many threads the pool will have: libuv takes 1024 at most. Throws invalid_argument below 1,
// logic_error once the pool was used.
void set_thread_pool_size(int threads);

// To be called when OS threads of the library's own have come or gone: they post to no hub.
void own_threads_changed(int by) noexcept;

// OS threads of this process beside the caller, the library's own and those of libuv's pool.
int other_threads() noexcept;

}  // namespace uvlet::inline UVLET_ABI
