#pragma once

#include "../support.hpp"

#include <green/greenthread.hpp>

#include <stdexcept>

namespace test {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A green thread that waits until it is killed.
inline green::GreenThread<void> sleeper() {
  return green::spawn([] { green::sleep(watchdog); });
}

}  // namespace test
