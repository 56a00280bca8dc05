#include "connection.hpp"

#include <algorithm>
#include <sys/sendfile.h>

namespace aio::http::detail {
namespace {

constexpr std::size_t idle_bytes_max = 4 * 1024;       // that an idle connection may keep
constexpr std::uint64_t sendfile_bytes_max = 1 << 20;  // at a call

}  // namespace

Fill::Fill(Connection& connection, std::optional<Duration> limit) noexcept
    : Operation(&connection.descriptor, limit, uvlet::scratch_bytes), connection_(connection) {}

void Fill::received(const char* data, std::size_t bytes) {
  open_ = bytes > 0;
  connection_.append(data, bytes);
}

bool Fill::result() {
  check("recv");
  return open_;
}

void Connection::append(const char* data, std::size_t bytes) {
  if (used_ == input_.size()) {
    if (input_.capacity() > idle_bytes_max && bytes <= idle_bytes_max) std::string().swap(input_);
    input_.assign(data, bytes);
  } else {
    input_.erase(0, used_);
    input_.append(data, bytes);
  }
  used_ = 0;
}

SendAll::SendAll(Connection& connection, std::string_view data,
                 std::optional<Duration> limit) noexcept
    : Operation(&connection.descriptor, limit), left_(data) {}

SendFile::SendFile(Connection& connection, int file, std::uint64_t first, std::uint64_t bytes,
                   std::optional<Duration> limit) noexcept
    : Operation(&connection.descriptor, uvlet::Direction::write, limit),
      file_(file),
      next_(first),
      left_(bytes) {}

bool SendFile::attempt() noexcept {
  while (left_ > 0) {
    off_t offset = static_cast<off_t>(next_);
    const ssize_t put = ::sendfile(fd(), file_, &offset, std::min(left_, sendfile_bytes_max));
    if (put < 0) return failed(errno);
    if (put == 0) return failed(EIO);
    next_ += static_cast<std::uint64_t>(put);
    left_ -= static_cast<std::uint64_t>(put);
  }
  return true;
}

}  // namespace aio::http::detail
