#pragma once

#include <uvlet/config.hpp>

namespace uvlet::inline UVLET_ABI {

// Makes this OS thread say which green thread overflowed its stack before the process dies of it.
void install_overflow_report();

}  // namespace uvlet::inline UVLET_ABI
