// A connection of requests means the same however its bytes are cut.

#include "fuzz_parsing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::Input input(bytes, size);
  const unsigned seed = input.byte();
  const test::Limits limits = seed >= 128 ? fuzz::small_limits() : test::Limits();
  constexpr auto requests = test::Parser::Of::requests;
  fuzz::require_equal(test::parse(input.rest(), requests, false, limits),
                      test::parse(fuzz::cut(input.rest(), seed), requests, false, limits),
                      "requests mean the same however they are cut");
  return 0;
}
