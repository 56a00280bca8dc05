#pragma once

#include <uvlet/config.hpp>

namespace green::debug {

// Whether exceptions that green threads end with are printed on stderr. On at first. Thread-safe.
UVLET_API void hub_exceptions(bool on) noexcept;

// Whether crossings between ordinary functions and coroutines are counted: see
// green::transitions(). Off at first. Thread-safe.
UVLET_API void transitions(bool on) noexcept;

}  // namespace green::debug
