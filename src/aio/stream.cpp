#include <aio/connect.hpp>
#include <aio/stream.hpp>
#include <uvlet/byte_buffer.hpp>
#include <uvlet/descriptor.hpp>
#include <uvlet/signal.hpp>
#include <uvlet/transfer.hpp>

#include "listener.hpp"

#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace aio {
namespace {

constexpr std::size_t line_max = 64 * 1024;
constexpr std::size_t unsent_high = 64 * 1024;  // above it drain waits,
constexpr std::size_t unsent_low = 16 * 1024;   // until no more than this is left

}  // namespace

IncompleteReadError::IncompleteReadError(std::string partial_data, std::size_t expected_bytes)
    : std::runtime_error("the stream ended after " + std::to_string(partial_data.size()) +
                         (expected_bytes ? " of " + std::to_string(expected_bytes) + " bytes"
                                         : std::string(" bytes without the separator"))),
      partial(std::move(partial_data)),
      expected(expected_bytes) {}

namespace detail {

// What all handles share. As an IoRequest it sends what is buffered, in the background.
struct StreamState final : uvlet::IoRequest, std::enable_shared_from_this<StreamState> {
  explicit StreamState(int fd) : descriptor(fd, true) {}

  bool open() const noexcept { return descriptor.fd() >= 0; }

  bool attempt() noexcept override {
    const bool settled = push();
    if (!settled && output.size() <= unsent_low) changed.notify_all();
    return settled;
  }
  bool push() noexcept {
    while (!output.empty()) {
      const std::size_t wanted = descriptor.allowance(output.size());
      if (wanted == 0) return false;
      const ssize_t put = descriptor.send(output.data(), wanted);
      if (put < 0) return failed(errno);
      output.drop(static_cast<std::size_t>(put));
    }
    return descriptor.flush() == 0 || failed(errno);
  }
  bool failed(int error) noexcept {
    if (error == EAGAIN || error == EINTR) return false;
    error_number = error;
    return true;
  }
  void complete() noexcept override {
    const auto alive = std::move(sending);  // the last reference may be this one
    flushed();
  }

  void send(std::string_view data) {
    output.append(data);
    if (sending) return;
    if (attempt()) {
      flushed();
      return;
    }
    descriptor.wait(*this, uvlet::Direction::write);
    sending = shared_from_this();
  }
  void flushed() noexcept {
    output.clear();
    if (end_wanted && open()) descriptor.shutdown(SHUT_WR);
    if (close_wanted) descriptor.close();
    changed.notify_all();
  }
  void finish() noexcept {
    close_wanted = true;
    if (!sending) flushed();
  }

  uvlet::Descriptor descriptor;
  uvlet::ByteBuffer input;   // read, not yet asked for
  uvlet::ByteBuffer output;  // written, not yet sent
  bool ended = false;        // the peer's end was read
  bool end_wanted = false;
  bool close_wanted = false;
  std::shared_ptr<StreamState> sending;  // itself, while libuv will tell when it may go on
  uvlet::Signal changed{"a stream to send its data"};
};

struct StreamOwner {
  explicit StreamOwner(std::shared_ptr<StreamState> owned) noexcept : state(std::move(owned)) {}
  ~StreamOwner() { state->finish(); }
  std::shared_ptr<StreamState> state;
};

// Reads more into the stream's buffer; false at the end of the stream.
class Fill final : public uvlet::Operation<Fill, uvlet::Receive> {
 public:
  explicit Fill(StreamState& state) noexcept
      : Operation(&state.descriptor, std::nullopt, uvlet::scratch_bytes), state_(state) {}
  Fill(Fill&&) = default;
  bool result() {
    check("read");
    return !state_.ended;
  }

 private:
  void received(const char* data, std::size_t bytes) override {
    state_.ended = bytes == 0;
    state_.input.append({data, bytes});
  }

  StreamState& state_;
};

namespace {

using Shared = std::shared_ptr<StreamState>;

task<std::string> read_some(Shared state, std::size_t max) {
  while (max > 0 && state->input.empty() && !state->ended) co_await Fill(*state);
  co_return state->input.take(max);
}

task<std::string> read_exactly(Shared state, std::size_t bytes) {
  while (state->input.size() < bytes && !state->ended) co_await Fill(*state);
  if (state->input.size() < bytes)
    throw IncompleteReadError(state->input.take(state->input.size()), bytes);
  co_return state->input.take(bytes);
}

// The bytes up to and with the separator; 0 if the stream ends without one. It must begin within
// the limit, however the bytes come.
task<std::size_t> find(Shared state, std::string separator) {
  if (separator.empty()) throw std::invalid_argument("readuntil: an empty separator");
  std::size_t searched = 0;
  for (;;) {
    const std::size_t at = state->input.view().find(separator, searched);
    const bool found = at != std::string_view::npos;
    if (!found)
      searched =
          state->input.size() >= separator.size() ? state->input.size() - separator.size() + 1 : 0;
    if ((found ? at : searched) > line_max)
      throw LimitOverrunError("no separator within the first " + std::to_string(line_max) +
                              " bytes");
    if (found) co_return at + separator.size();
    if (state->ended) co_return 0;
    co_await Fill(*state);
  }
}

task<std::string> read_line(Shared state) {
  const std::size_t bytes = co_await find(state, "\n");
  co_return state->input.take(bytes > 0 ? bytes : state->input.size());
}

task<std::string> read_until(Shared state, std::string separator) {
  const std::size_t bytes = co_await find(state, std::move(separator));
  if (bytes == 0) throw IncompleteReadError(state->input.take(state->input.size()), 0);
  co_return state->input.take(bytes);
}

// Until no more than so much is unsent.
task<void> drained(Shared state, std::size_t rest) {
  while (state->output.size() > rest && state->error_number == 0) co_await state->changed.wait();
  if (state->error_number != 0) state->descriptor.fail(state->error_number, "write");
}

task<void> closed(Shared state) {
  while (state->open()) co_await state->changed.wait();
}

}  // namespace
}  // namespace detail

Stream::Stream(std::shared_ptr<detail::StreamOwner> owner) noexcept : owner_(std::move(owner)) {}

Stream Stream::from_fd(int fd, std::unique_ptr<uvlet::Transport> transport) {
  std::shared_ptr<detail::StreamState> state;
  try {
    state = std::make_shared<detail::StreamState>(fd);
    state->descriptor.set_transport(std::move(transport));
    return Stream(std::make_shared<detail::StreamOwner>(state));
  } catch (...) {
    if (!state) ::close(fd);
    throw;
  }
}

detail::StreamState& Stream::state() const {
  if (!owner_) throw std::logic_error("a Stream that was moved from");
  return *owner_->state;
}

task<std::string> Stream::read(std::size_t max) {
  return detail::read_some(state().shared_from_this(), max);
}
std::string Stream::read_buffered() { return state().input.take(SIZE_MAX); }
task<std::string> Stream::readline() { return detail::read_line(state().shared_from_this()); }
task<std::string> Stream::readexactly(std::size_t bytes) {
  return detail::read_exactly(state().shared_from_this(), bytes);
}
task<std::string> Stream::readuntil(std::string separator) {
  return detail::read_until(state().shared_from_this(), std::move(separator));
}

void Stream::write(std::string_view data) {
  detail::StreamState& stream = state();
  if (stream.close_wanted || stream.end_wanted)
    throw std::logic_error(stream.close_wanted ? "write to a Stream that was closed"
                                               : "write to a Stream after write_eof");
  if (stream.error_number == 0) stream.send(data);
}

task<void> Stream::drain() {
  detail::StreamState& stream = state();
  const bool much = stream.output.size() > unsent_high;
  return detail::drained(stream.shared_from_this(), much ? unsent_low : unsent_high);
}
task<void> Stream::flush() { return detail::drained(state().shared_from_this(), 0); }

void Stream::write_eof() {
  detail::StreamState& stream = state();
  if (stream.close_wanted) throw std::logic_error("write_eof of a Stream that was closed");
  stream.end_wanted = true;
  if (!stream.sending) stream.flushed();
}

bool Stream::at_eof() const { return state().ended && state().input.empty(); }
void Stream::close() { state().finish(); }
task<void> Stream::wait_closed() { return detail::closed(state().shared_from_this()); }
int Stream::fileno() const { return state().descriptor.fd(); }
uvlet::Descriptor& Stream::descriptor() const { return state().descriptor; }

void detail::WeakStream::end_reading() const noexcept {
  const std::shared_ptr<StreamOwner> open = owner_.lock();
  if (open && open->state->open()) open->state->descriptor.shutdown(SHUT_RD);
}

task<Stream> open_connection(Address address, std::optional<Address> local) {
  auto connected = co_await detail::connect(std::move(address), std::move(local));
  detail::send_at_once(connected->fd());
  co_return Stream::from_fd(connected->detach());
}

}  // namespace aio
