#pragma once

// What context variables are worth to one line of execution.

#include <uvlet/config.hpp>
#include <uvlet/frame.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace uvlet::inline UVLET_ABI {

// The values that were set, by variable. Roots that share one see what the others set; a copy is
// O(1), as the values are copied when one is set. Counted by hand: it belongs to one hub.
class ContextVars : public FrameAllocated {
 public:
  using Value = std::shared_ptr<const void>;

  ContextVars() noexcept = default;
  ContextVars(const ContextVars&) = delete;
  ContextVars& operator=(const ContextVars&) = delete;

  ContextVars* copy() const {
    auto* other = new ContextVars;
    other->values_ = values_;
    return other;
  }

  // Null if it was not set.
  Value get(std::uint64_t variable) const {
    if (!values_) return nullptr;
    const auto found = values_->find(variable);
    return found == values_->end() ? nullptr : found->second;
  }
  // Null: unset. Gives what it was.
  Value set(std::uint64_t variable, Value value) {
    auto changed = values_ ? std::make_shared<Values>(*values_) : std::make_shared<Values>();
    Value before = std::exchange((*changed)[variable], std::move(value));
    values_ = std::move(changed);
    return before;
  }

  void retain() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) delete this;
  }

 private:
  using Values = std::map<std::uint64_t, Value>;

  std::shared_ptr<const Values> values_;
  std::uint32_t references_ = 1;
};

}  // namespace uvlet::inline UVLET_ABI
