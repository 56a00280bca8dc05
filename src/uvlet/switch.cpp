#include <uvlet/switch.hpp>

namespace uvlet::inline UVLET_ABI {
namespace {

// At least what a jump saves on the stack it leaves: 64 bytes on x86-64, 176 on AArch64.
constexpr std::size_t saved_bytes = 256;

struct Visit {
  Context* self;
  Context* parked;
  void (*function)(const void*, void*) noexcept;
  void* argument;
};

// Bytes of somebody else's frames, which the address sanitizer may hold to be out of bounds.
[[gnu::noinline, gnu::no_sanitize_address]] void copy(void* to, const void* from) noexcept {
  auto* target = static_cast<volatile char*>(to);
  auto* source = static_cast<const volatile char*>(from);
  for (std::size_t i = 0; i < saved_bytes; ++i) target[i] = source[i];
}

// Left without a return: what a sanitizer would note at its entry would stay for ever.
[[gnu::noinline, gnu::no_sanitize_address, gnu::no_sanitize_thread]] Transfer visit(
    Transfer transfer) {
  const Visit work = *static_cast<Visit*>(transfer.data);
  after_jump(*work.parked);
  work.function(__builtin_return_address(0), work.argument);
  before_jump(*work.parked, *work.self);
  return jump_context(transfer.context, nullptr);
}

}  // namespace

// The visitor stands where the jump has saved its registers: they are put back after it.
void call_on_top(Context& self, Context& parked, void (*function)(const void*, void*) noexcept,
                 void* argument) noexcept {
  char saved[saved_bytes];
  copy(saved, parked.sp);
  Visit work{&self, &parked, function, argument};
  before_jump(self, parked);
  jump_on_top(parked.sp, &work, &visit);
  after_jump(self);
  copy(parked.sp, saved);
}

}  // namespace uvlet::inline UVLET_ABI
