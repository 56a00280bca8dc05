#pragma once

#include <uvlet/config.hpp>

namespace uvlet::inline UVLET_ABI {

// To be called before work is given to libuv's thread pool.
void thread_pool_used() noexcept;
void thread_pool_gone() noexcept;  // in the child of a fork

// OS threads of this process beside the caller and those of libuv's pool.
int other_threads() noexcept;

}  // namespace uvlet::inline UVLET_ABI
