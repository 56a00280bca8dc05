#include <uvlet/c_string.hpp>

#include <stdexcept>

namespace uvlet::inline UVLET_ABI {

const char* c_string(const std::string& text, const std::string& what) {
  if (text.find('\0') == std::string::npos) return text.c_str();
  throw std::invalid_argument(what + " has a NUL byte in it: '" + show_nul(text) + "'");
}

std::string show_nul(const std::string& text) {
  std::string shown;
  for (const char c : text) shown += c == '\0' ? std::string("\\0") : std::string(1, c);
  return shown;
}

}  // namespace uvlet::inline UVLET_ABI
