#pragma once

#include <green/greenthread.hpp>
#include <uvlet/queue_core.hpp>
#include <uvlet/queue_operations.hpp>
#include <uvlet/time_limit.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>

namespace green {

using uvlet::unbounded;

// There was no item.
struct UVLET_API Empty : std::runtime_error {
  Empty();
  using std::runtime_error::runtime_error;
};

// There was no room.
struct UVLET_API Full : std::runtime_error {
  Full();
  using std::runtime_error::runtime_error;
};

namespace detail {

[[noreturn]] UVLET_COLD UVLET_API void throw_empty();
[[noreturn]] UVLET_COLD UVLET_API void throw_full();
[[noreturn]] UVLET_COLD UVLET_API void refuse_task_done();

template <class T, class Core>
class QueueGetWithin final
    : public uvlet::LimitedOperation<QueueGetWithin<T, Core>, typename Core::Getter> {
 public:
  QueueGetWithin(Duration limit, Core& core)
      : uvlet::LimitedOperation<QueueGetWithin, typename Core::Getter>(limit, core) {}
  QueueGetWithin(QueueGetWithin&&) noexcept = default;
  T result() {
    if (!this->has_item()) throw_empty();
    return this->take();
  }
};

template <class T, class Core>
class QueuePutWithin final
    : public uvlet::LimitedOperation<QueuePutWithin<T, Core>, typename Core::Putter> {
 public:
  QueuePutWithin(Duration limit, Core& core, T&& item)
      : uvlet::LimitedOperation<QueuePutWithin, typename Core::Putter>(limit, core,
                                                                       std::move(item)) {}
  QueuePutWithin(QueuePutWithin&&) = default;
  void result() {
    if (!this->put()) throw_full();
  }
};

// What the queues have in common. Each call may be made by green threads and coroutines alike; the
// `_nowait` and `try_` ones in a libuv callback too. Who waits is served in the order of coming and
// nobody overtakes; who is killed, or runs out of time, leaves no item behind and takes none along.
// Must outlive who waits.
template <class T, class Items>
class BasicQueue {
  using Core = uvlet::QueueCore<T, Items>;

 public:
  // Waits for room. In a channel it waits until a getter has the item, even if one was waiting.
  // Blocks the green thread. Cancel point.
  UVLET_INLINE void put(T item) {
    uvlet::notice_blocking_call();
    if (core_.has_room()) [[likely]]
      core_.push(std::move(item));
    else
      uvlet::block(put_async(std::move(item)));
  }
  // Throws Full when the time is over first. Blocks the green thread. Cancel point.
  void put(T item, Duration timeout) { uvlet::block(put_async(std::move(item), timeout)); }
  uvlet::QueuePut<T, Core> put_async(T item) {
    return uvlet::QueuePut<T, Core>(core_, std::move(item));
  }
  QueuePutWithin<T, Core> put_async(T item, Duration timeout) {
    return QueuePutWithin<T, Core>(timeout, core_, std::move(item));
  }
  // Throws Full if there is no room; in a channel, if no getter waits.
  void put_nowait(T item) {
    if (!try_put(std::move(item))) throw_full();
  }
  // False if there is no room; then the item is not moved.
  bool try_put(T&& item) {
    if (!core_.accepts()) return false;
    core_.push(std::move(item));
    return true;
  }
  bool try_put(const T& item) requires std::copy_constructible<T> {
    return core_.accepts() && try_put(T(item));
  }

  // Waits for an item. Blocks the green thread. Cancel point.
  UVLET_INLINE T get() {
    uvlet::notice_blocking_call();
    if (core_.available()) [[likely]]
      return core_.take_available();
    return uvlet::block(get_async());
  }
  // Throws Empty when the time is over first. Blocks the green thread. Cancel point.
  T get(Duration timeout) { return uvlet::block(get_async(timeout)); }
  uvlet::QueueGet<T, Core> get_async() noexcept { return uvlet::QueueGet<T, Core>(core_); }
  QueueGetWithin<T, Core> get_async(Duration timeout) {
    return QueueGetWithin<T, Core>(timeout, core_);
  }
  // Throws Empty if there is no item that is not promised to who was woken for it.
  T get_nowait() {
    if (!core_.available()) throw_empty();
    return core_.take_available();
  }
  std::optional<T> try_get() {
    if (!core_.available()) return std::nullopt;
    return core_.take_available();
  }

  std::size_t qsize() const noexcept { return core_.size(); }
  std::size_t maxsize() const noexcept { return core_.maxsize(); }
  bool empty() const noexcept { return core_.size() == 0; }
  bool full() const noexcept { return !core_.has_room(); }
  std::size_t getting() const noexcept { return core_.getting(); }  // those who wait for an item
  std::size_t putting() const noexcept { return core_.putting(); }  // those who wait with one

  // Growing wakes who waits to put; shrinking removes nothing.
  void resize(std::size_t maxsize) { core_.resize(maxsize); }

 protected:
  template <class... A>
  explicit BasicQueue(std::size_t maxsize, A&&... items)
      : core_(maxsize, std::forward<A>(items)...) {}
  ~BasicQueue() = default;

  Core core_;
};

// A queue that knows which of its items have been dealt with.
template <class Base>
class WithTasks : public Base {
 public:
  // What one get gave is dealt with. Throws invalid_argument if called more often than items came.
  void task_done() {
    if (!this->core_.task_done()) [[unlikely]]
      refuse_task_done();
  }
  // Waits until every item that came has been dealt with. Blocks the green thread. Cancel point.
  void join() { uvlet::block(join_async()); }
  uvlet::TaskJoin join_async() noexcept { return this->core_.join(); }
  std::size_t unfinished_tasks() const noexcept { return this->core_.unfinished(); }

 protected:
  using Base::Base;
  ~WithTasks() = default;
};

}  // namespace detail

// First in, first out, at most `maxsize` items. With 0 it is a channel: an item goes from hand to
// hand, put returns after its getter has run, and it is always both empty and full. Source:
// eventlet.queue.LightQueue.
template <class T>
class LightQueue : public detail::BasicQueue<T, uvlet::Fifo<T>> {
 public:
  explicit LightQueue(std::size_t maxsize = unbounded)
      : detail::BasicQueue<T, uvlet::Fifo<T>>(maxsize) {}
};

// The same with task_done() and join(). Source: eventlet.queue.Queue.
template <class T>
class Queue : public detail::WithTasks<LightQueue<T>> {
 public:
  explicit Queue(std::size_t maxsize = unbounded) : detail::WithTasks<LightQueue<T>>(maxsize) {}
};

// Last in, first out. Source: eventlet.queue.LifoQueue.
template <class T>
class LifoQueue : public detail::WithTasks<detail::BasicQueue<T, uvlet::Lifo<T>>> {
 public:
  explicit LifoQueue(std::size_t maxsize = unbounded)
      : detail::WithTasks<detail::BasicQueue<T, uvlet::Lifo<T>>>(maxsize) {}
};

// The smallest first, as Compare has it. Source: eventlet.queue.PriorityQueue.
template <class T, class Compare = std::less<T>>
class PriorityQueue : public detail::WithTasks<detail::BasicQueue<T, uvlet::Smallest<T, Compare>>> {
 public:
  explicit PriorityQueue(std::size_t maxsize = unbounded, Compare compare = Compare())
      : detail::WithTasks<detail::BasicQueue<T, uvlet::Smallest<T, Compare>>>(maxsize,
                                                                              std::move(compare)) {}
};

}  // namespace green
