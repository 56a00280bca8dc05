#include <uvlet/frame.hpp>

namespace uvlet::inline UVLET_ABI {

constinit thread_local FrameCache::Block* FrameCache::first[FrameCache::classes] = {};
constinit thread_local unsigned FrameCache::limit = 0;

// Frees a thread's cached blocks at its end; what is released later goes straight back to the heap.
struct FrameCacheCleaner {
  FrameCacheCleaner() {
#if !defined(UVLET_VALGRIND)  // its quarantine finds what a cache would hide
    FrameCache::limit = FrameCache::blocks_kept_max;
#endif
  }
  ~FrameCacheCleaner() {
    FrameCache::limit = 0;
    for (auto& first : FrameCache::first) {
      while (auto* block = first) {
        first = block->next;
        ::operator delete(block);
      }
    }
  }
};

void* FrameCache::refill(std::size_t index) {
  static thread_local FrameCacheCleaner cleaner;
  return ::operator new(size_of(index));
}

}  // namespace uvlet::inline UVLET_ABI
