#pragma once

#include <uvlet/config.hpp>

#include <string>

namespace uvlet::inline UVLET_ABI {

// The text as the system takes it. Throws invalid_argument that starts with `what` and names the
// text, if there is a NUL byte in it: the system would take what is before for the whole.
UVLET_API const char* c_string(const std::string& text, const std::string& what);

// The text for a message, which would end at a NUL byte: each is shown as \0.
UVLET_API std::string show_nul(const std::string& text);

}  // namespace uvlet::inline UVLET_ABI
