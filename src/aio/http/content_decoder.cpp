#include "content_decoder.hpp"

#include <aio/http/errors.hpp>
#include <aio/http/headers.hpp>

#include <algorithm>
#include <brotli/decode.h>
#include <limits>
#include <new>
#include <stdexcept>
#include <zlib.h>

namespace aio::http::detail {

struct ContentDecoder::Coding {
  virtual ~Coding() = default;
  // Into `output`, as much as there is and as it takes; the bytes written. Fewer than it takes: all
  // of the input is used.
  virtual std::size_t decode(std::string_view& input, char* output, std::size_t size) = 0;
  virtual bool at_end() const noexcept = 0;

  bool begun = false;
};

// --- zlib --------------------------------------------------------------------------------------

struct ContentDecoder::Zlib final : Coding {
  enum class Format { gzip, deflate };

  explicit Zlib(Format of) : format(of) {
    // 15: the largest window; 16: gzip. What deflate is, its first two bytes say.
    if (inflateInit2(&stream, format == Format::gzip ? 15 + 16 : 15) != Z_OK)
      throw std::bad_alloc();
  }
  ~Zlib() override { inflateEnd(&stream); }
  Zlib(const Zlib&) = delete;
  Zlib& operator=(const Zlib&) = delete;

  std::size_t decode(std::string_view& input, char* output, std::size_t size) override {
    if (format == Format::deflate && !known && !find_format(input)) return 0;
    std::size_t written = 0;
    while (written < size) {
      if (ended && !begin_member(input)) break;
      const std::size_t before = written;
      const std::size_t left = input.size() + first_bytes.size();
      written += inflate_some(input, output + written, size - written);
      if (written == before && left == input.size() + first_bytes.size() && !ended) break;
    }
    return written;
  }

  bool at_end() const noexcept override { return ended; }

 private:
  // By RFC 9110 it is zlib's format; many have sent deflate without it, as all clients accept.
  bool find_format(std::string_view& input) {
    while (first_bytes.size() < 2 && !input.empty()) {
      first_bytes += input.front();
      input.remove_prefix(1);
    }
    if (first_bytes.size() < 2) return false;
    known = true;
    const int first = static_cast<unsigned char>(first_bytes[0]);
    const int second = static_cast<unsigned char>(first_bytes[1]);
    const bool zlib = (first & 15) == 8 && first >> 4 <= 7 && (first * 256 + second) % 31 == 0;
    if (!zlib && inflateReset2(&stream, -15) != Z_OK) throw std::bad_alloc();
    return true;
  }

  // False: nothing follows.
  bool begin_member(std::string_view input) {
    if (input.empty()) return false;
    if (format != Format::gzip)
      throw ClientPayloadError("bytes after the end of a body coded with deflate");
    inflateReset(&stream);
    ended = false;
    return true;
  }

  std::size_t inflate_some(std::string_view& input, char* output, std::size_t size) {
    std::string_view first = first_bytes;
    std::string_view& from = first.empty() ? input : first;
    const std::size_t in = std::min<std::size_t>(from.size(), std::numeric_limits<uInt>::max());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from.data()));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(output);
    stream.avail_out = static_cast<uInt>(size);
    const int code = inflate(&stream, Z_NO_FLUSH);
    from.remove_prefix(in - stream.avail_in);
    if (!first_bytes.empty()) first_bytes.erase(0, first_bytes.size() - first.size());
    if (code == Z_STREAM_END) ended = true;
    if (code == Z_MEM_ERROR) throw std::bad_alloc();
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      throw ClientPayloadError(std::string("a body is not coded with ") +
                               (format == Format::gzip ? "gzip" : "deflate") + ": " +
                               (stream.msg ? stream.msg : "it needs a dictionary"));
    return size - stream.avail_out;
  }

  const Format format;
  z_stream stream{};
  std::string first_bytes;  // that were looked at, until they are used
  bool known = false;
  bool ended = false;
};

// --- brotli ------------------------------------------------------------------------------------

struct ContentDecoder::Brotli final : Coding {
  Brotli() : state(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (!state) throw std::bad_alloc();
  }
  ~Brotli() override { BrotliDecoderDestroyInstance(state); }
  Brotli(const Brotli&) = delete;
  Brotli& operator=(const Brotli&) = delete;

  std::size_t decode(std::string_view& input, char* output, std::size_t size) override {
    if (at_end()) {
      if (input.empty()) return 0;
      throw ClientPayloadError("bytes after the end of a body coded with br");
    }
    std::size_t in = input.size();
    std::size_t out = size;
    const auto* next_in = reinterpret_cast<const std::uint8_t*>(input.data());
    auto* next_out = reinterpret_cast<std::uint8_t*>(output);
    const BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state, &in, &next_in, &out, &next_out, nullptr);
    input.remove_prefix(input.size() - in);
    if (result == BROTLI_DECODER_RESULT_ERROR)
      throw ClientPayloadError(std::string("a body is not coded with br: ") +
                               BrotliDecoderErrorString(BrotliDecoderGetErrorCode(state)));
    if (at_end() && !input.empty() && out == size)
      throw ClientPayloadError("bytes after the end of a body coded with br");
    return size - out;
  }

  bool at_end() const noexcept override { return BrotliDecoderIsFinished(state) != 0; }

  BrotliDecoderState* state;
};

// --- the decoder -------------------------------------------------------------------------------

bool can_decode(std::string_view coding) noexcept {
  return equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip") ||
         equal_ignoring_case(coding, "deflate") || equal_ignoring_case(coding, "br");
}

ContentDecoder::ContentDecoder(std::string_view coding) {
  if (!can_decode(coding))
    throw std::invalid_argument("a coding must be gzip, deflate or br: '" + std::string(coding) +
                                "'");
  if (equal_ignoring_case(coding, "br")) {
    coding_ = std::make_unique<Brotli>();
  } else {
    coding_ = std::make_unique<Zlib>(equal_ignoring_case(coding, "deflate") ? Zlib::Format::deflate
                                                                            : Zlib::Format::gzip);
  }
}

ContentDecoder::~ContentDecoder() = default;
ContentDecoder::ContentDecoder(ContentDecoder&&) noexcept = default;
ContentDecoder& ContentDecoder::operator=(ContentDecoder&&) noexcept = default;

std::string ContentDecoder::decode(std::string_view& input) {
  coding_->begun = coding_->begun || !input.empty();
  if (!coding_->begun) return {};
  std::string bytes(most, '\0');
  bytes.resize(coding_->decode(input, bytes.data(), bytes.size()));
  return bytes;
}

void ContentDecoder::finish() const {
  if (coding_->begun && !coding_->at_end()) throw ClientPayloadError("a coded body is cut short");
}

}  // namespace aio::http::detail
