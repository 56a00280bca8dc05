#pragma once

#include <aio/task.hpp>

namespace aio {

// A flag that can be waited for. Must outlive who waits. Source: asyncio.Event.
class Event {
 public:
  Event() noexcept = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  class [[nodiscard]] Wait final : public uvlet::Operation<Wait> {
   public:
    explicit Wait(Event& event) noexcept : event_(event) {}
    Wait(Wait&&) noexcept = default;
    bool ready() const noexcept { return event_.set_; }
    void suspend(uvlet::Hub&) noexcept { event_.waiting_.push_back(this); }
    bool result() const noexcept { return true; }
    uvlet::Cancel cancel() noexcept override {
      unlink();
      return uvlet::Cancel::done;
    }
    const char* describe() const noexcept override { return "an aio::Event"; }

   private:
    Event& event_;
  };

  // Wakes all who wait, even if it is cleared before they run. Never switches.
  void set() noexcept {
    set_ = true;
    while (!waiting_.empty()) waiting_.pop_front()->notify();
  }
  void clear() noexcept { set_ = false; }
  bool is_set() const noexcept { return set_; }
  // Waits until it is set; true, always.
  Wait wait() noexcept { return Wait(*this); }

 private:
  bool set_ = false;
  uvlet::List<uvlet::Listener> waiting_;
};

}  // namespace aio
