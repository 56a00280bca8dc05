// A coded body is the same, or an error, however its bytes are cut.

#include "../../src/aio/http/content_decoder.hpp"

#include "fuzz.hpp"

#include <aio/http/errors.hpp>

namespace {

using aio::http::detail::ContentDecoder;

constexpr std::size_t enough = 1 << 20;  // of a bomb

std::string decode(const char* coding, const std::vector<std::string_view>& pieces) {
  ContentDecoder decoder(coding);
  std::string text;
  try {
    for (std::string_view input : pieces) {
      for (std::string bytes; !(bytes = decoder.decode(input)).empty();) {
        fuzz::require(bytes.size() <= ContentDecoder::most, "no call gives more than is asked");
        text += bytes;
        if (text.size() >= enough) return text.substr(0, enough);
      }
      fuzz::require(input.empty(), "all of the input is used");
    }
    decoder.finish();
  } catch (const aio::http::ClientPayloadError&) {
    return "error";
  }
  return "text " + text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  constexpr const char* codings[] = {"gzip", "deflate", "br"};
  fuzz::Input input(bytes, size);
  const char* const coding = codings[input.byte() % 3];
  const unsigned seed = input.byte();
  const std::string whole = decode(coding, {input.rest()});
  const std::string cut = decode(coding, fuzz::cut(input.rest(), seed));
  fuzz::require(whole == cut, "a body is the same however it is cut");
  return 0;
}
