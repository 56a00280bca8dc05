// Socket::sendfile.

#include <green/os.hpp>
#include <green/socket.hpp>
#include <green/socket_call.hpp>

#include <aio/to_thread.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <system_error>
#include <unistd.h>

namespace green {
namespace {

constexpr std::size_t sendfile_max = 1 << 30;  // of one system call
constexpr std::size_t chunk_bytes = 64 * 1024;

struct Part {
  int file;
  off_t offset;
  std::size_t left;
  std::size_t sent = 0;
};

// False: this file cannot be sent so.
class SendFile final : public uvlet::Operation<SendFile, uvlet::IoWait> {
 public:
  SendFile(uvlet::Descriptor* descriptor, std::optional<Duration> limit, Part& part) noexcept
      : Operation(descriptor, uvlet::Direction::write, limit), part_(part) {}
  SendFile(SendFile&&) = default;
  bool result() const {
    check("sendfile");
    return possible_;
  }

 private:
  bool attempt() noexcept override {
    possible_ = !descriptor_->transport();  // the kernel's bytes would pass it by
    while (possible_ && part_.left > 0) {
      const std::size_t wanted = descriptor_->allowance(std::min(part_.left, sendfile_max));
      if (wanted == 0) return false;
      off_t at = part_.offset + static_cast<off_t>(part_.sent);
      const ssize_t put = ::sendfile(fd(), part_.file, &at, wanted);
      if (put == 0) return true;  // the end of the file
      if (put < 0) {
        possible_ = errno != EINVAL && errno != ENOSYS && errno != ESPIPE && errno != EOPNOTSUPP;
        return !possible_ || failed(errno);
      }
      part_.sent += static_cast<std::size_t>(put);
      part_.left -= static_cast<std::size_t>(put);
    }
    return true;
  }

  Part& part_;
  bool possible_ = true;
};

// What is at the offset, or, of a pipe and the like, what comes next.
aio::task<std::string> read_chunk(Part part, bool seekable) {
  const std::size_t wanted = std::min(part.left, chunk_bytes);
  if (!seekable && part.offset == 0) co_return co_await os::read_async(part.file, wanted);
  OwnedFd copy(::fcntl(part.file, F_DUPFD_CLOEXEC, 0));
  auto call = [copy = std::move(copy), wanted,
               at = part.offset + (seekable ? static_cast<off_t>(part.sent) : 0)] {
    std::string data(wanted, '\0');
    const ssize_t got = ::pread(copy.get(), data.data(), wanted, at);
    if (got < 0) throw std::system_error(errno, std::generic_category(), "sendfile");
    data.resize(static_cast<std::size_t>(got));
    return data;
  };
  co_return co_await aio::to_thread(std::move(call));
}

aio::task<std::size_t> send_file(std::shared_ptr<detail::SharedDescriptor> socket,
                                 std::optional<Duration> limit, Part part) {
  if (!socket) throw std::system_error(EBADF, std::generic_category(), "sendfile");
  const detail::CallLimit whole(limit);
  SendFile sending(socket.get(), limit, part);
  if (co_await std::move(sending)) co_return part.sent;
  const bool seekable = ::lseek(part.file, 0, SEEK_CUR) >= 0;
  while (part.left > 0) {
    auto reading = read_chunk(part, seekable);
    if (!seekable)  // who writes to it may take long
      reading = detail::for_writer(socket, whole.left("sendfile"), std::move(reading), "sendfile");
    const std::string chunk = co_await std::move(reading);
    if (chunk.empty()) break;
    detail::Send sending_chunk(socket.get(), whole.left("sendfile"), chunk, true);
    co_await std::move(sending_chunk);
    part.sent += chunk.size();
    part.left -= chunk.size();
  }
  co_return part.sent;
}

}  // namespace

aio::task<std::size_t> Socket::sendfile_async(int file, std::size_t offset,
                                              std::optional<std::size_t> count) {
  const Part part{file, static_cast<off_t>(offset), count.value_or(SIZE_MAX)};
  return send_file(descriptor_, timeout_, part);
}

}  // namespace green
