#pragma once

#include "../http/parsing.hpp"
#include "fuzz.hpp"

namespace fuzz {

// Inputs are short.
inline test::Limits small_limits() {
  test::Limits limits;
  limits.line = 40;
  limits.field = 30;
  limits.fields = 4;
  return limits;
}

}  // namespace fuzz
