#pragma once

#include <uvlet/config.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace uvlet::inline UVLET_ABI {

// How the page range below a stack is made to fault.
enum class Guard : std::uint8_t {
  automatic,  // madvise where the kernel has it, else mprotect
  madvise,    // MADV_GUARD_INSTALL (Linux >= 6.13): splits no mapping, so a million stacks fit
  mprotect,   // two mappings a stack: vm.max_map_count ends it at about 32,000
};

// The stacks of one hub: slots of one size cut from large mappings, each with a guard at its low
// end, handed out last-in first-out. A slot's top is staggered over 16 colours of 64 bytes, and
// slots are an odd number of pages apart; else all stack tops would share one cache and TLB set.
class UVLET_API StackArena {
 public:
  static constexpr std::size_t page_bytes = 4096;
  static constexpr std::size_t stack_bytes_min = 16 * 1024;

  // Throws invalid_argument below stack_bytes_min or for a guard the kernel does not have.
  StackArena(std::size_t stack_bytes, Guard guard);
  ~StackArena();
  StackArena(const StackArena&) = delete;
  StackArena& operator=(const StackArena&) = delete;

  // The high end of a stack that is free. Throws system_error(ENOMEM) naming the limit.
  char* allocate() {
    if (free_count_ == 0) [[unlikely]]
      return allocate_fresh();
    char* top = free_[--free_count_];
    if (free_count_ < free_min_) free_min_ = free_count_;
#if defined(UVLET_ASAN)
    unpoison(top);  // of the frames that its last user left without returning
#endif
    return top;
  }

  // The caller may still stand on it, until it jumps away.
  void release(char* top) noexcept { free_[free_count_++] = top; }

  // How far below the top of this slot the first byte in use should lie.
  std::size_t colour(const char* top) const noexcept {
    return (reinterpret_cast<std::uintptr_t>(top) >> colour_shift_ & 15) * 64;
  }

  std::size_t stack_bytes() const noexcept { return stack_bytes_; }
  char* low(char* top) const noexcept { return top - stack_bytes_; }
  Guard guard() const noexcept { return guard_; }
  std::size_t in_use() const noexcept { return fresh_used_ - free_count_; }

  // Tops of the stacks that are handed out.
  std::vector<char*> used() const;
  // The top of the stack in whose guard this address lies; null if in none.
  char* overflowed_at(const void* address) const noexcept;
  // Gives back the memory of stacks that no one used since the last call.
  void trim() noexcept;

  // What the sanitizers keep with a stack for as long as it exists.
  void*& tsan_fiber(char* top) noexcept { return reinterpret_cast<void**>(top)[-1]; }
  static constexpr std::size_t tail_bytes =
#if defined(UVLET_TSAN)
      64;
#else
      0;
#endif

 private:
  struct Chunk {
    char* base;
    std::size_t slots;
    std::size_t used;  // slots handed out at least once: the others have no guard yet
    std::vector<unsigned> registered;  // what valgrind calls these, where it is told of them
  };

  UVLET_COLD char* allocate_fresh();
  void map_chunk();
  void install_guard(char* slot);
  void unpoison(char* top) noexcept;

  std::vector<char*> free_;  // as long as there are slots; the free ones come first
  std::size_t free_count_ = 0;
  std::vector<Chunk> chunks_;
  std::size_t free_min_ = 0;  // fewest free ones since the last trim: these were not touched
  std::size_t trimmed_ = 0;   // this many of the first free ones hold no memory
  std::size_t fresh_used_ = 0;
  std::size_t stack_bytes_;
  std::size_t guard_bytes_;
  std::size_t slot_bytes_;
  unsigned colour_shift_;
  Guard guard_;
};

}  // namespace uvlet::inline UVLET_ABI
