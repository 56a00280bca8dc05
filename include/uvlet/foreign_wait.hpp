#pragma once

// Waits for descriptors that are not ours.

#include <uvlet/config.hpp>
#include <uvlet/descriptor.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/list.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <utility>

namespace uvlet::inline UVLET_ABI {

// The base of what waits for descriptors of somebody else: they keep their flags, and whoever else
// watches them goes on. libuv makes what it watches non-blocking, and watches each number once a
// loop; so it is given an epoll set of this wait's own. One that is closed meanwhile ends no wait.
// Derived classes define attempt() and interests().
class UVLET_API ForeignWait : public IoWait {
 public:
  // nullopt: no limit. Zero, or a limit that is over: ETIMEDOUT.
  explicit ForeignWait(std::optional<Duration> limit) noexcept
      : IoWait(nullptr, Direction::read, limit) {}
  ForeignWait(ForeignWait&&) noexcept = default;
  ~ForeignWait();

  bool ready() noexcept { return begin(); }
  void suspend(Hub& hub);
  std::string subject() const override;

 protected:
  // What it waits for, as poll(2) is told.
  virtual std::span<const pollfd> interests() const noexcept = 0;

 private:
  int refusal() const noexcept final { return ETIMEDOUT; }

  std::unique_ptr<Descriptor> set_;  // made by the wait
};

// The base of what waits for one such descriptor, in one direction. Refuses a second one that does.
class UVLET_API ForeignCall : public ForeignWait, public Link {
 public:
  ForeignCall(int fd, Direction direction, std::optional<Duration> limit) noexcept;
  ForeignCall(ForeignCall&& other) noexcept
      : ForeignWait(std::move(other)), interest_(other.interest_) {}

  bool ready() noexcept;
  // Throws logic_error for a second simultaneous one.
  void suspend(Hub& hub);
  const char* describe() const noexcept override;

 protected:
  int fd() const noexcept { return interest_.fd; }
  std::span<const pollfd> interests() const noexcept override { return {&interest_, 1}; }

 private:
  const ForeignCall* rival() const noexcept;

  pollfd interest_;
  std::uint64_t forks_ = 0;  // when it began: what waited in the parent does not wait here
};

}  // namespace uvlet::inline UVLET_ABI
