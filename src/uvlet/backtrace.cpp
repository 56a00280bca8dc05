#include <uvlet/backtrace.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/waiter.hpp>

#include "frames.hpp"

namespace uvlet::inline UVLET_ABI {
namespace {

constexpr std::size_t coroutines_max = 1000;

// The first word of a coroutine's frame is the function that resumes it, on every compiler.
void* resumed_at(std::coroutine_handle<> coroutine) noexcept {
  return *static_cast<char**>(coroutine.address()) + 1;
}

void add_coroutines(const Root& root, std::vector<void*>& frames) {
  std::coroutine_handle<> coroutine = innermost_coroutine(root);
  while (coroutine && frames.size() < coroutines_max) {
    frames.push_back(resumed_at(coroutine));
    if (root.kind == Root::Kind::foreign) return;  // what waits for it is its library's secret
    coroutine = NativePromise::of(coroutine).continuation;
  }
}

}  // namespace

std::vector<void*> backtrace(Root& root) {
  std::vector<void*> frames;
  FrameList list;
  Hub& hub = *root.hub;
  if (&root == hub.running()) {
    list.capture(__builtin_return_address(0));
  } else if (root.started || root.waiting) {
    add_coroutines(root, frames);
    if (root.sp)
      call_on_top(
          *hub.running(), root,
          [](const void* parked_at, void* frames_found) noexcept {
            static_cast<FrameList*>(frames_found)->capture(parked_at);
          },
          &list);
  }
  frames.insert(frames.end(), list.frames, list.frames + list.count);
  return frames;
}

}  // namespace uvlet::inline UVLET_ABI
