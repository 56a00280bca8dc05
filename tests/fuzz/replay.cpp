// The kept corpus of a target, in the folder UVLET_CORPUS: a finding aborts.

#include "fuzz.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

TEST_CASE("the kept corpus has no finding") {
  const char* folder = std::getenv("UVLET_CORPUS");
  REQUIRE_MESSAGE(folder, "UVLET_CORPUS names the corpus");
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    REQUIRE(file);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());  // its end is the memory's
    CAPTURE(entry.path());
    LLVMFuzzerTestOneInput(copy.data(), copy.size());
    ++inputs;
  }
  CHECK(inputs > 0);
}
