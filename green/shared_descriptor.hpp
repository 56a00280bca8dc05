#pragma once

// The descriptor that a Socket and its Files share.

#include <uvlet/address.hpp>
#include <uvlet/descriptor.hpp>

#include <optional>

namespace green::detail {

// Closed when the last of its users closes it. A user's calls carry its address,
// the Socket's none.
struct SharedDescriptor final : uvlet::Descriptor {
  using Descriptor::Descriptor;

  // One user fewer, whose waits end with EBADF.
  void leave(const void* user) noexcept {
    if (--users == 0)
      close();
    else
      dismiss(user);
  }
  int users = 1;
  std::optional<uvlet::Duration> timeout;  // the Socket's
  uvlet::Address connecting;               // to where a connect has begun and goes on
};

}  // namespace green::detail
