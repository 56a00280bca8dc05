#include "support.hpp"

#include <green/debug.hpp>

#include <cstdlib>
#include <fstream>
#include <unistd.h>

namespace test {

bool peer_works(const std::string& command) {
  if (std::system(("{ " + command + "; } >/dev/null 2>&1").c_str()) == 0) return true;
  const char* wanted = std::getenv("UVLET_TEST_PEERS");
  if (wanted && std::string(wanted) == "required")
    FAIL("UVLET_TEST_PEERS=required, but it fails: " << command);
  MESSAGE("not tested, for it fails: " << command);
  return false;
}

std::uint64_t operations(std::uint64_t usual) {
  const char* storm = std::getenv("UVLET_STORM");
  return storm ? usual * std::strtoull(storm, nullptr, 10) : usual;
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(::getpagesize());
}

Quiet::Quiet() { green::debug::hub_exceptions(false); }
Quiet::~Quiet() { green::debug::hub_exceptions(true); }

}  // namespace test
