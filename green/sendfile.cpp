// Socket::sendfile.

#include <green/os.hpp>
#include <green/socket.hpp>
#include <green/socket_call.hpp>

#include <aio/event.hpp>
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

// A piece of the file, between who reads it and who sends it.
struct Piece {
  std::string data;
  std::size_t sent = 0;
  aio::Event wanted;  // there is nothing left to send

  std::string_view left() const noexcept { return std::string_view(data).substr(sent); }
};

// Sends pieces in the place of the writer, which it holds while the next one is read too.
class SendPieces final : public uvlet::Operation<SendPieces, uvlet::IoWait> {
 public:
  SendPieces(uvlet::Descriptor* descriptor, std::optional<Duration> limit, Piece& piece,
             const aio::Future<std::size_t>& reading) noexcept
      : Operation(descriptor, uvlet::Direction::write, at_once(limit) ? std::nullopt : limit),
        at_once_(at_once(limit)),
        piece_(piece),
        reading_(reading) {
    elsewhere = true;
  }
  SendPieces(SendPieces&&) = default;
  std::size_t result() const {
    check("sendfile");
    return reading_.result();
  }

 private:
  static bool at_once(const std::optional<Duration>& limit) noexcept {
    return limit && limit->seconds() == 0;
  }

  bool attempt() noexcept override {
    while (!piece_.left().empty()) {
      const std::string_view data = piece_.left();
      const std::size_t wanted = descriptor_->allowance(data.size());
      const ssize_t put = wanted == 0 ? -1 : descriptor_->send(data.data(), wanted);
      if (put < 0) return would_wait(wanted == 0 ? EAGAIN : errno);
      piece_.sent += static_cast<std::size_t>(put);
    }
    if (descriptor_->flush() < 0) return would_wait(errno);
    elsewhere = true;
    piece_.wanted.set();
    return reading_.done();
  }

  // The limit zero is the socket's: for the file it waits.
  bool would_wait(int error) noexcept {
    elsewhere = false;
    if (!at_once_) return failed(error);
    error_number = error;
    return true;
  }

  const bool at_once_;
  Piece& piece_;
  const aio::Future<std::size_t>& reading_;
};

// Reads the file piece by piece; gives the number of bytes.
aio::task<std::size_t> read_pieces(std::shared_ptr<detail::SharedDescriptor> socket,
                                   std::shared_ptr<Piece> piece, Part part, bool seekable) {
  while (part.left > 0) {
    std::string data = co_await read_chunk(part, seekable);
    if (data.empty()) break;
    part.sent += data.size();
    part.left -= data.size();
    piece->wanted.clear();
    piece->data = std::move(data);
    piece->sent = 0;
    socket->retry(uvlet::Direction::write);
    socket->update_watch();
    co_await piece->wanted.wait();
  }
  co_return part.sent;
}

aio::task<std::size_t> send_file(std::shared_ptr<detail::SharedDescriptor> socket,
                                 std::optional<Duration> limit, Part part) {
  if (!socket) throw std::system_error(EBADF, std::generic_category(), "sendfile");
  const detail::CallLimit whole(limit);
  SendFile sending(socket.get(), limit, part);
  if (co_await std::move(sending)) co_return part.sent;
  const bool seekable = ::lseek(part.file, 0, SEEK_CUR) >= 0;
  if (!seekable && limit && limit->seconds() == 0)  // who writes to it may take long
    throw std::system_error(EAGAIN, std::generic_category(), "sendfile");
  auto piece = std::make_shared<Piece>();
  detail::Begun<std::size_t> reading(read_pieces(socket, piece, part, seekable), "sendfile");
  auto done = [socket](const aio::Future<std::size_t>&) { socket->retry(uvlet::Direction::write); };
  reading.work.add_done_callback(std::move(done));
  SendPieces sending_pieces(socket.get(), whole.left("sendfile"), *piece, reading.work);
  co_return co_await std::move(sending_pieces);
}

}  // namespace

aio::task<std::size_t> Socket::sendfile_async(int file, std::size_t offset,
                                              std::optional<std::size_t> count) {
  const Part part{file, static_cast<off_t>(offset), count.value_or(SIZE_MAX)};
  return send_file(descriptor_, timeout_, part);
}

}  // namespace green
