#pragma once

#include <uvlet/config.hpp>

#include <cstddef>
#include <new>

namespace uvlet::inline UVLET_ABI {

// Memory for coroutine frames and other small short-lived objects: a free list a size class and OS
// thread. It knows nothing of hubs, so a thread without one may make frames. Blocks may be freed on
// another thread than the one that made them.
class FrameCache {
 public:
  static constexpr std::size_t bytes_max = 1024;
  static constexpr unsigned blocks_kept_max = 4096;  // of each class

  static void* allocate(std::size_t bytes) {
    const std::size_t index = class_of(bytes);
#if !defined(UVLET_ASAN) && !defined(UVLET_TSAN)
    if (index < classes) [[likely]] {
      Bin& bin = bins[index];
      if (Block* block = bin.first) [[likely]] {
        bin.first = block->next;
        --bin.count;
        return block;
      }
      return refill(index);
    }
#else
    (void)index;  // malloc's own quarantine finds what a cache would hide
#endif
    return ::operator new(bytes);
  }

  static void release(void* memory, std::size_t bytes) noexcept {
    const std::size_t index = class_of(bytes);
#if !defined(UVLET_ASAN) && !defined(UVLET_TSAN)
    if (index < classes && bins[index].count < limit) [[likely]] {
      Bin& bin = bins[index];
      auto* block = static_cast<Block*>(memory);
      block->next = bin.first;
      bin.first = block;
      ++bin.count;
      return;
    }
#else
    (void)index;
#endif
    ::operator delete(memory);
  }

 private:
  // Of 8, 24, 40, ... bytes: what malloc gives is filled to the last.
  static constexpr std::size_t class_of(std::size_t bytes) noexcept { return (bytes + 7) / 16; }
  static constexpr std::size_t bytes_of(std::size_t index) noexcept { return index * 16 + 8; }
  static constexpr std::size_t classes = bytes_max / 16 + 1;

  struct Block {
    Block* next;
  };
  struct Bin {
    Block* first;
    unsigned count;
  };
  UVLET_API UVLET_COLD static void* refill(std::size_t index);
  friend struct FrameCacheCleaner;

  // `limit` is 0 until the thread's cleaner is registered and after it has run.
  UVLET_API static constinit thread_local Bin bins[classes]
      __attribute__((tls_model("initial-exec")));
  UVLET_API static constinit thread_local unsigned limit __attribute__((tls_model("initial-exec")));
};

// Gives the classes derived from it their memory from the FrameCache.
struct FrameAllocated {
  static void* operator new(std::size_t bytes) { return FrameCache::allocate(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    FrameCache::release(memory, bytes);
  }
};

}  // namespace uvlet::inline UVLET_ABI
