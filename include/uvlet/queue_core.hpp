#pragma once

// What all queues are made of: items, the line of those who want one, and the line of those who
// wait with one. The queues of green and of aio give it their names and exceptions.

#include <uvlet/config.hpp>
#include <uvlet/items.hpp>
#include <uvlet/list.hpp>
#include <uvlet/waiter.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace uvlet::inline UVLET_ABI {

inline constexpr std::size_t unbounded = SIZE_MAX;

// The wait until nothing is unfinished.
class TaskJoin final : public Operation<TaskJoin> {
 public:
  TaskJoin(const std::size_t& unfinished, List<Listener>& line) noexcept
      : unfinished_(&unfinished), line_(&line) {}
  TaskJoin(TaskJoin&&) noexcept = default;

  bool ready() const noexcept { return *unfinished_ == 0; }
  void suspend(Hub&) noexcept { line_->push_back(this); }
  void result() const noexcept {}
  Cancel cancel() noexcept override {
    unlink();
    return Cancel::done;
  }
  const char* describe() const noexcept override { return "a queue's tasks to be done"; }

 private:
  const std::size_t* unfinished_;
  List<Listener>* line_;
};

// Items in an order of their own (see items.hpp), at most `maxsize` of them; with 0 they go from
// hand to hand. Who waits is served in the order of coming, and nobody overtakes: an item is
// promised to a getter as he is woken, and stays in its place until he takes it. Must outlive who
// waits.
template <class T, class Items>
class QueueCore {
 public:
  class Getter;
  class Putter;

  template <class... A>
  explicit QueueCore(std::size_t maxsize, A&&... items)
      : items_(std::forward<A>(items)...), maxsize_(maxsize) {}
  QueueCore(const QueueCore&) = delete;
  QueueCore& operator=(const QueueCore&) = delete;

  // Whether there is an item that is promised to nobody.
  bool available() const noexcept { return total() > promised_; }
  // The first such.
  UVLET_INLINE T take_available() {
    if (promised_ > 0) [[unlikely]]
      return take_behind(promised_);
    return take();
  }
  bool has_room() const noexcept { return items_.size() < maxsize_; }
  // Whether a put need not wait for a getter to come: a channel has no room, but may have one.
  bool accepts() const noexcept { return has_room() || (maxsize_ == 0 && getting_ > 0); }
  UVLET_INLINE void push(T&& item) {
    items_.push(std::move(item));
    ++unfinished_;
    if (getting_ > 0) promise();
  }

  void resize(std::size_t maxsize) {
    maxsize_ = maxsize;
    refill();
  }

  // What a woken getter of a channel is about to take was never in it.
  std::size_t size() const noexcept {
    const std::size_t held = items_.size();
    if (maxsize_ > 0) return held;
    return held > promised_ ? held - promised_ : 0;
  }
  std::size_t maxsize() const noexcept { return maxsize_; }
  std::size_t getting() const noexcept { return getting_; }
  std::size_t putting() const noexcept { return putting_; }

  // Items that came in, minus calls of task_done(); false, and no effect, beyond that.
  std::size_t unfinished() const noexcept { return unfinished_; }
  bool task_done() noexcept {
    if (unfinished_ == 0) return false;
    if (--unfinished_ > 0) return true;
    while (!joining_.empty()) joining_.pop_front()->notify();
    return true;
  }
  TaskJoin join() noexcept { return {unfinished_, joining_}; }

 private:
  std::size_t total() const noexcept { return items_.size() + putting_; }

  UVLET_INLINE T take() {
    if (items_.size() == 0) return take_from_putter(0);
    T item = items_.take();
    if (putting_ > 0) refill();
    return item;
  }
  // The next one but the first `skip`.
  UVLET_COLD T take_behind(std::size_t skip) {
    if (skip >= items_.size()) return take_from_putter(skip - items_.size());
    T item = items_.take_behind(skip);
    refill();
    return item;
  }
  T take_from_putter(std::size_t skip) {
    auto place = putters_.begin();
    while (skip-- > 0) ++place;
    auto* putter = static_cast<Putter*>(*place);
    T item = std::move(putter->item_);
    ++unfinished_;
    accept(*putter);
    return item;
  }
  // Items move up from the line of putters.
  void refill() {
    while (putting_ > 0 && has_room()) {
      auto* putter = static_cast<Putter*>(putters_.front());
      items_.push(std::move(putter->item_));
      ++unfinished_;
      accept(*putter);
    }
  }
  void accept(Putter& putter) noexcept {
    --putting_;
    putter.accepted_ = true;
    putter.wake();
  }

  // An item has come for the first getter.
  void promise() noexcept {
    auto* getter = static_cast<Getter*>(getters_.pop_front());
    promises_.push_back(getter);
    --getting_;
    ++promised_;
    getter->promise();
  }
  // An item, or one whom it was promised to, has gone.
  void keep_promises() noexcept {
    while (getting_ > 0 && promised_ < total()) promise();
    while (promised_ > total()) {
      auto* getter = static_cast<Getter*>(promises_.back());
      getter->unlink();
      --promised_;
      if (!getter->break_promise()) continue;
      getters_.push_front(getter);
      ++getting_;
    }
  }

  // Invariants: promised_ <= total(), and less only if nobody waits to get; putters wait only if
  // there is no room.
  Items items_;
  std::size_t maxsize_;
  std::size_t getting_ = 0;   // the length of getters_
  std::size_t putting_ = 0;   // the length of putters_
  std::size_t promised_ = 0;  // the length of promises_
  std::size_t unfinished_ = 0;
  List<Waiter> getters_;
  List<Waiter> promises_;  // getters that were woken
  List<Waiter> putters_;
  List<Listener> joining_;
};

// The wait for an item. One that is promised and not taken goes to the next.
template <class T, class Items>
class QueueCore<T, Items>::Getter : public Waiter {
 public:
  explicit Getter(QueueCore& core) noexcept : core_(&core) {}
  Getter(Getter&&) noexcept = default;

  bool ready() const noexcept { return core_->available(); }
  void suspend(Hub&) noexcept {
    core_->getters_.push_back(this);
    ++core_->getting_;
  }
  Cancel cancel() noexcept override {
    leave();
    return Cancel::done;
  }
  bool give_up() noexcept {
    expired_ = true;
    if (promised_) return false;
    leave();
    return true;
  }
  const char* describe() const noexcept override { return "an item from a queue"; }

 protected:
  ~Getter() { leave(); }
  // False after the limit, if there is still nothing to take.
  bool has_item() const noexcept { return promised_ || core_->available(); }
  T take() {
    if (!promised_) return core_->take_available();
    T item = core_->take();
    this->unlink();
    promised_ = false;
    --core_->promised_;
    return item;
  }

 private:
  friend class QueueCore;
  void promise() noexcept {
    promised_ = true;
    make_ready();
  }
  // False: its time is over, it does not wait again.
  bool break_promise() noexcept {
    promised_ = false;
    if (expired_) return false;
    unwake();
    return true;
  }
  void leave() noexcept {
    if (!this->linked()) return;
    this->unlink();
    --(std::exchange(promised_, false) ? core_->promised_ : core_->getting_);
    core_->keep_promises();
  }

  QueueCore* core_;
  bool promised_ = false;  // it is in promises_
  bool expired_ = false;
};

// The wait to put an item, which it holds until the queue or a getter takes it.
template <class T, class Items>
class QueueCore<T, Items>::Putter : public Waiter {
 public:
  Putter(QueueCore& core, T item) : core_(&core), item_(std::move(item)) {}
  Putter(Putter&&) = default;

  bool ready() {
    if (!core_->has_room()) return false;
    core_->push(std::move(item_));
    return accepted_ = true;
  }
  void suspend(Hub&) noexcept {
    core_->putters_.push_back(this);
    ++core_->putting_;
    if (core_->getting_ > 0) core_->promise();
  }
  Cancel cancel() noexcept override {
    if (accepted_) return Cancel::too_late;
    leave();
    return Cancel::done;
  }
  bool give_up() noexcept {
    if (accepted_) return false;
    leave();
    return true;
  }
  const char* describe() const noexcept override { return "room in a queue"; }

 protected:
  ~Putter() { leave(); }
  // False after the limit, if there is still no room.
  bool put() {
    if (accepted_) return true;
    if (!core_->accepts()) return false;
    core_->push(std::move(item_));
    return true;
  }

 private:
  friend class QueueCore;
  void leave() noexcept {
    if (!this->linked()) return;
    this->unlink();
    --core_->putting_;
    core_->keep_promises();
  }

  QueueCore* core_;
  T item_;
  bool accepted_ = false;
};

}  // namespace uvlet::inline UVLET_ABI
