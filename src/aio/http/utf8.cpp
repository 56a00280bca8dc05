#include "utf8.hpp"

#include <cstdint>
#include <cstring>

namespace aio::http::detail {
namespace {

// How many bytes at the front are ASCII; some of the last ones may not be counted.
std::size_t ascii_prefix(std::string_view text) noexcept {
  std::size_t at = 0;
  for (std::uint64_t word; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & 0x8080808080808080u) != 0) break;
  }
  return at;
}

}  // namespace

bool Utf8::begin(unsigned char byte) noexcept {
  if (byte < 0xc2 || byte > 0xf4) return false;  // overlong, or beyond U+10FFFF
  left_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
  if (byte == 0xe0) low_ = 0xa0;   // overlong
  if (byte == 0xed) high_ = 0x9f;  // surrogates
  if (byte == 0xf0) low_ = 0x90;   // overlong
  if (byte == 0xf4) high_ = 0x8f;  // beyond U+10FFFF
  return true;
}

bool Utf8::add(std::string_view text) noexcept {
  while (!text.empty()) {
    if (left_ == 0) {
      text.remove_prefix(ascii_prefix(text));
      if (text.empty()) break;
    }
    const auto byte = static_cast<unsigned char>(text.front());
    text.remove_prefix(1);
    if (left_ > 0) {
      if (byte < low_ || byte > high_) return false;
      low_ = 0x80;
      high_ = 0xbf;
      --left_;
    } else if (byte >= 0x80 && !begin(byte)) {
      return false;
    }
  }
  return true;
}

}  // namespace aio::http::detail
