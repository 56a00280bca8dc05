#pragma once

#include <green/awaitlet.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace green {

// The end came before what was asked for.
struct UVLET_API IncompleteRead : std::runtime_error {
  IncompleteRead(std::string partial_data, std::size_t expected_bytes);
  std::string partial;
  std::size_t expected;
};

namespace detail {
struct FileState;
}

// A socket, pipe, terminal or file, buffered in both directions: what Socket::makefile() and
// os::fdopen() give. It shares a socket's descriptor, and works on when the Socket is closed; the
// descriptor is closed with the last of them. The Socket's settimeout holds for each receive and
// each sending of the buffer that a call makes, as in Python: a call of several may take longer.
// One reader and one writer at a time: a second one is logic_error. An interrupted or timed-out
// call loses nothing: what was read stays in the buffer, what was not sent goes with the next
// flush.
//
// Move-only. The destructor closes; what is not sent by then is sent in the background, and an
// error of that is printed: who wants to know calls close(). Failures are system_error with the
// errno, EBADF after close. Source: Python's socket.makefile, eventlet.greenio.GreenPipe.
class UVLET_API File {
 public:
  File() noexcept = default;  // a closed one
  File(File&&) noexcept = default;
  File& operator=(File&& other) noexcept;
  ~File();

  // With its "\n", which the last line may lack; "" at the end.
  // Blocks the green thread. Cancel point.
  std::string readline() { return detail::drive(readline_async()); }
  aio::task<std::string> readline_async();
  // All there is until the end. Blocks the green thread. Cancel point.
  std::string read() { return detail::drive(read_async()); }
  aio::task<std::string> read_async();
  // `bytes` of them, or fewer at the end. Blocks the green thread. Cancel point.
  std::string read(std::size_t bytes) { return detail::drive(read_async(bytes)); }
  aio::task<std::string> read_async(std::size_t bytes);
  // What there is, up to `max` bytes; waits only if there is nothing.
  // Blocks the green thread. Cancel point.
  std::string read1(std::size_t max) { return detail::drive(read1_async(max)); }
  aio::task<std::string> read1_async(std::size_t max);
  // Throws IncompleteRead at the end. Blocks the green thread. Cancel point.
  std::string readexactly(std::size_t bytes) { return detail::drive(readexactly_async(bytes)); }
  aio::task<std::string> readexactly_async(std::size_t bytes);

  // Into the buffer, which is sent when it is full. Throws what sending failed with, also earlier.
  // Who is interrupted, or out of time, has written all of it: into memory, whatever its size.
  // Blocks the green thread. Cancel point.
  void write(std::string_view data) { detail::drive(write_async(data)); }
  aio::task<void> write_async(std::string_view data);
  // Sends what is in the buffer. Blocks the green thread. Cancel point.
  void flush() { detail::drive(flush_async()); }
  aio::task<void> flush_async();
  // Flushes, and closes even if that fails; wakes who else is blocked in it with EBADF. Does
  // nothing the second time. Blocks the green thread. Cancel point.
  void close() { detail::drive(close_async()); }
  aio::task<void> close_async();

  bool closed() const noexcept { return fileno() < 0; }
  int fileno() const noexcept;  // -1 when closed

  // An input range of its lines. Each step: Blocks the green thread. Cancel point.
  class LineIterator;
  LineIterator begin();
  std::default_sentinel_t end() const noexcept { return {}; }

  // For makefile() and fdopen().
  explicit File(std::shared_ptr<detail::FileState> state) noexcept;

 private:
  std::shared_ptr<detail::FileState> state_;
};

class File::LineIterator {
 public:
  using value_type = std::string;
  using difference_type = std::ptrdiff_t;

  explicit LineIterator(File& file) : file_(&file) { ++*this; }
  const std::string& operator*() const noexcept { return line_; }
  const std::string* operator->() const noexcept { return &line_; }
  LineIterator& operator++() {
    line_ = file_->readline();
    return *this;
  }
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const noexcept { return line_.empty(); }

 private:
  File* file_;
  std::string line_;
};

inline File::LineIterator File::begin() { return LineIterator(*this); }

}  // namespace green
