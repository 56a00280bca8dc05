// A chunked body means the same however its bytes are cut, and the same to servers and clients.

#include "fuzz_parsing.hpp"

namespace {

using test::Parser;

// The head goes, which the two do not have in common.
std::string body(const std::string& head, std::string_view bytes, Parser::Of of, unsigned seed) {
  std::vector<std::string_view> pieces = fuzz::cut(bytes, seed);
  pieces.insert(pieces.begin(), head);
  const std::string whole = test::parse(head + std::string(bytes), of);
  fuzz::require_equal(whole, test::parse(pieces, of), "a body means the same however it is cut");
  const std::size_t end = whole.find("{Transfer-Encoding=chunked})");
  fuzz::require(end != std::string::npos, "the head is read");
  // What follows the body is the next message, of another kind.
  return whole.substr(end, whole.find('.', end) - end);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::Input input(bytes, size);
  const unsigned seed = input.byte();
  const std::string fields = "Transfer-Encoding: chunked\r\n\r\n";
  const std::string request =
      body("PUT / HTTP/1.1\r\nHost: a\r\n" + fields, input.rest(), Parser::Of::requests, seed);
  const std::string response =
      body("HTTP/1.1 200 OK\r\n" + fields, input.rest(), Parser::Of::responses, seed);
  fuzz::require_equal(request, response, "a body means the same to both sides");
  return 0;
}
