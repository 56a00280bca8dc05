#pragma once

// Include this in one source file of a test program: it replaces the program's operator new by one
// that can be told to fail. See fail_each_allocation.

#include <uvlet/testing.hpp>

#include <cstddef>
#include <cstdlib>
#include <new>

// Not inlined: compilers warn where they see malloc and free through new and delete.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (uvlet::testing::allocation_fails()) throw std::bad_alloc();
  if (void* memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return ::operator new(bytes); }
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return uvlet::testing::allocation_fails() ? nullptr : std::malloc(bytes > 0 ? bytes : 1);
}
[[gnu::noinline]] void* operator new[](std::size_t bytes, const std::nothrow_t& nothrow) noexcept {
  return ::operator new(bytes, nothrow);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
