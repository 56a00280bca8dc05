#pragma once

#include <uvlet/address.hpp>
#include <uvlet/descriptor.hpp>

#include <optional>

namespace uvlet::inline UVLET_ABI {

// Connects a socket to one resolved address; gives the errno, 0 when connected. `again`: an attempt
// that is under way already is to this address, and is waited for; else it is EALREADY.
class UVLET_API Connect final : public Operation<Connect, IoWait> {
 public:
  Connect(Descriptor* descriptor, std::optional<Duration> limit, Address to, bool again)
      : Operation(descriptor, Direction::write, limit), to_(std::move(to)), again_(again) {}
  Connect(Connect&&) = default;
  int result() const noexcept { return error_number; }

 private:
  bool attempt() noexcept override;

  Address to_;
  bool again_;
  bool started_ = false;
};

}  // namespace uvlet::inline UVLET_ABI
