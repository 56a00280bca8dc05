#pragma once

// What each Root has of its own: the core of green::local.

#include <uvlet/config.hpp>
#include <uvlet/hub.hpp>
#include <uvlet/list.hpp>
#include <uvlet/root.hpp>

#include <cstdint>
#include <memory>

namespace uvlet::inline UVLET_ABI {

// A value of one Root, found by its key's number. It is freed with whichever ends first.
struct UVLET_API LocalValue : Link {
  virtual ~LocalValue();

  Root* root = nullptr;
  LocalValue* next = nullptr;  // in its Root's list, newest first
  std::uint64_t number = 0;
};

// Finds the values. Thread-safe: each hub's Roots have their own. Destroying it frees the values of
// this OS thread's Roots; those of other threads are freed with their Roots.
class UVLET_API LocalKey {
 public:
  LocalKey() noexcept;
  ~LocalKey();
  LocalKey(const LocalKey&) = delete;
  LocalKey& operator=(const LocalKey&) = delete;

  // The value of who runs; null if it has none. Cost: a search over all that it has.
  LocalValue* find() const {
    for (LocalValue* value = Hub::get().running()->locals; value; value = value->next)
      if (value->number == number_) return value;
    return nullptr;
  }
  // Gives who runs a value.
  void add(std::unique_ptr<LocalValue> value) noexcept;

 private:
  List<LocalValue> values_;  // of all threads, under one lock of the process
  std::uint64_t number_;     // never used again, as an address would be
};

}  // namespace uvlet::inline UVLET_ABI
