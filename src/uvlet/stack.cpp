#include <uvlet/stack.hpp>
#include <uvlet/switch.hpp>

#include "valgrind.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <system_error>
#include <unordered_set>

namespace uvlet::inline UVLET_ABI {
namespace {

constexpr int madv_guard_install = 102;
constexpr std::size_t chunk_slots_first = 64;
constexpr std::size_t chunk_slots_max = 8192;

char* map(std::size_t bytes) noexcept {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  madvise(memory, bytes, MADV_NOHUGEPAGE);
  return static_cast<char*>(memory);
}

// Asked once on a scratch page; a process under mlockall is refused as an old kernel is.
bool kernel_has_guards() noexcept {
  char* page = map(StackArena::page_bytes);
  if (!page) return false;
  const bool has = madvise(page, StackArena::page_bytes, madv_guard_install) == 0;
  munmap(page, StackArena::page_bytes);
  return has;
}

Guard choose(Guard wanted) {
  if (wanted == Guard::mprotect) return wanted;
  static const bool has = kernel_has_guards();
  if (has) return Guard::madvise;
  if (wanted == Guard::madvise)
    throw std::invalid_argument(
        "HubOptions::guard is madvise, but this kernel has no MADV_GUARD_INSTALL (Linux >= 6.13)");
  return Guard::mprotect;
}

#if defined(UVLET_TSAN)
// Destroying a context that never ran would corrupt the tool's own memory: it runs for a moment.
void destroy_tsan_fiber(void* fiber) noexcept {
  void* self = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber, 0);
  __tsan_switch_to_fiber(self, 0);
  __tsan_destroy_fiber(fiber);
}
#endif

[[noreturn]] void throw_no_memory(std::size_t stacks, const char* limit) {
  throw std::system_error(
      ENOMEM, std::generic_category(),
      "no stack for another green thread beside " + std::to_string(stacks) + ": " + limit);
}

}  // namespace

StackArena::StackArena(std::size_t stack_bytes, Guard guard) : guard_(choose(guard)) {
  if (stack_bytes < stack_bytes_min)
    throw std::invalid_argument("HubOptions::stack_size is " + std::to_string(stack_bytes) +
                                ", the least is " + std::to_string(stack_bytes_min));
  stack_bytes_ = (stack_bytes + page_bytes - 1) / page_bytes * page_bytes;
  // A large guard costs page tables only; small stacks stay small.
  guard_bytes_ = stack_bytes_ >= 256 * 1024 ? 64 * 1024 : page_bytes;
  if ((stack_bytes_ + guard_bytes_) / page_bytes % 2 == 0) guard_bytes_ += page_bytes;
  slot_bytes_ = stack_bytes_ + guard_bytes_;
  colour_shift_ = static_cast<unsigned>(std::bit_width(slot_bytes_) - 1);
}

StackArena::~StackArena() {
  for (const Chunk& chunk : chunks_) {
#if defined(UVLET_TSAN)
    for (std::size_t slot = 1; slot <= chunk.used; ++slot)
      destroy_tsan_fiber(tsan_fiber(chunk.base + slot * slot_bytes_));
#endif
    for (const unsigned number : chunk.registered) deregister_stack(number);
    munmap(chunk.base, chunk.slots * slot_bytes_);
  }
}

char* StackArena::allocate_fresh() {
  if (chunks_.empty() || chunks_.back().used == chunks_.back().slots) map_chunk();
  Chunk& chunk = chunks_.back();
  char* slot = chunk.base + chunk.used * slot_bytes_;
  install_guard(slot);
  ++chunk.used;
  ++fresh_used_;
  char* top = slot + slot_bytes_;
#if defined(UVLET_VALGRIND)
  chunk.registered.push_back(register_stack(low(top), top));
#endif
#if defined(UVLET_ASAN)
  unpoison(top);  // of what a hub that has ended left at the same addresses
#endif
#if defined(UVLET_TSAN)
  tsan_fiber(top) = __tsan_create_fiber(0);
#endif
  return top;
}

void StackArena::map_chunk() {
  std::size_t slots = chunk_slots_first;
  std::size_t total = 0;
  for (const Chunk& chunk : chunks_) total += chunk.slots;
  if (!chunks_.empty()) slots = std::min(chunks_.back().slots * 2, chunk_slots_max);
  if (chunks_.size() == chunks_.capacity()) chunks_.reserve(2 * chunks_.size() + 1);
  free_.resize(total + slots);
  char* base = map(slots * slot_bytes_);
  while (!base && slots > 1) {
    slots /= 2;
    base = map(slots * slot_bytes_);
  }
  if (!base) throw_no_memory(in_use(), "address space is out (RLIMIT_AS, vm.overcommit_memory)");
  chunks_.push_back({base, slots, 0, {}});
#if defined(UVLET_VALGRIND)
  chunks_.back().registered.reserve(slots);
#endif
}

void StackArena::install_guard(char* slot) {
  const int failed = guard_ == Guard::madvise ? madvise(slot, guard_bytes_, madv_guard_install)
                                              : mprotect(slot, guard_bytes_, PROT_NONE);
  if (failed)
    throw_no_memory(in_use(), guard_ == Guard::madvise
                                  ? "the kernel refused a guard (MADV_GUARD_INSTALL)"
                                  : "the guards use up vm.max_map_count");
}

std::vector<char*> StackArena::used() const {
  const std::unordered_set<char*> unused(free_.begin(),
                                         free_.begin() + static_cast<std::ptrdiff_t>(free_count_));
  std::vector<char*> tops;
  for (const Chunk& chunk : chunks_)
    for (std::size_t slot = 1; slot <= chunk.used; ++slot)
      if (char* top = chunk.base + slot * slot_bytes_; !unused.contains(top)) tops.push_back(top);
  return tops;
}

char* StackArena::overflowed_at(const void* address) const noexcept {
  auto* at = static_cast<const char*>(address);
  for (const Chunk& chunk : chunks_) {
    if (at < chunk.base || at >= chunk.base + chunk.slots * slot_bytes_) continue;
    const auto offset = static_cast<std::size_t>(at - chunk.base);
    if (offset % slot_bytes_ >= guard_bytes_) return nullptr;
    return chunk.base + (offset / slot_bytes_ + 1) * slot_bytes_;
  }
  return nullptr;
}

void StackArena::trim() noexcept {
  const std::size_t idle = std::min(free_min_, free_count_);
  for (std::size_t i = std::min(trimmed_, idle); i < idle; ++i)
    madvise(low(free_[i]), stack_bytes_ - (tail_bytes ? page_bytes : 0), MADV_DONTNEED);
  trimmed_ = idle;
  free_min_ = free_count_;
}

void StackArena::unpoison([[maybe_unused]] char* top) noexcept {
#if defined(UVLET_ASAN)
  __asan_unpoison_memory_region(low(top), stack_bytes_);
#endif
}

}  // namespace uvlet::inline UVLET_ABI
