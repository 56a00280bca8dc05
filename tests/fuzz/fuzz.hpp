#pragma once

// What the targets share. Each has LLVMFuzzerTestOneInput in a file of its own: libFuzzer calls it
// with what it makes up (a build with -Dfuzz=true), replay.cpp with the kept corpus (every build).

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace fuzz {

// A finding.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

inline void require_equal(const std::string& one, const std::string& other, const char* what) {
  if (one == other) return;
  std::fprintf(stderr, "not so: %s\n%s\n%s\n", what, one.c_str(), other.c_str());
  std::abort();
}

// Takes choices off the front of an input, and leaves the rest.
class Input {
 public:
  Input(const std::uint8_t* bytes, std::size_t size)
      : rest_(reinterpret_cast<const char*>(bytes), size) {}

  // 0, where nothing is left.
  unsigned byte() noexcept {
    if (rest_.empty()) return 0;
    const auto first = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }
  // Up to the next byte like this, which goes.
  std::string_view until(char mark) noexcept {
    const std::size_t end = rest_.find(mark);
    const std::string_view part = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    return part;
  }
  std::string_view rest() const noexcept { return rest_; }

 private:
  std::string_view rest_;
};

// Pieces whose sizes follow from the seed; 0 makes them of one byte each.
inline std::vector<std::string_view> cut(std::string_view text, unsigned seed) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const std::size_t size = seed == 0 ? 1 : 1 + (seed * 2654435761U >> 8) % 31;
    pieces.push_back(text.substr(0, size));
    text.remove_prefix(pieces.back().size());
    if (seed != 0) seed = seed * 1103515245U + 12345U;
  }
  return pieces;
}

}  // namespace fuzz
