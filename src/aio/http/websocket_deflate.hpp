#pragma once

// permessage-deflate (RFC 7692): messages packed and unpacked, by zlib.

#include <uvlet/config.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace aio::http::detail {

// What both ends have agreed on, as one of them sees it.
struct Deflate {
  int window_bits = 15;       // of what is sent
  bool takeover = true;       // whether a message may refer to what was sent before
  bool peer_takeover = true;  // the same of what is received
};

// zlib cannot keep within 256 bytes; messages then go as they are, which is allowed.
inline constexpr int window_bits_min = 9;

// Packs messages. Holds no memory before the first one.
class UVLET_API Deflater {
 public:
  explicit Deflater(const Deflate& how) noexcept;
  ~Deflater();
  // The message as it is sent.
  std::string operator()(std::string_view message);

 private:
  struct Zlib;
  const int window_bits_;
  const bool takeover_;
  std::unique_ptr<Zlib> zlib_;
};

// Unpacks them, piece by piece; false: `out` would have more than `bytes_max` bytes, and has as
// many. Throws WebSocketError 1007 for what was not packed so.
class UVLET_API Inflater {
 public:
  explicit Inflater(const Deflate& how) noexcept;
  ~Inflater();
  bool add(std::string_view packed, std::string& out, std::size_t bytes_max);
  // The message is complete.
  bool finish(std::string& out, std::size_t bytes_max);

 private:
  struct Zlib;
  const bool takeover_;
  std::unique_ptr<Zlib> zlib_;
};

}  // namespace aio::http::detail
