#pragma once

// Whether bytes are UTF-8, as they come.

#include <uvlet/config.hpp>

#include <string_view>

namespace aio::http::detail {

// Tells at the first byte that cannot be part of UTF-8 (RFC 3629), however the text is cut.
class UVLET_API Utf8 {
 public:
  // False: it is not UTF-8, and stays so.
  bool add(std::string_view text) noexcept;
  // Whether no character is cut short.
  bool complete() const noexcept { return left_ == 0; }

 private:
  bool begin(unsigned char byte) noexcept;

  int left_ = 0;  // bytes of a character still to come; the first of them within these:
  unsigned char low_ = 0x80;
  unsigned char high_ = 0xbf;
};

inline bool is_utf8(std::string_view text) noexcept {
  Utf8 check;
  return check.add(text) && check.complete();
}

}  // namespace aio::http::detail
