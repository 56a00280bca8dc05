#pragma once

#include <uvlet/descriptor.hpp>

#include <optional>

namespace uvlet::inline UVLET_ABI {

// Waits until the transport of a connected descriptor can carry bytes. Without a transport, or
// where that is so already, it is done at once. In the place of the descriptor's reader.
class UVLET_API Handshake final : public Operation<Handshake, IoWait> {
 public:
  Handshake(Descriptor* descriptor, std::optional<Duration> limit) noexcept
      : Operation(descriptor, Direction::read, limit) {}
  Handshake(Handshake&&) = default;
  void result() const { check("handshake"); }

 private:
  bool attempt() noexcept override;
};

}  // namespace uvlet::inline UVLET_ABI
