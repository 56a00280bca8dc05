#pragma once

// Where received data go before they have a place of the right size: idle connections hold no
// buffers.

#include <uvlet/config.hpp>

#include <cstddef>

namespace uvlet::inline UVLET_ABI {

inline constexpr std::size_t scratch_bytes = 64 * 1024;

// So many bytes at least, of the OS thread: valid until its next call. Null: no memory.
UVLET_API char* scratch(std::size_t bytes = scratch_bytes) noexcept;

// The same for what stands between a descriptor and who receives into the other one.
UVLET_API char* transport_scratch(std::size_t bytes) noexcept;

// Both are freed when what this OS thread constructed after this call has been destroyed.
void make_scratch();

}  // namespace uvlet::inline UVLET_ABI
