#include "support.hpp"

#include <green/debug.hpp>

namespace test {

Quiet::Quiet() { green::debug::hub_exceptions(false); }
Quiet::~Quiet() { green::debug::hub_exceptions(true); }

}  // namespace test
