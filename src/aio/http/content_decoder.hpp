#pragma once

// The codings of Content-Encoding undone, by zlib and brotli.

#include <uvlet/config.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace aio::http::detail {

// gzip, x-gzip, deflate and br, in any case.
UVLET_API bool can_decode(std::string_view coding) noexcept;

// A body, piece by piece. Nothing of a bomb is unpacked before it is asked for: no call returns
// more than `most` bytes. How the input is cut changes nothing.
//
//     std::string_view input = ...;  // the next bytes of the body
//     for (std::string bytes; !(bytes = decoder.decode(input)).empty();) use(bytes);
//     ...
//     decoder.finish();  // at the body's end
class UVLET_API ContentDecoder {
 public:
  static constexpr std::size_t most = 64 * 1024;

  // One of the codings above, or std::invalid_argument.
  explicit ContentDecoder(std::string_view coding);
  ~ContentDecoder();
  ContentDecoder(ContentDecoder&&) noexcept;
  ContentDecoder& operator=(ContentDecoder&&) noexcept;

  // The next 1 to `most` bytes; "": all of `input` is used, and nothing is left inside. What is
  // used is taken off the front of `input`; the next call begins with the rest. Throws
  // ClientPayloadError for what is not of that coding, also for bytes after its end; gzip may have
  // several members. zlib keeps 40 KiB, brotli up to 16 MiB, as the sender chose.
  std::string decode(std::string_view& input);

  // After the last byte: throws ClientPayloadError if more should have come. An empty body is
  // whole.
  void finish() const;

 private:
  struct Coding;
  struct Zlib;
  struct Brotli;
  std::unique_ptr<Coding> coding_;
};

}  // namespace aio::http::detail
