#include "../../src/aio/http/content_decoder.hpp"

#include <aio/http/errors.hpp>

#include <brotli/encode.h>
#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <vector>

using aio::http::ClientPayloadError;
using aio::http::detail::can_decode;
using aio::http::detail::ContentDecoder;

namespace {

// 15: zlib's own format, -15: deflate alone, 31: gzip.
std::string compress(const std::string& text, int window) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string result(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

std::string brotli(const std::string& text) {
  std::string result(BrotliEncoderMaxCompressedSize(text.size()) + 64, '\0');
  std::size_t size = result.size();
  REQUIRE(BrotliEncoderCompress(5, 22, BROTLI_MODE_TEXT, text.size(),
                                reinterpret_cast<const std::uint8_t*>(text.data()), &size,
                                reinterpret_cast<std::uint8_t*>(result.data())) == BROTLI_TRUE);
  result.resize(size);
  return result;
}

std::string text_of(std::size_t bytes) {
  std::mt19937 random(1);
  std::string text;
  while (text.size() < bytes) text += std::to_string(random() % 1000) + " words, ";
  return text;
}

struct Coded {
  const char* coding;
  std::string bytes;
};

std::vector<Coded> all_of(const std::string& text) {
  return {{"gzip", compress(text, 31)},
          {"deflate", compress(text, 15)},
          {"deflate", compress(text, -15)},
          {"br", brotli(text)}};
}

std::string decode(ContentDecoder& decoder, std::string_view input) {
  std::string text;
  for (std::string bytes; !(bytes = decoder.decode(input)).empty();) {
    CHECK(bytes.size() <= ContentDecoder::most);
    text += bytes;
  }
  CHECK(input.empty());
  return text;
}

std::string decode(const char* coding, const std::string& bytes, std::size_t piece = 1 << 30) {
  ContentDecoder decoder(coding);
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    text += decode(decoder, std::string_view(bytes).substr(at, piece));
  decoder.finish();
  return text;
}

}  // namespace

TEST_CASE("the codings are known by name, in any case") {
  for (const char* coding : {"gzip", "x-gzip", "GZip", "deflate", "br", "BR"}) {
    CHECK(can_decode(coding));
    CHECK_NOTHROW(ContentDecoder{coding});
  }
  for (const char* coding : {"", "identity", "zstd", "gzip, br", "compress"}) {
    CHECK_FALSE(can_decode(coding));
    CHECK_THROWS_AS(ContentDecoder{coding}, std::invalid_argument);
  }
  CHECK_THROWS_WITH_AS(ContentDecoder("zstd"), "a coding must be gzip, deflate or br: 'zstd'",
                       std::invalid_argument);
}

TEST_CASE("a body is what it was, however it is cut") {
  for (const std::size_t size : {0, 1, 100, 65'536, 300'000}) {
    const std::string text = text_of(size);
    for (const Coded& coded : all_of(text)) {
      CHECK(decode(coded.coding, coded.bytes) == text);
      CHECK(decode(coded.coding, coded.bytes, 1000) == text);
      if (size < 1000) CHECK(decode(coded.coding, coded.bytes, 1) == text);
    }
  }
}

TEST_CASE("gzip may have several members") {
  const std::string two = compress("hello ", 31) + compress("", 31) + compress("world", 31);
  CHECK(decode("gzip", two) == "hello world");
  CHECK(decode("gzip", two, 1) == "hello world");
}

TEST_CASE("a body that ends too early is an error, wherever it ends") {
  for (const Coded& coded : all_of(text_of(200)))
    for (std::size_t bytes = 1; bytes < coded.bytes.size(); ++bytes)
      CHECK_THROWS_AS(decode(coded.coding, coded.bytes.substr(0, bytes)), ClientPayloadError);
  CHECK_THROWS_AS(decode("gzip", compress("a", 31) + compress("b", 31).substr(0, 5)),
                  ClientPayloadError);
}

TEST_CASE("an empty body is whole") {
  for (const char* coding : {"gzip", "deflate", "br"}) CHECK(decode(coding, "") == "");
}

TEST_CASE("bytes after the end are an error") {
  for (const Coded& coded : all_of(text_of(200))) {
    CHECK_THROWS_AS(decode(coded.coding, coded.bytes + "x"), ClientPayloadError);
    CHECK_THROWS_AS(decode(coded.coding, coded.bytes + "x", 1), ClientPayloadError);
  }
}

TEST_CASE("a checksum or a length that is wrong is an error") {
  for (std::size_t from_end = 1; from_end <= 8; ++from_end) {
    std::string bytes = compress("hello", 31);
    bytes[bytes.size() - from_end] = static_cast<char>(bytes[bytes.size() - from_end] ^ 1);
    CHECK_THROWS_AS(decode("gzip", bytes), ClientPayloadError);
  }
  std::string bytes = compress("hello", 15);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  CHECK_THROWS_WITH_AS(decode("deflate", bytes),
                       "a body is not coded with deflate: incorrect data check",
                       ClientPayloadError);
}

TEST_CASE("what is of no coding is an error") {
  for (const char* coding : {"gzip", "deflate", "br"})
    CHECK_THROWS_AS(decode(coding, "<html>this is no coded body at all</html>"),
                    ClientPayloadError);
  CHECK_THROWS_WITH_AS(decode("gzip", "hello"),
                       "a body is not coded with gzip: incorrect header check", ClientPayloadError);
}

TEST_CASE("a bomb is unpacked no further than is asked") {
  const std::string zeros(50'000'000, '\0');
  for (const Coded& coded : all_of(zeros)) {
    CHECK(coded.bytes.size() < 60'000);
    ContentDecoder decoder(coded.coding);
    std::string_view input = coded.bytes;
    for (int asked = 0; asked < 10; ++asked)
      CHECK(decoder.decode(input).size() == ContentDecoder::most);
  }
}

TEST_CASE("a decoder moves with its state") {
  const std::string bytes = compress("hello world", 31);
  ContentDecoder one("gzip");
  std::string text = decode(one, std::string_view(bytes).substr(0, 15));
  ContentDecoder other = std::move(one);
  text += decode(other, std::string_view(bytes).substr(15));
  other.finish();
  CHECK(text == "hello world");
}
