#include <green/file.hpp>

#include <green/file_state.hpp>

#include <aio/to_thread.hpp>
#include <uvlet/timeout.hpp>

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace green {
namespace detail {
namespace {

using State = std::shared_ptr<FileState>;
using uvlet::Direction;

constexpr std::size_t chunk_bytes = 64 * 1024;   // of a read
constexpr std::size_t buffer_bytes = 64 * 1024;  // that may wait to be sent

[[noreturn]] void fail(int error, const char* call) {
  throw std::system_error(error, std::generic_category(), call);
}

ssize_t transmit(const FileState& file, std::size_t bytes) noexcept {
  const char* data = file.output.data();
  return file.kind == FileKind::socket ? file.descriptor->send(data, bytes)
                                       : ::write(file.descriptor->fd(), data, bytes);
}

// Reads more into the buffer; gives the number of bytes, 0 at the end.
class Fill final : public uvlet::Operation<Fill, uvlet::IoWait> {
 public:
  explicit Fill(FileState& file) noexcept
      : Operation(file.descriptor.get(), Direction::read, file.descriptor->timeout), file_(file) {
    user = &file;
  }
  Fill(Fill&&) = default;
  std::size_t result() {
    check("read");
    return got_;
  }

 private:
  bool nothing_there() const noexcept override { return descriptor_->drained; }
  bool attempt() noexcept override {
    const std::size_t wanted = descriptor_->allowance(uvlet::scratch_bytes);
    if (wanted == 0) return false;
    char* const buffer = uvlet::scratch();
    if (!buffer) return failed(ENOMEM);
    const ssize_t got = file_.kind == FileKind::socket ? descriptor_->recv(buffer, wanted)
                                                       : ::read(fd(), buffer, wanted);
    if (got < 0) return failed(errno);
    got_ = static_cast<std::size_t>(got);
    try {
      file_.input.append({buffer, got_});
    } catch (...) {
      error_number = ENOMEM;
    }
    return true;
  }

  FileState& file_;
  std::size_t got_ = 0;
};

// Sends what is in the buffer.
class Drain final : public uvlet::Operation<Drain, uvlet::IoWait> {
 public:
  explicit Drain(FileState& file) noexcept
      : Operation(file.descriptor.get(), Direction::write, file.send_limit()), file_(file) {
    user = &file;
  }
  Drain(Drain&&) = default;
  void result() const { check("write"); }

 private:
  bool attempt() noexcept override {
    while (!file_.output.empty()) {
      const std::size_t wanted = descriptor_->allowance(file_.output.size());
      if (wanted == 0) return false;
      const ssize_t put = transmit(file_, wanted);
      if (put < 0) return broken(errno);
      file_.output.drop(static_cast<std::size_t>(put));
    }
    return descriptor_->flush() == 0 || broken(errno);
  }
  bool broken(int error) noexcept {
    if (failed(error)) file_.error = error;
    return file_.error != 0;
  }

  FileState& file_;
};

// The one reader, or writer, while it runs.
class Turn {
 public:
  Turn(State file, Direction direction)
      : file_(std::move(file)),
        user_(direction == Direction::read ? file_->reader : file_->writer) {
    uvlet::Root* self = uvlet::Hub::get().running();
    if (user_) uvlet::refuse_second(file_->descriptor->fd(), direction, user_, self);
    user_ = self;
  }
  Turn(const Turn&) = delete;
  ~Turn() { user_ = nullptr; }

 private:
  State file_;
  uvlet::Root*& user_;
};

// --- files of a file system: on the thread pool, and not interrupted in a system call ------------

// The descriptor stays open until the thread is done with it.
class Use {
 public:
  explicit Use(FileState& file) noexcept : descriptor_(file.descriptor) { ++descriptor_->users; }
  Use(const Use&) = delete;
  ~Use() { descriptor_->leave(this); }
  int fd() const noexcept { return descriptor_->fd(); }

 private:
  std::shared_ptr<SharedDescriptor> descriptor_;
};

aio::task<std::size_t> fill_regular(FileState& file) {
  const uvlet::Shield shield;
  auto call = [use = std::make_shared<Use>(file)] {
    std::string chunk(chunk_bytes, '\0');
    const ssize_t got = ::read(use->fd(), chunk.data(), chunk.size());
    if (got < 0) fail(errno, "read");
    chunk.resize(static_cast<std::size_t>(got));
    return chunk;
  };
  const std::string chunk = co_await aio::to_thread(std::move(call));
  file.input.append(chunk);
  co_return chunk.size();
}

// To where the reader is: what was read ahead is read again.
void rewind(FileState& file) noexcept {
  if (!file.input.empty())
    ::lseek(file.descriptor->fd(), -static_cast<off_t>(file.input.size()), SEEK_CUR);
  file.input.clear();
}

aio::task<void> drain_regular(FileState& file) {
  const uvlet::Shield shield;
  while (!file.output.empty()) {
    auto call = [use = std::make_shared<Use>(file), block = std::string(file.output.view())] {
      const ssize_t put = ::write(use->fd(), block.data(), block.size());
      if (put < 0) fail(errno, "write");
      return static_cast<std::size_t>(put);
    };
    const std::size_t put = co_await aio::to_thread(std::move(call));
    file.output.drop(put);
  }
}

// --- any file ------------------------------------------------------------------------------------

bool is_open(const State& file) noexcept {
  return file && file->open && file->descriptor->fd() >= 0;
}

const State& opened(const State& file, const char* call) {
  if (!is_open(file)) fail(EBADF, call);
  return file;
}

aio::task<void> drain(State file) {
  if (file->error != 0) file->descriptor->fail(file->error, "write");
  if (file->output.empty()) co_return;
  if (file->kind == FileKind::regular) {
    co_await drain_regular(*file);
  } else {
    Drain draining(*file);
    co_await std::move(draining);
  }
}

aio::task<std::size_t> fill(State file) {
  opened(file, "read");
  if (file->kind != FileKind::regular) {
    Fill filling(*file);
    co_return co_await std::move(filling);
  }
  if (!file->output.empty()) {  // the reader sees what was written
    const Turn turn(file, Direction::write);
    co_await drain(file);
  }
  co_return co_await fill_regular(*file);
}

// So many bytes are in the buffer, or all there are.
aio::task<std::size_t> gather(State file, std::size_t bytes) {
  while (file->input.size() < bytes) {
    const std::size_t got = co_await fill(file);
    if (got == 0) break;
  }
  co_return std::min(bytes, file->input.size());
}

aio::task<std::string> read_up_to(State file, std::size_t bytes) {
  const Turn turn(opened(file, "read"), Direction::read);
  const std::size_t there = co_await gather(file, bytes);
  co_return file->input.take(there);
}

aio::task<std::string> read_some(State file, std::size_t max) {
  const Turn turn(opened(file, "read"), Direction::read);
  if (max > 0 && file->input.empty()) co_await fill(file);
  co_return file->input.take(max);
}

aio::task<std::string> read_exactly(State file, std::size_t bytes) {
  const Turn turn(opened(file, "read"), Direction::read);
  const std::size_t there = co_await gather(file, bytes);
  if (there < bytes) throw IncompleteRead(file->input.take(there), bytes);
  co_return file->input.take(bytes);
}

aio::task<std::string> read_line(State file) {
  const Turn turn(opened(file, "read"), Direction::read);
  for (std::size_t searched = 0;;) {
    const std::size_t at = file->input.view().find('\n', searched);
    if (at != std::string_view::npos) co_return file->input.take(at + 1);
    searched = file->input.size();
    const std::size_t got = co_await fill(file);
    if (got == 0) co_return file->input.take(searched);
  }
}

aio::task<void> write_all(State file, std::string_view data) {
  const Turn turn(opened(file, "write"), Direction::write);
  if (file->error != 0) file->descriptor->fail(file->error, "write");
  if (file->kind == FileKind::regular) rewind(*file);
  try {
    do {
      if (file->output.size() >= buffer_bytes) co_await drain(file);
      const std::string_view part = data.substr(0, buffer_bytes);
      opened(file, "write")->output.append(part);
      data.remove_prefix(part.size());
    } while (!data.empty());
    if (file->output.size() >= buffer_bytes) co_await drain(file);
  } catch (...) {  // who is interrupted has written all of it
    if (file->kind != FileKind::regular && file->error == 0 && is_open(file))
      file->output.append(data);
    throw;
  }
}

aio::task<void> flush_all(State file) {
  const Turn turn(opened(file, "write"), Direction::write);
  co_await drain(file);
}

aio::task<void> close_file(State file) {
  if (!file || !file->open) co_return;
  const bool flushing = !file->output.empty() && !file->writer;
  struct Close {
    FileState& file;
    ~Close() { file.close(); }
  } close{*file};
  if (flushing) co_await flush_all(file);
}

// What goes without waiting. False: there is more, or an error.
bool send_at_once(FileState& file) noexcept {
  while (file.error == 0 && !file.output.empty()) {
    const ssize_t put = transmit(file, file.output.size());
    if (put < 0) return false;
    file.output.drop(static_cast<std::size_t>(put));
  }
  return file.error == 0;
}

}  // namespace
}  // namespace detail

IncompleteRead::IncompleteRead(std::string partial_data, std::size_t expected_bytes)
    : std::runtime_error("the end came after " + std::to_string(partial_data.size()) + " of " +
                         std::to_string(expected_bytes) + " bytes"),
      partial(std::move(partial_data)),
      expected(expected_bytes) {}

File::File(std::shared_ptr<detail::FileState> state) noexcept : state_(std::move(state)) {}

File& File::operator=(File&& other) noexcept {
  if (this == &other) return *this;
  const File old(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

File::~File() {
  if (!state_ || !state_->open) return;
  detail::FileState& file = *state_;
  if (!file.output.empty() && file.error == 0 && !file.writer && !detail::send_at_once(file)) {
    try {
      if (uvlet::Hub* hub = uvlet::Hub::existing(); hub && !hub->ending()) {
        file.dropped = true;
        hub->spawn([state = state_] { detail::drive(detail::close_file(state)); });
        return;
      }
    } catch (...) {
    }
  }
  file.close();
}

int File::fileno() const noexcept {
  return detail::is_open(state_) ? state_->descriptor->fd() : -1;
}

aio::task<std::string> File::readline_async() { return detail::read_line(state_); }
aio::task<std::string> File::read_async() { return detail::read_up_to(state_, SIZE_MAX); }
aio::task<std::string> File::read_async(std::size_t bytes) {
  return detail::read_up_to(state_, bytes);
}
aio::task<std::string> File::read1_async(std::size_t max) { return detail::read_some(state_, max); }
aio::task<std::string> File::readexactly_async(std::size_t bytes) {
  return detail::read_exactly(state_, bytes);
}
aio::task<void> File::write_async(std::string_view data) { return detail::write_all(state_, data); }
aio::task<void> File::flush_async() { return detail::flush_all(state_); }
aio::task<void> File::close_async() { return detail::close_file(state_); }

}  // namespace green
