#pragma once

// What is behind a File; for those that make one.

#include <green/shared_descriptor.hpp>
#include <uvlet/byte_buffer.hpp>

#include <memory>
#include <optional>

namespace green::detail {

// What a descriptor is, as far as reading and writing differ.
enum class FileKind { socket, stream, regular };

struct FileState {
  FileState(std::shared_ptr<SharedDescriptor> shared, FileKind what) noexcept
      : descriptor(std::move(shared)), kind(what) {}
  FileState(const FileState&) = delete;
  ~FileState() { close(); }

  // Nobody sees EAGAIN of what is sent in the background.
  std::optional<uvlet::Duration> send_limit() const noexcept {
    const std::optional<uvlet::Duration> limit = descriptor->timeout;
    return dropped && limit && limit->seconds() == 0 ? std::nullopt : limit;
  }
  void close() noexcept {
    if (open) descriptor->leave(this);
    open = false;
  }

  std::shared_ptr<SharedDescriptor> descriptor;
  FileKind kind;
  bool open = true;
  uvlet::Root* reader = nullptr;  // that is in a call
  uvlet::Root* writer = nullptr;
  bool dropped = false;      // by its File, before all was sent
  int error = 0;             // what sending failed with: it will not work again
  uvlet::ByteBuffer input;   // read, not yet asked for
  uvlet::ByteBuffer output;  // written, not yet sent
};

}  // namespace green::detail
