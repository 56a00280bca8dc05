#include "harness.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>

namespace sim {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string seeds_file() {
  const char* path = std::getenv("UVLET_SEEDS");
  return path ? path : "";
}

std::vector<std::uint64_t> kept_seeds(const std::string& name) {
  std::vector<std::uint64_t> seeds;
  std::ifstream file(seeds_file());
  std::string of;
  for (std::uint64_t seed; file >> of >> seed;)
    if (of == name) seeds.push_back(seed);
  return seeds;
}

void keep_seed(const std::string& name, std::uint64_t seed) {
  for (const std::uint64_t kept : kept_seeds(name))
    if (kept == seed) return;
  std::ofstream(seeds_file(), std::ios::app) << name << ' ' << seed << '\n';
}

}  // namespace

void storm(const std::string& name, int runs, const std::function<void(std::uint64_t)>& body) {
  std::vector<std::uint64_t> seeds = kept_seeds(name);
  const std::uint64_t first = from_environment("UVLET_SEED", 1);
  for (int run = 0; run < runs; ++run) seeds.push_back(first + static_cast<std::uint64_t>(run));
  std::printf("storm %s: %zu seeds, the first new one %llu\n", name.c_str(), seeds.size(),
              static_cast<unsigned long long>(first));
  for (const std::uint64_t seed : seeds) {
    try {
      body(seed);
    } catch (...) {
      std::printf("storm %s: seed %llu failed\n", name.c_str(),
                  static_cast<unsigned long long>(seed));
      keep_seed(name, seed);
      throw;
    }
  }
}

void act(std::vector<Steps> actors, const std::function<void()>& check) {
  green::Event<> all_ended;
  std::exception_ptr error;
  std::size_t running = actors.size();
  for (Steps& steps : actors) {
    green::spawn_n([&] {
      try {
        for (std::size_t i = 0; i < steps.size(); ++i) {
          if (i > 0) green::sleep(0);
          steps[i]();
          check();
        }
      } catch (...) {
        if (!error) error = std::current_exception();
      }
      if (--running == 0) all_ended.send();
    });
  }
  all_ended.wait();
  green::sleep(0);  // the last one is on its way out
  if (error) std::rethrow_exception(error);
}

std::uint64_t orders(const std::vector<unsigned>& steps) {
  std::uint64_t result = 1;
  unsigned total = 0;
  for (const unsigned count : steps)
    for (unsigned i = 1; i <= count; ++i) result = result * ++total / i;
  return result;
}

}  // namespace sim
