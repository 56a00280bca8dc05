#include <uvlet/c_string.hpp>

#include <doctest/doctest.h>

#include <stdexcept>

TEST_CASE("a text goes as it is, one with a NUL byte is refused by name") {
  const std::string text = "/tmp/file";
  CHECK(uvlet::c_string(text, "a path") == text.c_str());
  CHECK(*uvlet::c_string("", "a path") == '\0');
  CHECK_THROWS_WITH_AS(uvlet::c_string(std::string("a\0b\0", 4), "a path"),
                       "a path has a NUL byte in it: 'a\\0b\\0'", std::invalid_argument);
}
