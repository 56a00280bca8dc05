#pragma once

// The readiness of a file descriptor: the one primitive under green sockets and aio streams.

#include <uvlet/config.hpp>
#include <uvlet/duration.hpp>
#include <uvlet/scratch.hpp>
#include <uvlet/timer.hpp>
#include <uvlet/transport.hpp>
#include <uvlet/waiter.hpp>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <sys/types.h>
#include <utility>

namespace uvlet::inline UVLET_ABI {

enum class Direction { read = 0, write = 1 };

// A recv, for who makes those of many at once.
struct ReceiveCall {
  int fd = -1;
  char* data = nullptr;
  std::size_t bytes = 0;
  ssize_t result = 0;  // what it returned, or minus the errno
};

// A system call that is tried again whenever its descriptor may be ready.
class UVLET_API IoRequest {
 public:
  // Makes the call: true if that settled it, whatever the result, false on EAGAIN. It runs on the
  // loop's stack too, so it neither throws nor runs user code.
  virtual bool attempt() noexcept = 0;
  // The recv that attempt() would begin with, if another may make it in its place; `data` null:
  // into memory of the other's, until receive_made() returns. The descriptor is the other's to fill
  // in. False: it cannot be told.
  virtual bool next_receive(ReceiveCall&) noexcept { return false; }
  // As attempt(), after that call was made.
  virtual bool receive_made(const ReceiveCall&) noexcept { return attempt(); }
  // It is settled, or given up with `error_number`; nothing refers to it any more. On the loop.
  virtual void complete() noexcept = 0;
  // Who waits for it, for reports; null: not known.
  virtual Root* who() const noexcept { return nullptr; }
  // What it waits for, for reports, if that is not the descriptor: "descriptor 7: reader".
  virtual std::string subject() const { return {}; }

  int error_number = 0;        // the errno it failed with
  bool elsewhere = false;      // it does not wait for readiness: who knows more calls retry()
  const void* user = nullptr;  // of several that share the descriptor, whose call it is

 protected:
  ~IoRequest() = default;
};

// A descriptor of ours, watched by its hub's loop while somebody waits for it: one reader and one
// writer at a time. Closed by the destructor.
class UVLET_API Descriptor {
 public:
  // Takes over `fd`, which must be non-blocking. `stream`: a short read means that it is drained.
  Descriptor(int fd, bool stream);
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd() const noexcept { return fd_; }  // -1 after close or detach
  bool stream() const noexcept { return stream_; }
  // A read that gives less than asked leaves nothing. Not at the end of a stream that is watched
  // edge-triggered: its end may have been told of together with its last bytes.
  bool short_read_drains() const noexcept { return short_read_drains_; }

  // Wakes who waits with EBADF, and closes: the number is free when it returns.
  void close() noexcept;
  // Wakes who waits with EBADF; the number is the caller's.
  int detach() noexcept;

  // How many of `bytes` to transfer at once: all of them; in a simulation perhaps fewer, or none,
  // as if it would block.
  std::size_t allowance(std::size_t bytes) noexcept {
    return simulated_ ? simulated_allowance(bytes) : bytes;
  }

  // The last read was short: nothing is left, so the next one waits without trying.
  bool drained = false;

  // As the system calls, without signals; through the transport, if there is one.
  ssize_t recv(char* data, std::size_t bytes) noexcept {
    if (transport_) [[unlikely]]
      return transport_->recv(*this, data, bytes);
    const ssize_t got = ::recv(fd_, data, bytes, 0);
    received(got, bytes);
    return got;
  }
  ssize_t send(const char* data, std::size_t bytes) noexcept {
    if (transport_) [[unlikely]]
      return transport_->send(*this, data, bytes);
    return ::send(fd_, data, bytes, MSG_NOSIGNAL);
  }
  // 0 once the system has all that send() took, else -1 and the errno.
  int flush() noexcept {
    if (transport_) [[unlikely]]
      return transport_->flush(*this);
    return 0;
  }
  int shutdown(int how) noexcept;
  // Throws what a call failed with: the transport's error, or system_error.
  [[noreturn]] void fail(int error, const char* call) const;

  // Null: the bytes go as they are.
  Transport* transport() const noexcept { return transport_.get(); }
  void set_transport(std::unique_ptr<Transport> transport) noexcept {
    transport_ = std::move(transport);
  }
  // For the transport: what it wants has changed.
  void update_watch() noexcept;
  // Whoever waits in this direction may get on, though the system does not tell.
  void retry(Direction direction) noexcept;

  // Tries it again whenever the descriptor may be ready. Throws logic_error if somebody waits in
  // this direction already, or another hub has waited for it, system_error if the descriptor cannot
  // be watched.
  void wait(IoRequest& request, Direction direction);
  void withdraw(Direction direction) noexcept;
  // Somebody waits in this direction.
  bool taken(Direction direction) const noexcept {
    return requests_[static_cast<int>(direction)] != nullptr;
  }
  // Wakes with EBADF who waits on behalf of this user.
  void dismiss(const void* user) noexcept;

 private:
  struct Watch;
  friend struct Watch;
  friend class ReceiveBatch;
  void received(ssize_t got, std::size_t asked) noexcept {
    if (got >= 0) drained = short_read_drains_ && got > 0 && static_cast<std::size_t>(got) < asked;
  }
  void arm(Direction direction);
  bool watched(Direction direction) const noexcept;
  bool wants(Direction direction) const noexcept;
  int release() noexcept;
  void forget_watch() noexcept;
  void leave_ended_hub();
  IoRequest* take(Direction direction) noexcept;
  UVLET_COLD std::size_t simulated_allowance(std::size_t bytes) noexcept;

  int fd_;
  bool stream_;
  bool short_read_drains_;
  bool refused_ = false;    // by the simulation, the last time
  bool simulated_ = false;  // made in a simulation, whose fault plan streams obey
  std::unique_ptr<Transport> transport_;
  IoRequest* requests_[2] = {nullptr, nullptr};
  Watch* watch_ = nullptr;  // made by the first wait; it outlives us until the loop lets go of it
};

// Throws logic_error: `second` would wait for what `first` waits for. Null: not known.
[[noreturn]] UVLET_API void refuse_second(int fd, Direction direction, Root* first, Root* second);

// accept4(2), non-blocking: the connection, or -1 and the errno. Passes over those that have failed
// meanwhile, of which the system tells with their own error.
UVLET_API int accept_connection(int listener, sockaddr_storage& peer, socklen_t& length) noexcept;

// Whether a call failed for want of descriptors or memory, which others may give back. Who accepts
// tries again after a pause.
UVLET_API bool out_of_resources(int error) noexcept;
inline constexpr double accept_pause_seconds = 0.01;

// The base of what waits for a descriptor: a recv, an accept. Derived classes define attempt().
// One that need not wait lets others run all the same, when so many before it did not
// (Hub::io_budget): a peer that always sends starves nobody. Source: Tokio's cooperative budget.
class UVLET_API IoWait : public Parked, public IoRequest, private Timer {
 public:
  // `descriptor` is null for a closed socket: EBADF. nullopt: no limit; zero: EAGAIN at once.
  IoWait(Descriptor* descriptor, Direction direction, std::optional<Duration> limit) noexcept
      : descriptor_(descriptor), direction_(direction), limit_(limit) {}
  IoWait(IoWait&& other) noexcept
      : Parked(std::move(other)),
        IoRequest(other),
        Timer(),
        descriptor_(other.descriptor_),
        direction_(other.direction_),
        limit_(other.limit_) {}
  ~IoWait();

  bool ready() noexcept;
  void suspend(Hub& hub);
  Cancel cancel() noexcept override;
  const char* describe() const noexcept override;

 protected:
  int fd() const noexcept { return descriptor_->fd(); }
  // True, and the errno kept, unless the call has to wait.
  bool failed(int error) noexcept {
    if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR) return false;
    error_number = error;
    return true;
  }
  // The same of an accept; counts in HubStats what failed for want of descriptors or memory.
  bool accept_failed(int error) noexcept;
  // Throws what the call failed with.
  void check(const char* call) const {
    if (error_number != 0) [[unlikely]]
      fail(call);
  }
  // Whether to skip the first try: see Descriptor::drained.
  virtual bool nothing_there() const noexcept { return false; }
  // ready() once it is known that nobody else waits.
  bool begin() noexcept;
  // Whether it is over without a wait, though it let others run. The first step of suspend().
  bool settled() noexcept;

  Descriptor* descriptor_;

 private:
  [[noreturn]] void fail(const char* call) const;
  bool budget_is_spent() noexcept;
  bool settle() noexcept;
  // The errno of a call that may not wait and would have to.
  virtual int refusal() const noexcept { return EAGAIN; }
  void complete() noexcept final;
  void expire() noexcept final;
  Purpose purpose() const noexcept final { return {describe(), root()}; }
  Root* who() const noexcept final { return root(); }

  Direction direction_;
  bool waiting_ = false;
  bool settled_ = false;  // done, and waits for its turn only
  bool skipped_ = false;  // not tried: an interrupt was due
  std::optional<Duration> limit_;
};

}  // namespace uvlet::inline UVLET_ABI
