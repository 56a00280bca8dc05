#pragma once

#include <uvlet/config.hpp>

#include <cstdint>

namespace uvlet::inline UVLET_ABI::testing {

// The allocation of this thread that is to fail, counted down by the operators new of
// uvlet/testing_new.hpp.
struct AllocationPlan {
  bool armed = false;
  bool failed = false;
  bool asked = false;  // the operators are there
  std::uint64_t left = 0;
  int unlimited = 0;  // depth of scopes whose allocations are not counted
};
extern constinit thread_local AllocationPlan allocation_plan;

// A scope of the simulation's own work: its allocations are not the program's.
class Unlimited {
 public:
  Unlimited() noexcept { ++allocation_plan.unlimited; }
  ~Unlimited() { --allocation_plan.unlimited; }
  Unlimited(const Unlimited&) = delete;
  Unlimited& operator=(const Unlimited&) = delete;
};

}  // namespace uvlet::inline UVLET_ABI::testing
