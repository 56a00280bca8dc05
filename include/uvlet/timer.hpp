#pragma once

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace uvlet::inline UVLET_ABI {

class Root;
class TimerHeap;

// Something due at a point in time. expire() runs on the loop's own stack: it completes an
// operation or queues an interrupt, and runs no user code. Destroying a Timer cancels it.
class UVLET_API Timer {
 public:
  // `length` is for who starts it: it is known until then.
  explicit Timer(Duration length = Duration()) noexcept : length_(length) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool pending() const noexcept { return heap_ != nullptr; }
  void cancel_timer() noexcept;
  virtual void expire() noexcept = 0;

  // What it ends and for whom, for reports: "sleep", a green thread.
  struct Purpose {
    const char* what;
    Root* root;  // may be null
  };
  virtual Purpose purpose() const noexcept { return {"a timer", nullptr}; }

 protected:
  ~Timer() {
    if (heap_) cancel_timer();
  }
  Duration length() const noexcept { return length_; }

 private:
  friend class TimerHeap;
  TimerHeap* heap_ = nullptr;  // null: not pending
  union {
    Duration length_;    // until it is started
    std::size_t index_;  // its place in the heap, from then on
  };
};

// The pending timers of a hub: a four-way heap in one array, ordered by deadline and, where these
// are equal, by the order in which they were started.
class UVLET_API TimerHeap {
 public:
  ~TimerHeap();

  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  Time next_deadline() const noexcept { return empty() ? never : entries_.front().deadline; }

  // A deadline of `never` starts nothing. O(log n); allocates when the heap grows.
  void start(Timer& timer, Time deadline);
  void cancel(Timer& timer) noexcept;
  void clear() noexcept;
  // Moves those that `moves` says to another heap.
  template <class Predicate>
  void move_to(TimerHeap& other, Predicate moves) {
    for (const Entry& entry : std::vector<Entry>(entries_)) {
      if (!moves(*entry.timer)) continue;
      cancel(*entry.timer);
      other.start(*entry.timer, entry.deadline);
    }
  }
  // Expires what is due at `now`, in order; timers started meanwhile wait for the next call.
  void fire(Time now) noexcept;
  // All that are pending, the next to expire first.
  std::vector<std::pair<Time, const Timer*>> list() const;

 private:
  struct Entry {
    Time deadline;
    std::uint64_t sequence;
    Timer* timer;
    bool before(const Entry& other) const noexcept {
      return deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence;
    }
  };

  void place(std::size_t index, const Entry& entry) noexcept;
  void sift_up(std::size_t index, Entry entry) noexcept;
  void sift_down(std::size_t index, Entry entry) noexcept;
  void remove(std::size_t index) noexcept;

  std::vector<Entry> entries_;
  std::uint64_t sequence_ = 0;
};

}  // namespace uvlet::inline UVLET_ABI
