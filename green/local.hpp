#pragma once

#include <uvlet/local.hpp>

#include <memory>

namespace green {

// One T a green thread, or top-level task; coroutines that it drives share it. It is
// value-initialised on first use, and freed when its green thread has ended, also when that was
// killed: after the function and its links, newest first, before who waits for it goes on.
// Destroying the local frees it before. Thread-safe. Source: eventlet.corolocal.local.
template <class T>
class local {
 public:
  // The T of who runs; the reference is good until that ends. Throws what T's constructor throws,
  // and then there is none. Cost: a search over the locals that the green thread uses.
  T& get() {
    uvlet::LocalValue* value = key_.find();
    return value ? static_cast<Value*>(value)->value : create();
  }
  T& operator*() { return get(); }
  T* operator->() { return &get(); }
  // Whether who runs has used it.
  bool has() const { return key_.find() != nullptr; }

 private:
  struct Value final : uvlet::LocalValue {
    T value{};
  };
  UVLET_COLD T& create() {
    auto made = std::make_unique<Value>();
    T& value = made->value;
    key_.add(std::move(made));
    return value;
  }

  uvlet::LocalKey key_;
};

}  // namespace green
