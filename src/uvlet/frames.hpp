#pragma once

// The walk up a stack, as it is done from a signal handler too: nothing is allocated.

#include <uvlet/config.hpp>

#include <cstddef>
#include <cstdint>
#include <unwind.h>
#include <vector>

namespace uvlet::inline UVLET_ABI {

// The return addresses of the calling stack, from `first` on: those of the walk itself come before
// it. All of them if `first` is not among them.
struct FrameList {
  static constexpr std::size_t count_max = 64;
  void* frames[count_max];
  std::uintptr_t places[count_max];  // where each one's frame begins, on its stack
  std::size_t count = 0;

  void capture(const void* first) noexcept {
    count = 0;
    Walk walk{*this, first};
    _Unwind_Backtrace(&step, &walk);
  }
  std::vector<void*> copy() const { return std::vector<void*>(frames, frames + count); }

  // Whether that frame is also one of this list, in the same call.
  bool contains(const FrameList& other, std::size_t index) const noexcept {
    for (std::size_t i = 0; i < count; ++i)
      if (frames[i] == other.frames[index] && places[i] == other.places[index]) return true;
    return false;
  }

 private:
  struct Walk {
    FrameList& list;
    const void* first;  // null: it was found
  };
  static _Unwind_Reason_Code step(_Unwind_Context* context, void* argument) noexcept {
    auto& walk = *static_cast<Walk*>(argument);
    FrameList& list = walk.list;
    auto* address = reinterpret_cast<void*>(_Unwind_GetIP(context));
    if (!address) return _URC_END_OF_STACK;
    if (address == walk.first) {
      list.count = 0;
      walk.first = nullptr;
    }
    if (list.count == count_max) return _URC_END_OF_STACK;
    list.places[list.count] = _Unwind_GetCFA(context);
    list.frames[list.count++] = address;
    return _URC_NO_REASON;
  }
};

}  // namespace uvlet::inline UVLET_ABI
