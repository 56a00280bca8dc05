#include <uvlet/timer.hpp>

#include <algorithm>

namespace uvlet::inline UVLET_ABI {
namespace {
constexpr std::size_t arity = 4;
}

void Timer::cancel_timer() noexcept {
  if (heap_) heap_->cancel(*this);
}

TimerHeap::~TimerHeap() { clear(); }

void TimerHeap::clear() noexcept {
  for (Entry& entry : entries_) entry.timer->heap_ = nullptr;
  entries_.clear();
}

void TimerHeap::start(Timer& timer, Time deadline) {
  if (deadline == never) return;
  entries_.emplace_back();
  timer.heap_ = this;
  sift_up(entries_.size() - 1, Entry{deadline, sequence_++, &timer});
}

void TimerHeap::cancel(Timer& timer) noexcept { remove(timer.index_); }

void TimerHeap::fire(Time now) noexcept {
  const std::uint64_t started_meanwhile = sequence_;
  while (!entries_.empty()) {
    const Entry first = entries_.front();
    if (first.deadline > now || first.sequence >= started_meanwhile) return;
    remove(0);
    first.timer->expire();
  }
}

std::vector<std::pair<Time, const Timer*>> TimerHeap::list() const {
  std::vector<Entry> sorted = entries_;
  std::sort(sorted.begin(), sorted.end(),
            [](const Entry& a, const Entry& b) { return a.before(b); });
  std::vector<std::pair<Time, const Timer*>> timers;
  for (const Entry& entry : sorted) timers.emplace_back(entry.deadline, entry.timer);
  return timers;
}

void TimerHeap::place(std::size_t index, const Entry& entry) noexcept {
  entries_[index] = entry;
  entry.timer->index_ = index;
}

void TimerHeap::sift_up(std::size_t index, Entry entry) noexcept {
  while (index > 0) {
    const std::size_t parent = (index - 1) / arity;
    if (!entry.before(entries_[parent])) break;
    place(index, entries_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerHeap::sift_down(std::size_t index, Entry entry) noexcept {
  for (;;) {
    const std::size_t first_child = index * arity + 1;
    if (first_child >= entries_.size()) break;
    std::size_t least = first_child;
    for (std::size_t child = first_child + 1;
         child < first_child + arity && child < entries_.size(); ++child)
      if (entries_[child].before(entries_[least])) least = child;
    if (!entries_[least].before(entry)) break;
    place(index, entries_[least]);
    index = least;
  }
  place(index, entry);
}

void TimerHeap::remove(std::size_t index) noexcept {
  entries_[index].timer->heap_ = nullptr;
  const Entry last = entries_.back();
  entries_.pop_back();
  if (index == entries_.size()) return;
  if (index > 0 && last.before(entries_[(index - 1) / arity]))
    sift_up(index, last);
  else
    sift_down(index, last);
}

}  // namespace uvlet::inline UVLET_ABI
