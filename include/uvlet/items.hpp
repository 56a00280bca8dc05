#pragma once

// The orders in which a queue gives its items. Each of these has size(), push(T&&), take(), which
// gives the next item, and take_behind(skip), which in a Fifo gives the one behind the first
// `skip`: they are promised to others, and stay in their places.

#include <uvlet/config.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace uvlet::inline UVLET_ABI {

// First in, first out: a ring that grows and keeps its memory.
template <class T>
class Fifo {
 public:
  Fifo() noexcept = default;
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;
  ~Fifo() {
    for (std::size_t i = 0; i < size_; ++i) std::destroy_at(at(i));
    if (places_) std::allocator<T>().deallocate(places_, capacity_);
  }

  std::size_t size() const noexcept { return size_; }
  void push(T&& item) {
    if (size_ == capacity_) [[unlikely]]
      grow();
    std::construct_at(at(size_), std::move(item));
    ++size_;
  }
  T take() {
    T item(std::move(*at(0)));
    std::destroy_at(at(0));
    first_ = (first_ + 1) & (capacity_ - 1);
    --size_;
    return item;
  }
  T take_behind(std::size_t skip) {
    T item(std::move(*at(skip)));
    std::destroy_at(at(skip));
    for (; skip > 0; --skip) relocate(at(skip - 1), at(skip));
    first_ = (first_ + 1) & (capacity_ - 1);
    --size_;
    return item;
  }

 private:
  T* at(std::size_t index) const noexcept { return places_ + ((first_ + index) & (capacity_ - 1)); }
  static void relocate(T* from, T* to) {
    std::construct_at(to, std::move(*from));
    std::destroy_at(from);
  }
  UVLET_COLD void grow() {
    const std::size_t capacity = std::max<std::size_t>(capacity_ * 2, 4);
    T* places = std::allocator<T>().allocate(capacity);
    for (std::size_t i = 0; i < size_; ++i) relocate(at(i), places + i);
    if (places_) std::allocator<T>().deallocate(places_, capacity_);
    places_ = places;
    capacity_ = capacity;
    first_ = 0;
  }

  T* places_ = nullptr;
  std::size_t capacity_ = 0;  // zero or a power of two
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

// Last in, first out.
template <class T>
class Lifo {
 public:
  std::size_t size() const noexcept { return items_.size(); }
  void push(T&& item) { items_.push_back(std::move(item)); }
  T take() {
    T item(std::move(items_.back()));
    items_.pop_back();
    return item;
  }
  T take_behind(std::size_t) { return take(); }

 private:
  std::vector<T> items_;
};

// The smallest first.
template <class T, class Compare>
class Smallest {
 public:
  explicit Smallest(Compare compare = Compare()) : after_{std::move(compare)} {}

  std::size_t size() const noexcept { return items_.size(); }
  void push(T&& item) {
    items_.push_back(std::move(item));
    std::push_heap(items_.begin(), items_.end(), after_);
  }
  T take() {
    std::pop_heap(items_.begin(), items_.end(), after_);
    T item(std::move(items_.back()));
    items_.pop_back();
    return item;
  }
  T take_behind(std::size_t) { return take(); }

 private:
  struct After {
    Compare before;
    bool operator()(const T& a, const T& b) const { return before(b, a); }
  };
  std::vector<T> items_;
  After after_;
};

}  // namespace uvlet::inline UVLET_ABI
