#pragma once

// Whether it matters where bytes are cut.

#include <cstddef>
#include <random>
#include <string_view>
#include <vector>

namespace test {

// Cuts `bytes` at random, again and again, until there were so many pieces; gives how often
// same(pieces) did not hold.
template <class Same>
int wrong_cuts(std::string_view bytes, int pieces_in_all, Same same) {
  std::minstd_rand random(7);
  int wrong = 0;
  std::vector<std::string_view> pieces;
  for (int cut = 0; cut < pieces_in_all;) {
    pieces.clear();
    const std::size_t longest = 1 + random() % 120;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = 1 + random() % longest;
      pieces.push_back(bytes.substr(at, size));
      at += size;
    }
    cut += static_cast<int>(pieces.size());
    wrong += !same(pieces);
  }
  return wrong;
}

}  // namespace test
