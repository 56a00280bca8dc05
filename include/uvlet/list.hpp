#pragma once

#include <uvlet/config.hpp>

namespace uvlet::inline UVLET_ABI {

// A place in an intrusive list. Destroying it takes it out of the list it is in.
struct Link {
  Link() noexcept = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { unlink(); }

  bool linked() const noexcept { return next_link != nullptr; }

  void unlink() noexcept {
    if (!next_link) return;
    previous_link->next_link = next_link;
    next_link->previous_link = previous_link;
    next_link = nullptr;
  }

  // The neighbours in a circle that the list's own head closes.
  Link* next_link = nullptr;  // null: in no list
  Link* previous_link;        // stale then: clearing it too would cost every switch a store
};

// An intrusive list of objects that derive from Link. It owns nothing; every operation is O(1).
// Destroying the list leaves its members unlinked.
template <class T>
class List {
 public:
  List() noexcept { head_.previous_link = head_.next_link = &head_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    while (!empty()) pop_front();
    head_.next_link = nullptr;
  }

  bool empty() const noexcept { return head_.next_link == &head_; }
  T* front() const noexcept { return static_cast<T*>(head_.next_link); }
  T* back() const noexcept { return static_cast<T*>(head_.previous_link); }

  void push_back(T* item) noexcept { insert_before(&head_, item); }
  void push_front(T* item) noexcept { insert_before(head_.next_link, item); }

  T* pop_front() noexcept {
    Link* first = head_.next_link;
    Link* second = first->next_link;
    head_.next_link = second;
    second->previous_link = &head_;
    first->next_link = nullptr;
    return static_cast<T*>(first);
  }

  // Moves all of the other list's members to the end of this one.
  void take(List& other) noexcept {
    while (!other.empty()) push_back(other.pop_front());
  }

  class iterator {
   public:
    explicit iterator(Link* at) noexcept : at_(at) {}
    T* operator*() const noexcept { return static_cast<T*>(at_); }
    iterator& operator++() noexcept {
      at_ = at_->next_link;
      return *this;
    }
    bool operator==(const iterator&) const noexcept = default;

   private:
    Link* at_;
  };
  iterator begin() const noexcept { return iterator(head_.next_link); }
  iterator end() const noexcept { return iterator(const_cast<Link*>(&head_)); }

 private:
  static void insert_before(Link* place, Link* item) noexcept {
    Link* previous = place->previous_link;
    item->previous_link = previous;
    __asm__("" : "+m"(item->previous_link));
    item->next_link = place;
    previous->next_link = item;
    place->previous_link = item;
  }

  Link head_;
};

}  // namespace uvlet::inline UVLET_ABI
