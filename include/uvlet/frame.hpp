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
#if !defined(UVLET_ASAN) && !defined(UVLET_TSAN)
    if (bytes <= bytes_max) [[likely]] {
      const std::size_t index = index_of(bytes);
      if (Block* block = first[index]) [[likely]] {
        first[index] = block->next;
        return block;
      }
      return refill(index);
    }
#endif  // malloc's own quarantine finds what a cache would hide
    return ::operator new(bytes);
  }

  static void release(void* memory, [[maybe_unused]] std::size_t bytes) noexcept {
#if !defined(UVLET_ASAN) && !defined(UVLET_TSAN)
    if (bytes <= bytes_max) [[likely]] {
      Block*& below = first[index_of(bytes)];
      const unsigned depth = below ? below->depth + 1 : 1;
      if (depth <= limit) [[likely]] {
        below = new (memory) Block{below, depth};
        return;
      }
    }
#endif
    ::operator delete(memory);
  }

 private:
  // Each knows how many there are: one counter, changed by every call, would be what calls wait
  // for.
  struct Block {
    Block* next;
    unsigned depth;
  };

  // Of 16, 24, 40, 56, ... bytes: what malloc gives is filled to the last.
  static constexpr std::size_t index_of(std::size_t bytes) noexcept { return (bytes + 7) / 16; }
  static constexpr std::size_t size_of(std::size_t index) noexcept {
    return index == 0 ? sizeof(Block) : index * 16 + 8;
  }
  static constexpr std::size_t classes = bytes_max / 16 + 1;

  UVLET_API UVLET_COLD static void* refill(std::size_t index);
  friend struct FrameCacheCleaner;

  // `limit` is 0 until the thread's cleaner is registered and after it has run.
  UVLET_API static constinit thread_local Block* first[classes]
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
