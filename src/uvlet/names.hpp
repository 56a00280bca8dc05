#pragma once

#include <uvlet/config.hpp>
#include <uvlet/root.hpp>

#include <string>

namespace uvlet::inline UVLET_ABI {

// A type's or a symbol's name as it is written.
std::string demangled(const char* name);

// "a::f+0x12" for "a::f(std::map<int, int>)+0x12": lists of parameters hide the names.
std::string without_parameters(const std::string& symbol);

// Whether the function that returns there is the library's own, the C++ library's, or what calls a
// stack's first function: of no use to who reads a trace.
bool is_internal(void* return_address);

// "green thread", "task".
const char* kind_name(Root::Kind kind) noexcept;

}  // namespace uvlet::inline UVLET_ABI
