#pragma once

#include <aio/task.hpp>
#include <uvlet/address.hpp>
#include <uvlet/descriptor.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace aio {

using uvlet::Address;

// The stream ended before what was asked for had come.
struct UVLET_API IncompleteReadError : std::runtime_error {
  IncompleteReadError(std::string partial_data, std::size_t expected_bytes);
  std::string partial;
  std::size_t expected;  // 0: it was looked for a separator
};

// No separator within the first 64 KiB. What was read stays in the stream.
struct UVLET_API LimitOverrunError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {
struct StreamState;
struct StreamOwner;
class WeakStream;
}  // namespace detail

// A connected socket for coroutines, buffered in both directions: asyncio's StreamReader and
// StreamWriter in one. A shared handle; the last one closes it. One reader at a time. Failures are
// system_error with the errno.
class UVLET_API Stream {
 public:
  // Takes over a connected, non-blocking socket.
  static Stream from_fd(int fd, std::unique_ptr<uvlet::Transport> transport = nullptr);

  // What there is, up to `max` bytes; "" at the end of the stream.
  task<std::string> read(std::size_t max);
  // With its "\n", which the last line may lack; "" at the end of the stream. LimitOverrunError.
  task<std::string> readline();
  // What was read already, and not yet taken.
  std::string read_buffered();
  // IncompleteReadError at the end of the stream.
  task<std::string> readexactly(std::size_t bytes);
  // Up to and with the separator. IncompleteReadError, LimitOverrunError.
  task<std::string> readuntil(std::string separator);

  // Sends, now or in the background; never waits. Throws logic_error after write_eof or close.
  void write(std::string_view data);
  // Where more than 64 KiB are unsent, waits until no more than 16 KiB are; throws what sending
  // failed with.
  task<void> drain();
  // Waits until the system has all that was written; throws as drain() does.
  task<void> flush();
  // Nothing more will be written: the peer sees the end of the stream. May be said twice; throws
  // logic_error after close.
  void write_eof();
  bool at_eof() const;  // the end was reached, and everything before it read

  // Sends what was written, then closes; who reads gets EBADF.
  void close();
  task<void> wait_closed();
  int fileno() const;  // -1 when closed
  // Its readiness, and the way of its bytes.
  uvlet::Descriptor& descriptor() const;

 private:
  friend class detail::WeakStream;
  explicit Stream(std::shared_ptr<detail::StreamOwner> owner) noexcept;
  detail::StreamState& state() const;

  std::shared_ptr<detail::StreamOwner> owner_;
};

namespace detail {

// A Stream that others may close, or drop.
class UVLET_API WeakStream {
 public:
  explicit WeakStream(const Stream& stream) noexcept : owner_(stream.owner_) {}
  // What has come can be read, and then comes the end.
  void end_reading() const noexcept;

 private:
  std::weak_ptr<StreamOwner> owner_;
};

}  // namespace detail

// Connects, from the address `local` if there is one. The addresses of a name are tried in turn,
// each a quarter of a second after the one before or as soon as that has failed, IPv4 and IPv6 in
// alternation; the first that connects is taken (RFC 8305). Throws system_error if none does, or
// gaierror.
UVLET_API task<Stream> open_connection(Address address, std::optional<Address> local = {});

}  // namespace aio
