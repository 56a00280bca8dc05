#pragma once

// Storms and explorations: programs on the simulation that search for the one schedule that goes
// wrong.

#include "../support.hpp"

#include <green/green.hpp>
#include <uvlet/testing.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace sim {

// Fails the storm or the exploration, which then tells its seed or schedule. (doctest's own checks
// would take most of the time of a program that runs a hundred thousand times.)
inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// Runs body(seed) for `runs` seeds from UVLET_SEED on (else from 1), and before them for each that
// ever failed by this name: these are kept in seeds.txt, which a failure adds to.
void storm(const std::string& name, int runs, const std::function<void(std::uint64_t)>& body);

using test::operations;

// An actor's steps; each runs without the others unless it waits.
using Steps = std::vector<std::function<void()>>;

// Within explore(): runs the actors, each a green thread that lets others run between its steps,
// and `check` after every step. Returns when all have ended; rethrows what the first one threw.
void act(std::vector<Steps> actors, const std::function<void()>& check);

// The orders of actors of so many steps that do not wait: (a + b + c)! / (a! b! c!).
std::uint64_t orders(const std::vector<unsigned>& steps);

}  // namespace sim
