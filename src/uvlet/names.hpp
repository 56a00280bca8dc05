#pragma once

#include <uvlet/config.hpp>
#include <uvlet/root.hpp>

#include <string>

namespace uvlet::inline UVLET_ABI {

// A type's or a symbol's name as it is written.
std::string demangled(const char* name);

// "green thread", "task".
const char* kind_name(Root::Kind kind) noexcept;

}  // namespace uvlet::inline UVLET_ABI
