#pragma once

#include <aio/task.hpp>
#include <uvlet/queue_core.hpp>
#include <uvlet/queue_operations.hpp>

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <utility>

namespace aio {

// put_nowait found no room.
struct UVLET_API QueueFull : std::runtime_error {
  QueueFull() : std::runtime_error("the queue is full") {}
  using std::runtime_error::runtime_error;
};

// get_nowait found no item.
struct UVLET_API QueueEmpty : std::runtime_error {
  QueueEmpty() : std::runtime_error("the queue is empty") {}
  using std::runtime_error::runtime_error;
};

namespace detail {

// What the queues have in common. Who waits is served in the order of coming and nobody overtakes;
// who is cancelled or killed leaves no item behind and takes none along. The `_nowait` calls work
// in a libuv callback too. Must outlive who waits.
template <class T, class Items>
class BasicQueue {
  using Core = uvlet::QueueCore<T, Items>;

 public:
  // Waits for room.
  uvlet::QueuePut<T, Core> put(T item) { return uvlet::QueuePut<T, Core>(core_, std::move(item)); }
  // Throws QueueFull if there is no room; then `item` is lost.
  void put_nowait(T item) {
    if (!core_.has_room()) throw QueueFull();
    core_.push(std::move(item));
  }
  // Waits for an item, and gives it.
  uvlet::QueueGet<T, Core> get() noexcept { return uvlet::QueueGet<T, Core>(core_); }
  // Throws QueueEmpty if there is no item that is not promised to who was woken for it.
  T get_nowait() {
    if (!core_.available()) throw QueueEmpty();
    return core_.take_available();
  }

  std::size_t qsize() const noexcept { return core_.size(); }
  // 0: there is no bound.
  std::size_t maxsize() const noexcept {
    return core_.maxsize() == uvlet::unbounded ? 0 : core_.maxsize();
  }
  bool empty() const noexcept { return core_.size() == 0; }
  bool full() const noexcept { return !core_.has_room(); }

  // What one get gave is dealt with. Throws invalid_argument if called more often than items came.
  void task_done() {
    if (!core_.task_done()) throw std::invalid_argument("task_done() called too many times");
  }
  // Waits until every item that came has been dealt with.
  uvlet::TaskJoin join() noexcept { return core_.join(); }

 protected:
  template <class... A>
  explicit BasicQueue(std::size_t maxsize, A&&... items)
      : core_(maxsize == 0 ? uvlet::unbounded : maxsize, std::forward<A>(items)...) {}
  ~BasicQueue() = default;

 private:
  Core core_;
};

}  // namespace detail

// First in, first out, at most `maxsize` items; 0: any number. Source: asyncio.Queue.
template <class T>
class Queue : public detail::BasicQueue<T, uvlet::Fifo<T>> {
 public:
  explicit Queue(std::size_t maxsize = 0) : detail::BasicQueue<T, uvlet::Fifo<T>>(maxsize) {}
};

// Last in, first out. Source: asyncio.LifoQueue.
template <class T>
class LifoQueue : public detail::BasicQueue<T, uvlet::Lifo<T>> {
 public:
  explicit LifoQueue(std::size_t maxsize = 0) : detail::BasicQueue<T, uvlet::Lifo<T>>(maxsize) {}
};

// The smallest first, as Compare has it. Source: asyncio.PriorityQueue.
template <class T, class Compare = std::less<T>>
class PriorityQueue : public detail::BasicQueue<T, uvlet::Smallest<T, Compare>> {
 public:
  explicit PriorityQueue(std::size_t maxsize = 0, Compare compare = Compare())
      : detail::BasicQueue<T, uvlet::Smallest<T, Compare>>(maxsize, std::move(compare)) {}
};

}  // namespace aio
