#pragma once

// Where the choices of a simulation come from.

#include <uvlet/config.hpp>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace uvlet::inline UVLET_ABI::testing {

class Decisions {
 public:
  virtual ~Decisions() = default;
  virtual std::size_t choose(std::size_t count) noexcept = 0;  // below count
  virtual bool maybe(double probability) noexcept = 0;
};

// Random ones that a seed fixes. (The standard library's distributions differ between libraries,
// its generators do not.)
class RandomDecisions final : public Decisions {
 public:
  explicit RandomDecisions(std::uint64_t seed) : random_(seed) {}
  std::size_t choose(std::size_t count) noexcept override {
    return count > 1 ? static_cast<std::size_t>(random_() % count) : 0;
  }
  bool maybe(double probability) noexcept override {
    return static_cast<double>(random_() >> 11) * 0x1p-53 < probability;
  }

 private:
  std::mt19937_64 random_;
};

// All of them in turn, depth first: each run follows the last one's path up to a choice that has an
// alternative left.
class EveryDecision final : public Decisions {
 public:
  explicit EveryDecision(const std::vector<unsigned>& schedule) {
    for (const unsigned choice : schedule) path_.push_back({choice, 0});
  }

  std::size_t choose(std::size_t count) noexcept override {
    if (count < 2) return 0;
    if (at_ == path_.size()) path_.push_back({0, count});
    Choice& choice = path_[at_++];
    if (choice.count == 0) choice.count = count;  // given from outside
    if (choice.count != count || choice.made >= count) diverged_ = true;
    return choice.made < count ? choice.made : 0;
  }
  bool maybe(double) noexcept override { return choose(2) == 1; }

  void restart() noexcept { at_ = 0; }
  // Goes to the next path; false: there is none.
  bool advance() noexcept {
    path_.resize(at_);
    while (!path_.empty() && path_.back().made + 1 == path_.back().count) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().made;
    return true;
  }
  // The same choices led elsewhere than before: the program depends on something else.
  bool diverged() const noexcept { return diverged_; }
  std::vector<unsigned> schedule() const {
    std::vector<unsigned> choices;
    for (std::size_t i = 0; i < at_; ++i) choices.push_back(static_cast<unsigned>(path_[i].made));
    return choices;
  }

 private:
  struct Choice {
    std::size_t made;
    std::size_t count;
  };
  std::vector<Choice> path_;
  std::size_t at_ = 0;
  bool diverged_ = false;
};

}  // namespace uvlet::inline UVLET_ABI::testing
