#pragma once

#include <green/awaitlet.hpp>
#include <green/greenthread.hpp>
#include <uvlet/waiter.hpp>

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace green {
namespace detail {

// A bound on how many T there are, and those that are free. An item travels as a list of one node,
// so that passing it on allocates nothing and cannot fail; an empty list is a place: the right to
// make one. Invariant: one waits only while there is neither a free item nor a place.
template <class T>
class PoolState {
 public:
  using Item = std::list<T>;
  class Take;

  PoolState(int max_size, bool as_stack, std::function<T()> make)
      : max(checked(max_size)), stack(as_stack), create(std::move(make)) {
    if (!create) throw std::invalid_argument("a Pool without a function that makes its items");
  }

  // Makes the first items. Throws what `create` throws.
  void fill(int min_size) {
    if (checked(min_size) > max)
      throw std::invalid_argument("the least size of a Pool is above its greatest");
    for (; size < min_size; ++size) free.push_back(create());
  }

  static int checked(int size) {
    if (size < 0)
      throw std::invalid_argument("the size of a Pool is negative: " + std::to_string(size));
    return size;
  }

  // An item that was taken, or made in a place that was taken, comes back.
  void put(Item item) noexcept {
    if (size > max) {
      drop_place();
    } else if (!getters.empty()) {
      static_cast<Take*>(getters.front())->grant(std::move(item));
    } else {
      free.splice(stack ? free.begin() : free.end(), item);
    }
  }
  // A place that was taken comes back, without an item.
  void drop_place() noexcept {
    --size;
    grant_places();
  }
  void grant_places() noexcept {
    while (size < max && !getters.empty()) {
      ++size;
      static_cast<Take*>(getters.front())->grant(Item());
    }
  }
  void give_back(Item item) noexcept {
    if (item.empty())
      drop_place();
    else
      put(std::move(item));
  }
  // Gives the free items that are too many.
  Item resize(int max_size) {
    max = checked(max_size);
    Item surplus;
    for (; size > max && !free.empty(); --size)
      surplus.splice(surplus.end(), free, std::prev(free.end()));
    grant_places();
    return surplus;
  }

  int waiting() const noexcept {
    int count = 0;
    for (auto* getter : getters) (void)getter, ++count;
    return count;
  }
  int available() const noexcept { return static_cast<int>(free.size()) + max - size; }
  // Items that are somebody's, or being made.
  int taken() const noexcept { return size - static_cast<int>(free.size()); }

  int max;
  int size = 0;  // free items, those taken, and places taken
  Item free;     // the next one first
  bool stack;    // an item that comes back is the next one
  std::function<T()> create;
  uvlet::List<uvlet::Waiter> getters;
};

// The wait for an item or a place. What is granted and not taken goes to the next.
template <class T>
class PoolState<T>::Take final : public uvlet::Operation<Take> {
 public:
  explicit Take(std::shared_ptr<PoolState> state) noexcept : state_(std::move(state)) {}
  Take(Take&& other) noexcept
      : uvlet::Operation<Take>(std::move(other)),
        state_(std::move(other.state_)),
        item_(std::move(other.item_)),
        granted_(std::exchange(other.granted_, false)) {}
  ~Take() { pass_on(); }

  bool ready() noexcept {
    if (!state_->free.empty()) {
      item_.splice(item_.end(), state_->free, state_->free.begin());
    } else if (state_->size < state_->max) {
      ++state_->size;
    } else {
      return false;
    }
    return granted_ = true;
  }
  void suspend(uvlet::Hub&) noexcept { state_->getters.push_back(this); }
  Item result() noexcept {
    granted_ = false;
    return std::move(item_);
  }
  uvlet::Cancel cancel() noexcept override {
    this->unlink();
    pass_on();
    return uvlet::Cancel::done;
  }
  const char* describe() const noexcept override { return "an item of a Pool"; }

  void grant(Item item) noexcept {
    item_ = std::move(item);
    granted_ = true;
    this->wake();
  }

 private:
  void pass_on() noexcept {
    if (std::exchange(granted_, false)) state_->give_back(std::move(item_));
  }

  std::shared_ptr<PoolState> state_;
  Item item_;
  bool granted_ = false;
};

// The item itself, or one that is made in the place; if that throws the place is the next one's.
template <class T>
std::list<T> made(PoolState<T>& state, std::list<T> item) {
  if (!item.empty()) return item;
  try {
    item.push_back(state.create());
  } catch (...) {
    state.drop_place();
    throw;
  }
  return item;
}

}  // namespace detail

// At most `max_size` items, made when they are needed and used again. Who finds none waits, in the
// order of the calls. Source: eventlet.pools.Pool. Destroying it frees the items that are free;
// those that are out may come back all the same.
template <class T>
class Pool {
  using State = detail::PoolState<T>;
  using Item = typename State::Item;

 public:
  // An item that goes back when this is destroyed. Move-only.
  class Lease {
   public:
    Lease(Lease&& other) noexcept
        : state_(std::move(other.state_)), item_(std::move(other.item_)) {}
    Lease& operator=(Lease&& other) noexcept {
      if (this == &other) return *this;
      release();
      state_ = std::move(other.state_);
      item_ = std::move(other.item_);
      return *this;
    }
    ~Lease() { release(); }

    // Throw logic_error after release() and for one that was moved from.
    T& operator*() const { return held(); }
    T* operator->() const { return &held(); }
    explicit operator bool() const noexcept { return state_ != nullptr; }
    // Puts it back now. Never switches.
    void release() noexcept {
      if (const std::shared_ptr<State> state = std::exchange(state_, nullptr))
        state->put(std::move(item_));
    }

   private:
    friend class Pool;
    Lease(std::shared_ptr<State> state, Item item) noexcept
        : state_(std::move(state)), item_(std::move(item)) {}
    T& held() const {
      if (!state_) throw std::logic_error("a Lease whose item went back to its Pool");
      return item_.front();
    }

    std::shared_ptr<State> state_;  // null: it went back
    mutable Item item_;
  };

  // Makes `min_size` items now; in a stack the item that came back last is the next one. Throws
  // invalid_argument for a negative size, a minimum above the maximum, and an empty function, and
  // what `create` throws, which may block.
  Pool(int min_size, int max_size, std::function<T()> create, bool order_as_stack = false)
      : state_(std::make_shared<State>(max_size, order_as_stack, std::move(create))) {
    state_->fill(min_size);
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // A free item; or a new one; or, at the greatest size, one that comes back. Throws what `create`
  // throws: then who waits makes one instead. To be given back by put().
  // Blocks the green thread. Cancel point.
  T get() {
    const std::shared_ptr<State> state = state_;
    return std::move(taken(state).front());
  }
  aio::task<T> get_async() { return getting(state_); }
  // The same, given back by the Lease. Blocks the green thread. Cancel point.
  Lease item() {
    const std::shared_ptr<State> state = state_;
    return Lease(state, taken(state));
  }
  aio::task<Lease> item_async() { return leasing(state_); }
  // Gives it to who has waited longest, or keeps it; drops it if the pool was made smaller. Never
  // switches. Throws logic_error if no item is out.
  void put(T item) {
    if (state_->taken() == 0) throw std::logic_error("Pool::put: none of its items is out");
    Item returned;
    returned.push_back(std::move(item));
    state_->put(std::move(returned));
  }

  // How many calls of get() would not block; negative while more are out than it may have.
  int free() const noexcept { return state_->available(); }
  int waiting() const noexcept { return state_->waiting(); }
  // The greatest size. Growing wakes who waits; shrinking frees what is free, and later what comes
  // back, until it is reached. Throws invalid_argument if negative.
  void resize(int max_size) { const Item dropped = state_->resize(max_size); }

 private:
  // The pool itself may be gone before it returns.
  static Item taken(const std::shared_ptr<State>& state) {
    return detail::made(*state, uvlet::block(typename State::Take(state)));
  }
  static aio::task<T> getting(std::shared_ptr<State> state) {
    Item item = co_await typename State::Take(state);
    item = detail::made(*state, std::move(item));
    co_return std::move(item.front());
  }
  static aio::task<Lease> leasing(std::shared_ptr<State> state) {
    Item item = co_await typename State::Take(state);
    item = detail::made(*state, std::move(item));
    co_return Lease(std::move(state), std::move(item));
  }

  std::shared_ptr<State> state_;
};

// What a TokenPool gives out.
struct Token {};

// Permits for some limited resource. Source: eventlet.pools.TokenPool.
class TokenPool : public Pool<Token> {
 public:
  explicit TokenPool(int max_size = 4) : Pool(0, max_size, [] { return Token(); }) {}
};

}  // namespace green
