#pragma once

// Bytes received, and bytes sent: what the calls of sockets and streams are made of.

#include <uvlet/config.hpp>
#include <uvlet/descriptor.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace uvlet::inline UVLET_ABI {

// Waits until there is something to receive, and receives once. A derived class takes what came;
// its own place for it, if it brings one, must outlive the wait.
class UVLET_API Receive : public IoWait {
 public:
  Receive(Descriptor* descriptor, std::optional<Duration> limit, std::size_t max,
          char* into = nullptr) noexcept
      : IoWait(descriptor, Direction::read, limit), max_(max), into_(into) {}

 protected:
  // How many bytes are worth asking for.
  virtual std::size_t wanted() const noexcept { return max_; }
  // What came; no bytes: the end of the stream. It may throw bad_alloc, which ends in ENOMEM.
  virtual void received(const char* data, std::size_t bytes) = 0;

  bool attempt() noexcept final;
  bool next_receive(ReceiveCall& call) noexcept final;
  bool receive_made(const ReceiveCall& call) noexcept final;
  bool nothing_there() const noexcept final { return max_ > 0 && descriptor_->drained; }

  std::size_t max_;
  char* into_;  // null: a place is found for it
};

// Waits until the system has taken everything.
class UVLET_API Send : public IoWait {
 public:
  Send(Descriptor* descriptor, std::optional<Duration> limit) noexcept
      : IoWait(descriptor, Direction::write, limit) {}

 protected:
  virtual std::string_view left() const noexcept = 0;
  // So many of them were sent.
  virtual void sent(std::size_t bytes) noexcept = 0;
  virtual bool all_sent() const noexcept { return left().empty(); }

  bool attempt() noexcept final;
};

}  // namespace uvlet::inline UVLET_ABI
