#pragma once

// Look-ups that may stall, on OS threads of our own. In libuv's pool a few of them would keep the
// rest and each other waiting, and the process from ending.

#include <uvlet/hub.hpp>
#include <uvlet/list.hpp>
#include <uvlet/timer.hpp>
#include <uvlet/waiter.hpp>

#include <memory>
#include <optional>

namespace aio::detail {

class LookupWait;

// One look-up. It owns all that it needs, and is shared by who waits for it and by where it is: in
// the resolver's queue, on its thread, in the hub's inbox.
class Lookup : public uvlet::Post, public uvlet::Link, public std::enable_shared_from_this<Lookup> {
 public:
  virtual ~Lookup() = default;
  // On a thread of the resolver's; may take its time.
  virtual void look_up() noexcept = 0;

 private:
  friend class LookupWait;
  friend class Resolver;
  void run(uvlet::Hub& hub) noexcept override;

  LookupWait* waiter_ = nullptr;  // the hub's thread's
  uvlet::Hub* hub_ = nullptr;     // the resolver's mutex guards it; null: nobody waits
  std::shared_ptr<Lookup> self_;  // while it is in the queue or the inbox
};

// The wait for one; gives false where the limit has passed before. Whatever ends the wait ends it
// at once: a look-up that has not begun is never made, another is freed when it ends.
class LookupWait final : public uvlet::Operation<LookupWait>, private uvlet::Timer {
 public:
  LookupWait(std::shared_ptr<Lookup> lookup, std::optional<uvlet::Duration> limit) noexcept
      : lookup_(std::move(lookup)), limit_(limit) {}
  LookupWait(LookupWait&& other) noexcept
      : Operation(std::move(other)),
        Timer(),
        lookup_(std::move(other.lookup_)),
        limit_(other.limit_) {}
  ~LookupWait() { leave(); }

  bool ready() const noexcept { return false; }
  void suspend(uvlet::Hub& hub);
  bool result() const noexcept { return done_; }
  uvlet::Cancel cancel() noexcept override;
  const char* describe() const noexcept override { return "a name to be looked up"; }

 private:
  friend class Lookup;
  void complete() noexcept;
  void leave() noexcept;
  void expire() noexcept override;
  Purpose purpose() const noexcept override { return {describe(), root()}; }

  std::shared_ptr<Lookup> lookup_;
  std::optional<uvlet::Duration> limit_;
  uvlet::Hub* hub_ = nullptr;  // where it waits; null: it does not
  bool done_ = false;
};

}  // namespace aio::detail
