// A connection of responses means the same however its bytes are cut.

#include "fuzz_parsing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::Input input(bytes, size);
  const unsigned seed = input.byte();
  const test::Limits limits = seed >= 128 ? fuzz::small_limits() : test::Limits();
  const bool no_body = seed % 8 == 7;
  constexpr auto responses = test::Parser::Of::responses;
  fuzz::require_equal(test::parse(input.rest(), responses, no_body, limits),
                      test::parse(fuzz::cut(input.rest(), seed), responses, no_body, limits),
                      "responses mean the same however they are cut");
  return 0;
}
