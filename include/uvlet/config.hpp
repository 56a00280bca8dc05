#pragma once

// What every other header needs to know about the build: visibility, the sanitizers, the ABI.

#if defined(__SANITIZE_ADDRESS__)
#define UVLET_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UVLET_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define UVLET_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UVLET_TSAN 1
#endif
#endif

// The switch is inlined into user code and must agree with the library on the layout of a context
// and on the sanitizer annotations; the inline namespace makes a mixture fail to link.
#if defined(UVLET_ASAN)
#define UVLET_ABI v0_asan
#elif defined(UVLET_TSAN)
#define UVLET_ABI v0_tsan
#else
#define UVLET_ABI v0
#endif

#define UVLET_API __attribute__((visibility("default")))
#define UVLET_INLINE [[gnu::always_inline]] inline
#define UVLET_COLD __attribute__((cold, noinline))
