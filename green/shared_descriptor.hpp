#pragma once

// The descriptor that a Socket and its Files share.

#include <uvlet/descriptor.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace green::detail {

// Closed when the last of its users closes it. A user's calls carry its address,
// the Socket's none.
struct SharedDescriptor final : uvlet::Descriptor {
  using Descriptor::Descriptor;

  // A writer that waits at another descriptor, while this one is writable.
  class WriterElsewhere {
   public:
    WriterElsewhere(SharedDescriptor& shared, Descriptor& place) noexcept : shared_(shared) {
      shared.writer_elsewhere = &place;
    }
    WriterElsewhere(const WriterElsewhere&) = delete;
    ~WriterElsewhere() { shared_.writer_elsewhere = nullptr; }

   private:
    SharedDescriptor& shared_;
  };

  void refuse_second_writer() const {
    if (writer_elsewhere)
      throw std::logic_error("descriptor " + std::to_string(fd()) +
                             ": a second simultaneous writer");
  }
  // One user fewer, whose waits end with EBADF.
  void leave(const void* user) noexcept {
    if (writer_elsewhere && !user) writer_elsewhere->close();
    if (--users == 0)
      close();
    else
      dismiss(user);
  }
  // The number is the caller's: it is closed for all users.
  int give_up() noexcept {
    if (writer_elsewhere) writer_elsewhere->close();
    return detach();
  }

  int users = 1;
  std::optional<uvlet::Duration> timeout;  // the Socket's
  Descriptor* writer_elsewhere = nullptr;
};

}  // namespace green::detail
